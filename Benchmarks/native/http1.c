// SPDX-License-Identifier: Apache-2.0
// Parses whole HTTP/1.1 messages and opens loopback sockets.
#define _GNU_SOURCE
#include "http1.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

const char *message_header(const struct message *message, const char *name, size_t *count) {
  size_t name_count = strlen(name);
  const char *line = message->headers;
  const char *end = line + message->headers_count;
  while (line < end) {
    const char *stop = memmem(line, (size_t)(end - line), "\r\n", 2);
    if (!stop) stop = end;
    size_t line_count = (size_t)(stop - line);
    if (line_count > name_count && line[name_count] == ':' &&
        strncasecmp(line, name, name_count) == 0) {
      const char *value = line + name_count + 1;
      while (value < stop && (*value == ' ' || *value == '\t')) value++;
      while (stop > value && (stop[-1] == ' ' || stop[-1] == '\t')) stop--;
      *count = (size_t)(stop - value);
      return value;
    }
    line = stop + 2;
  }
  return NULL;
}

static bool header_is(const struct message *message, const char *name, const char *wanted) {
  size_t count = 0;
  const char *value = message_header(message, name, &count);
  return value && count == strlen(wanted) && strncasecmp(value, wanted, count) == 0;
}

// Joins the chunks in place. The body stays shorter than the bytes it is read from.
static enum parsed parse_chunks(char *start, char *end, struct message *message, char **after) {
  for (int pass = 0; pass < 2; pass++) {
    char *cursor = start;
    char *joined = start;
    for (;;) {
      char *line_end = memmem(cursor, (size_t)(end - cursor), "\r\n", 2);
      if (!line_end) return PARSED_INCOMPLETE;
      char *stop = NULL;
      unsigned long size = strtoul(cursor, &stop, 16);
      if (stop == cursor || size > (1ul << 30)) return PARSED_BAD;
      char *data = line_end + 2;
      if ((size_t)(end - data) < size + 2) return PARSED_INCOMPLETE;
      if (size == 0) {
        *after = data + 2;
        break;
      }
      if (pass == 1) memmove(joined, data, size);
      joined += size;
      cursor = data + size + 2;
    }
    message->body = start;
    message->body_count = (size_t)(joined - start);
  }
  return PARSED_WHOLE;
}

static bool parse_status(struct message *message) {
  if (message->start_line_count < 12 || strncmp(message->start_line, "HTTP/1.1 ", 9) != 0)
    return false;
  message->status = atoi(message->start_line + 9);
  return message->status >= 100 && message->status <= 599;
}

enum parsed message_parse(struct buffer *buffer, bool response, struct message *message,
                          size_t *consumed) {
  size_t available = buffer_count(buffer);
  if (available < 4) return PARSED_INCOMPLETE;
  char *head = buffer_head(buffer);
  char *end = head + available;
  char *blank = memmem(head, available, "\r\n\r\n", 4);
  if (!blank) return available > 65536 ? PARSED_BAD : PARSED_INCOMPLETE;
  char *line_end = memmem(head, available, "\r\n", 2);
  *message = (struct message){.start_line = head, .start_line_count = (size_t)(line_end - head)};
  message->headers = line_end == blank ? blank : line_end + 2;
  message->headers_count = line_end == blank ? 0 : (size_t)(blank - message->headers);
  message->keep_alive = !header_is(message, "connection", "close");
  if (response && !parse_status(message)) return PARSED_BAD;
  char *body = blank + 4;
  if (header_is(message, "transfer-encoding", "chunked")) {
    char *after = NULL;
    enum parsed parsed = parse_chunks(body, end, message, &after);
    if (parsed == PARSED_WHOLE) *consumed = (size_t)(after - head);
    return parsed;
  }
  size_t count = 0;
  const char *length = message_header(message, "content-length", &count);
  message->body = body;
  message->body_count = length ? strtoul(length, NULL, 10) : 0;
  if ((size_t)(end - body) < message->body_count) return PARSED_INCOMPLETE;
  *consumed = (size_t)(body - head) + message->body_count;
  return PARSED_WHOLE;
}

void socket_prepare(int socket) {
  int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK);
  fcntl(socket, F_SETFD, FD_CLOEXEC);
}

long long loopback_established(uint16_t server) {
  enum { ESTABLISHED = 1 };
  FILE *table = fopen("/proc/net/tcp", "r");
  if (!table) return -1;
  char line[256];
  unsigned address = 0, port = 0, state = 0;
  long long count = 0;
  while (fgets(line, sizeof line, table))
    if (sscanf(line, " %*d: %x:%x %*x:%*x %x", &address, &port, &state) == 3)
      count += address == htonl(INADDR_LOOPBACK) && port == server && state == ESTABLISHED;
  fclose(table);
  return count;
}

static struct sockaddr_in loopback_address(uint16_t port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int loopback_connect(uint16_t port) {
  int client = socket(AF_INET, SOCK_STREAM, 0);
  if (client < 0) return -1;
  socket_prepare(client);
  struct sockaddr_in address = loopback_address(port);
  if (connect(client, (struct sockaddr *)&address, sizeof address) == 0) return client;
  if (errno == EINPROGRESS) return client;
  int reason = errno;
  close(client);
  errno = reason;
  return -1;
}

int loopback_listen(uint16_t *port) {
  int server = socket(AF_INET, SOCK_STREAM, 0);
  if (server < 0) return -1;
  int on = 1;
  setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  socket_prepare(server);
  struct sockaddr_in address = loopback_address(*port);
  socklen_t size = sizeof address;
  if (bind(server, (struct sockaddr *)&address, size) != 0 || listen(server, 1024) != 0 ||
      getsockname(server, (struct sockaddr *)&address, &size) != 0) {
    close(server);
    return -1;
  }
  *port = ntohs(address.sin_port);
  return server;
}
