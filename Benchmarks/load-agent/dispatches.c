// SPDX-License-Identifier: Apache-2.0
// The agent's HTTP server: verifies a dispatch, accepts it at once, and queues its callback.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../native/fields.h"
#include "../native/monotonic.h"
#include "agent.h"

void dispatches_accept(struct agent *agent, int listener) {
  for (;;) {
    int client = accept(listener, NULL, NULL);
    if (client < 0) return;
    socket_prepare(client);
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection) abort();
    connection->kind = DISPATCHES;
    connection->socket = client;
    agent_watch(agent, connection, true, false);
  }
}

static void end(struct connection *connection) {
  close(connection->socket);
  buffer_free(&connection->in);
  buffer_free(&connection->out);
  free(connection);
}

static void answer(struct connection *connection, const char *status, const char *body,
                   size_t count) {
  buffer_printf(&connection->out,
                "HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n",
                status, count);
  buffer_append(&connection->out, body, count);
}

static void answer_text(struct connection *connection, const char *status, const char *body) {
  answer(connection, status, body, strlen(body));
}

static bool signature_is_right(struct agent *agent, const struct message *message) {
  size_t id_count = 0, timestamp_count = 0, signature_count = 0, agent_count = 0;
  const char *id = message_header(message, "webhook-id", &id_count);
  const char *timestamp = message_header(message, "webhook-timestamp", &timestamp_count);
  const char *signature = message_header(message, "webhook-signature", &signature_count);
  const char *name = message_header(message, "x-agent-id", &agent_count);
  if (!id || !timestamp || !signature || !name) return false;
  if (agent_count != strlen(agent->id) || memcmp(name, agent->id, agent_count) != 0) return false;
  long long skew = (long long)time(NULL) - strtoll(timestamp, NULL, 10);
  if (skew > 300 || skew < -300) return false;
  return signer_verify(agent->signer, id, id_count, timestamp, timestamp_count, message->body,
                       message->body_count, signature, signature_count);
}

static bool read_dispatch(const struct message *message, struct callback *callback) {
  const char *body = message->body;
  size_t count = message->body_count;
  callback->attempt = field_integer(body, count, "attempt", -1);
  return callback->attempt > 0 && field_copy(callback->task, MAX_TEXT, field_find(body, count, "taskId")) &&
         field_copy(callback->lease, MAX_TEXT, field_find(body, count, "leaseToken"));
}

static void take_dispatch(struct agent *agent, struct connection *connection,
                          const struct message *message, uint64_t now) {
  struct callback callback = {.due_ns = now};
  if (!signature_is_right(agent, message)) {
    agent->counts.bad_signatures++;
    agent_fault(agent, "bad signature", message->headers, message->headers_count);
    answer_text(connection, "401 Unauthorized", "{\"accepted\":false}");
    return;
  }
  if (!read_dispatch(message, &callback)) {
    agent->counts.bad_dispatches++;
    agent_fault(agent, "bad dispatch", message->body, message->body_count);
    answer_text(connection, "400 Bad Request", "{\"accepted\":false}");
    return;
  }
  long long submitted =
      field_integer(message->body, message->body_count, "submittedAtMicros", -1);
  if (submitted > 0 && (uint64_t)submitted * 1000u < now)
    histogram_add(&agent->submit_to_agent, now - (uint64_t)submitted * 1000u);
  if (agent->counts.dispatches++ == 0) agent->first_dispatch_ns = now;
  answer_text(connection, "200 OK", "{\"accepted\": true}");
  callbacks_add(agent, &callback);
}

static void give_figures(struct agent *agent, struct connection *connection) {
  char *text = NULL;
  size_t count = 0;
  FILE *memory = open_memstream(&text, &count);
  if (!memory) abort();
  agent_print(agent, memory);
  fclose(memory);
  answer(connection, "200 OK", text, count);
  free(text);
}

static bool starts(const struct message *message, const char *prefix) {
  size_t count = strlen(prefix);
  return message->start_line_count >= count && memcmp(message->start_line, prefix, count) == 0;
}

static void handle(struct agent *agent, struct connection *connection,
                   const struct message *message, uint64_t now) {
  if (starts(message, "POST /reset ")) {
    agent_reset(agent);
    answer_text(connection, "200 OK", "{}");
  } else if (starts(message, "GET /stats ")) {
    give_figures(agent, connection);
  } else if (starts(message, "GET /health ")) {
    answer_text(connection, "200 OK", "{}");
  } else if (starts(message, "POST /dispatch ")) {
    take_dispatch(agent, connection, message, now);
  } else {
    answer_text(connection, "404 Not Found", "{}");
  }
}

void dispatches_serve(struct agent *agent, struct connection *connection, uint32_t events) {
  uint64_t now = monotonic_ns();
  bool open = true;
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
    open = buffer_fill(&connection->in, connection->socket) == 1;
  struct message message;
  size_t consumed = 0;
  enum parsed parsed;
  while ((parsed = message_parse(&connection->in, false, &message, &consumed)) == PARSED_WHOLE) {
    handle(agent, connection, &message, now);
    buffer_consume(&connection->in, consumed);
  }
  if (parsed == PARSED_BAD) {
    agent->counts.bad_dispatches++;
    open = false;
  }
  int flushed = buffer_flush(&connection->out, connection->socket);
  if (!open || flushed < 0) {
    end(connection);
  } else if (connection->writable_wanted != (flushed == 0)) {
    agent_watch(agent, connection, false, flushed == 0);
  }
  callbacks_pump(agent);
}
