// SPDX-License-Identifier: Apache-2.0
// The agent's HTTP client: sends signed callbacks over its own keep-alive connections.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "../native/fields.h"
#include "../native/monotonic.h"
#include "agent.h"

enum { MAX_TRIES = 5 };

static void open_connection(struct agent *agent, struct connection *connection) {
  connection->kind = CALLBACKS;
  connection->connected = false;
  connection->busy = false;
  buffer_clear(&connection->in);
  buffer_clear(&connection->out);
  connection->socket = loopback_connect(agent->server_port);
  if (connection->socket < 0) {
    perror("cannot connect to the server");
    exit(2);
  }
  agent_watch(agent, connection, true, true);
}

void callbacks_open(struct agent *agent, int count) {
  for (int index = 0; index < count; index++) {
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection) abort();
    agent->pool[agent->pool_count++] = connection;
    open_connection(agent, connection);
  }
}

static struct callback *slot(struct agent *agent, size_t index) {
  return &agent->waiting[(agent->waiting_start + index) % agent->waiting_capacity];
}

void callbacks_add(struct agent *agent, const struct callback *callback) {
  if (agent->waiting_count == agent->waiting_capacity) {
    size_t capacity = agent->waiting_capacity ? agent->waiting_capacity * 2 : 1024;
    struct callback *grown = calloc(capacity, sizeof *grown);
    if (!grown) abort();
    for (size_t index = 0; index < agent->waiting_count; index++)
      grown[index] = *slot(agent, index);
    free(agent->waiting);
    agent->waiting = grown;
    agent->waiting_start = 0;
    agent->waiting_capacity = capacity;
  }
  agent->waiting_count++;
  *slot(agent, agent->waiting_count - 1) = *callback;
}

static void write_time(char out[32]) {
  struct timespec now;
  struct tm parts;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &parts);
  size_t count = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(out + count, 32 - count, ".%03ldZ", now.tv_nsec / 1000000 % 1000);
}

static void write_request(struct agent *agent, struct connection *connection) {
  const struct callback *callback = &connection->callback;
  char sent[32], id[64], timestamp[24], body[768], signature[SIGNATURE_SIZE];
  write_time(sent);
  int body_count = snprintf(
      body, sizeof body,
      "{\"taskId\":\"%s\",\"agentId\":\"%s\",\"attempt\":%lld,\"leaseToken\":\"%s\","
      "\"status\":\"success\",\"timestamp\":\"%s\",\"duration\":0,"
      "\"results\":{\"data\":{\"ok\":true},\"artifacts\":[],\"logs\":[],\"metrics\":{}}}",
      callback->task, agent->id, callback->attempt, callback->lease, sent);
  if (body_count < 0 || (size_t)body_count >= sizeof body) abort();
  int id_count = snprintf(id, sizeof id, "msg_%d_%llu", (int)getpid(),
                          (unsigned long long)++agent->sequence);
  int timestamp_count = snprintf(timestamp, sizeof timestamp, "%lld", (long long)time(NULL));
  signer_sign(agent->signer, id, (size_t)id_count, timestamp, (size_t)timestamp_count, body,
              (size_t)body_count, signature);
  buffer_printf(&connection->out,
                "POST /api/agent-callback HTTP/1.1\r\nhost: 127.0.0.1:%u\r\n"
                "content-type: application/json\r\ncontent-length: %d\r\nx-agent-id: %s\r\n"
                "webhook-id: %s\r\nwebhook-timestamp: %s\r\nwebhook-signature: %s\r\n\r\n",
                agent->server_port, body_count, agent->id, id, timestamp, signature);
  buffer_append(&connection->out, body, (size_t)body_count);
}

static void flush(struct agent *agent, struct connection *connection) {
  int flushed = buffer_flush(&connection->out, connection->socket);
  bool wanted = flushed == 0;
  if (flushed >= 0 && connection->writable_wanted != wanted)
    agent_watch(agent, connection, false, wanted);
}

// When callbacks are paced, says whether the next may go now, and otherwise sets the timer.
static bool released(struct agent *agent, struct callback *callback, uint64_t now) {
  if (agent->callbacks_per_second <= 0) return true;
  if (agent->next_release_ns == 0) agent->next_release_ns = now;
  if (now >= agent->next_release_ns) {
    if (callback->due_ns < agent->next_release_ns) callback->due_ns = agent->next_release_ns;
    agent->next_release_ns += (uint64_t)(1e9 / agent->callbacks_per_second);
    return true;
  }
  struct itimerspec at = {.it_value = {.tv_sec = (time_t)(agent->next_release_ns / 1000000000u),
                                       .tv_nsec = (long)(agent->next_release_ns % 1000000000u)}};
  timerfd_settime(agent->pacer, TFD_TIMER_ABSTIME, &at, NULL);
  return false;
}

void callbacks_pump(struct agent *agent) {
  if (agent->waiting_count == 0) return;
  uint64_t now = monotonic_ns();
  for (int index = 0; index < agent->pool_count && agent->waiting_count > 0; index++) {
    struct connection *connection = agent->pool[index];
    if (!connection->connected || connection->busy) continue;
    if (!released(agent, slot(agent, 0), now)) return;
    connection->callback = *slot(agent, 0);
    agent->waiting_start = (agent->waiting_start + 1) % agent->waiting_capacity;
    agent->waiting_count--;
    connection->busy = true;
    write_request(agent, connection);
    flush(agent, connection);
  }
}

static void take_answer(struct agent *agent, struct connection *connection,
                        const struct message *message) {
  uint64_t now = monotonic_ns();
  connection->busy = false;
  if (message->status == 409) {
    agent->counts.conflicts++;
    agent_fault(agent, "conflict", message->body, message->body_count);
    return;
  }
  struct field acknowledged = field_find(message->body, message->body_count, "acknowledged");
  bool taken = acknowledged.text && acknowledged.count == 4 &&
               memcmp(acknowledged.text, "true", 4) == 0;
  if (message->status != 200 || !taken) {
    agent->counts.callback_errors++;
    agent_fault(agent, "callback refused", message->start_line,
                (size_t)(message->body - message->start_line) + message->body_count);
    if (message->status >= 500 && ++connection->callback.tries < MAX_TRIES)
      callbacks_add(agent, &connection->callback);
    return;
  }
  agent->counts.acknowledged++;
  agent->last_completion_ns = now;
  histogram_add(&agent->callback_round_trip, now - connection->callback.due_ns);
  struct field state = field_find(message->body, message->body_count, "state");
  if (state.text && state.count == 9 && memcmp(state.text, "completed", 9) == 0)
    agent->counts.completed++;
}

static void reopen(struct agent *agent, struct connection *connection) {
  close(connection->socket);
  agent->counts.reconnects++;
  if (!connection->connected || agent->counts.reconnects > 10000) {
    fputs("the server does not take callback connections\n", stderr);
    exit(2);
  }
  if (connection->busy && ++connection->callback.tries < MAX_TRIES)
    callbacks_add(agent, &connection->callback);
  open_connection(agent, connection);
}

void callbacks_serve(struct agent *agent, struct connection *connection, uint32_t events) {
  bool open = !(events & (EPOLLHUP | EPOLLERR));
  if (open && (events & EPOLLOUT)) {
    connection->connected = true;
    flush(agent, connection);
  }
  bool usable = open;
  if (events & EPOLLIN) usable = buffer_fill(&connection->in, connection->socket) == 1 && open;
  struct message message;
  size_t consumed = 0;
  enum parsed parsed = message_parse(&connection->in, true, &message, &consumed);
  if (parsed == PARSED_WHOLE && connection->busy) {
    usable = usable && message.keep_alive;
    take_answer(agent, connection, &message);
    buffer_consume(&connection->in, consumed);
  }
  if (!usable || parsed == PARSED_BAD) reopen(agent, connection);
  callbacks_pump(agent);
}
