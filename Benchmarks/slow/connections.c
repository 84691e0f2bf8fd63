// SPDX-License-Identifier: Apache-2.0
// Sends headers and bodies, and reads answers, byte by byte.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../native/http1.h"
#include "../native/small_window.h"
#include "slow.h"

enum { BODY_BYTES = 1000000, PIPELINED = 8 };

static void watch(struct slow *slow, struct connection *connection, int operation,
                  uint32_t interest) {
  struct epoll_event event = {.events = interest, .data.ptr = connection};
  if (epoll_ctl(slow->epoll, operation, connection->socket, &event)) {
    perror("epoll_ctl");
    exit(2);
  }
}

void connection_open(struct slow *slow, struct connection *connection) {
  bool reads = connection->kind == READS;
  connection->socket = reads ? small_window_connect(slow->port) : loopback_connect(slow->port);
  if (connection->socket < 0) return;  // tried again in its turn
  connection->state = CONNECTING;
  buffer_clear(&connection->out);
  watch(slow, connection, EPOLL_CTL_ADD, EPOLLOUT);
}

static void end(struct slow *slow, struct connection *connection) {
  if (connection->state == OPEN) {
    slow->open--;
    slow->closed_by_server++;
  }
  connection->state = ENDED;
  close(connection->socket);
}

// The token makes the server wait for the body instead of refusing it at once.
static void begin(struct slow *slow, struct connection *connection) {
  struct buffer *out = &connection->out;
  switch (connection->kind) {
    case HEADERS:
      buffer_printf(out, "POST /api/tasks HTTP/1.1\r\nhost: 127.0.0.1:%u\r\nx-slow: ", slow->port);
      break;
    case BODIES:
      buffer_printf(out,
                    "POST /api/tasks HTTP/1.1\r\nhost: 127.0.0.1:%u\r\ncontent-length: %d\r\n"
                    "content-type: application/json\r\nauthorization: Bearer %s\r\n\r\n"
                    "{\"type\":\"bench\",\"payload\":\"",
                    slow->port, BODY_BYTES, slow->token);
      break;
    default:
      for (int number = 0; number < PIPELINED; number++)
        buffer_printf(out, "GET /openapi.json HTTP/1.1\r\nhost: 127.0.0.1:%u\r\n\r\n", slow->port);
  }
  connection->state = OPEN;
  slow->open++;
  slow->opened++;
  if (buffer_flush(out, connection->socket) < 0) {
    end(slow, connection);
    return;
  }
  watch(slow, connection, EPOLL_CTL_MOD, connection->kind == READS ? 0 : EPOLLIN);
}

static void read_byte(struct slow *slow, struct connection *connection) {
  char byte;
  ssize_t count = recv(connection->socket, &byte, 1, 0);
  if (count > 0) slow->bytes++;
  else if (count == 0 || errno != EAGAIN) end(slow, connection);
}

static void send_byte(struct slow *slow, struct connection *connection) {
  if (send(connection->socket, "a", 1, MSG_NOSIGNAL) == 1) slow->bytes++;
  else if (errno != EAGAIN) end(slow, connection);
}

void connection_step(struct slow *slow, struct connection *connection) {
  switch (connection->state) {
    case ENDED: connection_open(slow, connection); break;
    case CONNECTING: break;
    case OPEN:
      if (connection->kind == READS) read_byte(slow, connection);
      else send_byte(slow, connection);
  }
}

// Whatever comes for a request that is not whole is a refusal; the server's close follows it.
static bool read_refusal(struct connection *connection) {
  char bytes[4096];
  ssize_t count = recv(connection->socket, bytes, sizeof bytes, 0);
  return count > 0 || (count < 0 && errno == EAGAIN);
}

void connection_serve(struct slow *slow, struct connection *connection, uint32_t events) {
  if (connection->state == ENDED) return;
  if (events & (EPOLLHUP | EPOLLERR)) end(slow, connection);
  else if (connection->state == CONNECTING && (events & EPOLLOUT)) begin(slow, connection);
  else if ((events & EPOLLIN) && !read_refusal(connection)) end(slow, connection);
}
