// SPDX-License-Identifier: Apache-2.0
// The WebSockets: opens, subscribes and reads them, or leaves them unread.
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../native/monotonic.h"
#include "../native/small_window.h"
#include "live.h"

enum { RECEIVE_BYTES = 1 << 20 };

static void watch(struct live *live, struct client *client, int operation, bool writable) {
  client->writable_wanted = writable;
  live_watch(live, operation, client->socket, client, EPOLLIN | (writable ? EPOLLOUT : 0));
}

static void flush(struct live *live, struct client *client) {
  bool wanted = buffer_flush(&client->out, client->socket) == 0;
  if (wanted != client->writable_wanted) watch(live, client, EPOLL_CTL_MOD, wanted);
}

static bool is_stuck(const struct live *live, int number) {
  const struct options *options = &live->options;
  if (options->stuck == 0) return false;
  int stride = options->sockets / options->stuck;
  return number % stride == 0 && number / stride < options->stuck;
}

static void open_client(struct live *live, int number) {
  struct client *client = &live->clients[number];
  client->kind = CLIENT;
  client->stuck = is_stuck(live, number);
  client->began_ns = monotonic_ns();
  client->socket = client->stuck ? small_window_connect(live->options.port)
                                 : loopback_connect(live->options.port);
  if (client->socket < 0) live_fail("cannot connect to the server");
  client->state = CONNECTING;
  live->opening++;
  watch(live, client, EPOLL_CTL_ADD, true);
}

void clients_open_more(struct live *live) {
  while (live->opening < OPENING_AT_ONCE && live->next_client < live->options.sockets)
    open_client(live, live->next_client++);
}

static void end(struct live *live, struct client *client, const char *why) {
  if (client->state == SUBSCRIBED) {
    if (client->stuck) live->figures.stuck_closed++;
    else live->figures.closed++;
  } else {
    live->opening--;
    live->figures.failed++;
  }
  if (!client->stuck) live_fault(live, "socket ended", why, strlen(why));
  client->state = CLIENT_ENDED;
  close(client->socket);
  buffer_free(&client->in);
  buffer_free(&client->out);
}

static void upgrade(struct live *live, struct client *client) {
  websocket_request(&client->out, live->options.port, live->options.path, live->options.token);
  client->state = UPGRADING;
  flush(live, client);
}

static void subscribe(struct live *live, struct client *client) {
  char text[256];
  const char *id = live->tasks[(client - live->clients) % live->options.tasks].id;
  int count = live->options.all_tasks
                  ? snprintf(text, sizeof text, "{\"type\":\"sub\",\"topics\":[\"tasks\"]}")
                  : snprintf(text, sizeof text,
                             "{\"type\":\"sub\",\"topics\":[\"overview\",\"task:%s\"]}", id);
  websocket_append(&client->out, WEBSOCKET_TEXT, text, (size_t)count);
  client->state = SUBSCRIBING;
  flush(live, client);
}

// 1: the socket was upgraded; 0: more is needed; -1: it was refused.
static int take_upgrade(struct live *live, struct client *client) {
  struct message answer;
  size_t consumed = 0;
  enum parsed parsed = message_parse(&live->scratch, true, &answer, &consumed);
  if (parsed == PARSED_INCOMPLETE) return 0;
  if (parsed == PARSED_BAD || !websocket_accepted(&answer)) {
    live_fault(live, "not upgraded", buffer_head(&live->scratch), buffer_count(&live->scratch));
    return -1;
  }
  buffer_consume(&live->scratch, consumed);
  subscribe(live, client);
  return 1;
}

static bool take_frame(struct live *live, struct client *client,
                       const struct websocket_frame *frame, uint64_t now) {
  const unsigned char *payload = (const unsigned char *)frame->payload;
  switch (frame->opcode) {
    case WEBSOCKET_TEXT: message_take(live, client, frame->payload, frame->count, now); return true;
    case WEBSOCKET_PING:
      websocket_append(&client->out, WEBSOCKET_PONG, frame->payload, frame->count);
      flush(live, client);
      return true;
    case WEBSOCKET_PONG: return true;
    case WEBSOCKET_CLOSE:
      if (frame->count >= 2)
        live->figures.last_close_code = (uint64_t)payload[0] << 8 | payload[1];
      live_fault(live, "close frame", frame->payload, frame->count);
      return false;
    default: return false;
  }
}

static bool take_frames(struct live *live, struct client *client, uint64_t now) {
  struct websocket_frame frame;
  size_t consumed = 0;
  struct buffer *in = &live->scratch;
  for (;;) {
    enum parsed parsed = websocket_parse(buffer_head(in), buffer_count(in), &frame, &consumed);
    if (parsed == PARSED_INCOMPLETE) return true;
    if (parsed == PARSED_BAD || !take_frame(live, client, &frame, now)) return false;
    buffer_consume(in, consumed);
  }
}

// All sockets are read into one buffer; only what is cut off is kept for a socket.
static bool read_client(struct live *live, struct client *client) {
  struct buffer *in = &live->scratch;
  buffer_clear(in);
  buffer_append(in, buffer_head(&client->in), buffer_count(&client->in));
  buffer_clear(&client->in);
  buffer_reserve(in, RECEIVE_BYTES);
  ssize_t count = recv(client->socket, in->bytes + in->end, RECEIVE_BYTES, 0);
  if (count == 0) return false;
  if (count < 0 && errno != EAGAIN && errno != EINTR) return false;
  if (count > 0) in->end += (size_t)count;
  uint64_t now = monotonic_ns();
  if (client->state == UPGRADING && take_upgrade(live, client) < 0) return false;
  if (client->state != UPGRADING && !take_frames(live, client, now)) return false;
  if (buffer_count(in) > SCRATCH_BYTES) return false;
  if (buffer_count(in) > 0) buffer_append(&client->in, buffer_head(in), buffer_count(in));
  return true;
}

void client_serve(struct live *live, struct client *client, uint32_t events) {
  if (client->state == CLIENT_ENDED) return;
  if (events & (EPOLLHUP | EPOLLERR)) {
    end(live, client, "reset");
    return;
  }
  if (events & EPOLLOUT) {
    if (client->state == CONNECTING) upgrade(live, client);
    else flush(live, client);
  }
  if ((events & EPOLLIN) && !read_client(live, client)) end(live, client, "closed by the server");
}

bool client_had_ended(struct live *live, struct client *client) {
  if (client->state == CLIENT_ENDED) return true;
  struct buffer *in = &live->scratch;
  buffer_clear(in);
  buffer_reserve(in, RECEIVE_BYTES);
  ssize_t count;
  do count = recv(client->socket, in->bytes, RECEIVE_BYTES, 0);
  while (count > 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  end(live, client, "closed by the server");
  return true;
}
