// SPDX-License-Identifier: Apache-2.0
// Writes the requests of each mode and judges their answers.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "../native/fault.h"
#include "../native/fields.h"
#include "load.h"

static const char padding[] =
    "Lorem ipsum dolor sit amet, consetetur sadipscing elitr, sed diam nonumy eirmod tempor "
    "invidunt ut labore et dolore magna aliquyam erat, sed diam voluptua. At vero eos et accusam "
    "et justo duo dolores et ea rebum. Stet clita kasd gubergren, no sea takimata sanctus est. "
    "Lorem ipsum dolor sit amet, consetetur sadipscing elitr, sed diam nonumy eirmod tempor "
    "invidunt ut labore et dolore magna aliquyam erat, sed diam voluptua.";

static void write_task(const struct load *load, struct buffer *out, uint64_t due_ns) {
  const struct options *options = &load->options;
  int room = options->payload_bytes - 47;
  int pad = room < 0 ? 0 : room > (int)sizeof padding - 1 ? (int)sizeof padding - 1 : room;
  buffer_printf(out, "{\"type\":\"%s\",\"payload\":{\"submittedAtMicros\":%llu,\"pad\":\"%.*s\"}}",
                options->type, (unsigned long long)due_ns / 1000u, pad,
                padding);
}

static void write_operator_head(const struct load *load, struct buffer *out, const char *path,
                                const char *type, size_t count) {
  buffer_printf(out,
                "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%u\r\nauthorization: Bearer %s\r\n"
                "content-type: %s\r\ncontent-length: %zu\r\n\r\n",
                path, load->options.port, load->options.token, type, count);
}

static void write_submit(struct load *load, struct connection *connection) {
  struct buffer *body = &load->lines;
  buffer_clear(body);
  write_task(load, body, connection->due_ns);
  write_operator_head(load, &connection->out, "/api/tasks", "application/json",
                      buffer_count(body));
  buffer_append(&connection->out, buffer_head(body), buffer_count(body));
}

static void write_get(struct load *load, struct connection *connection) {
  const struct options *options = &load->options;
  buffer_printf(&connection->out, "GET %s HTTP/1.1\r\nhost: 127.0.0.1:%u\r\n", options->path,
                options->port);
  if (options->token)
    buffer_printf(&connection->out, "authorization: Bearer %s\r\n", options->token);
  buffer_append(&connection->out, "\r\n", 2);
}

static void write_bulk(struct load *load, struct connection *connection) {
  struct buffer *body = &load->lines;
  if (buffer_count(body) == 0) {
    for (int line = 0; line < load->options.lines; line++) {
      write_task(load, body, connection->due_ns);
      buffer_append(body, "\n", 1);
    }
  }
  write_operator_head(load, &connection->out, "/api/tasks/bulk", "application/x-ndjson",
                      buffer_count(body));
  buffer_append(&connection->out, buffer_head(body), buffer_count(body));
}

static void write_lease(struct load *load, struct connection *connection) {
  static const char body[] = "{\"max\":1,\"waitSeconds\":1}";
  char path[MAX_TEXT + 32];
  snprintf(path, sizeof path, "/api/agents/%s/lease", load->options.agent);
  agent_call(&connection->out, &load->identity, path, body, sizeof body - 1);
}

static void write_settle(struct load *load, struct connection *connection) {
  char body[768];
  int count = snprintf(body, sizeof body,
                       "{\"taskId\":\"%s\",\"attempt\":%lld,\"leaseToken\":\"%s\","
                       "\"status\":\"success\",\"results\":{\"data\":{\"ok\":true}}}",
                       connection->task, connection->attempt, connection->lease);
  if (count < 0 || (size_t)count >= sizeof body) abort();
  agent_call(&connection->out, &load->identity, "/api/agent-callback", body, (size_t)count);
}

void request_write(struct load *load, struct connection *connection) {
  switch (load->options.mode) {
    case SUBMIT: write_submit(load, connection); break;
    case BULK: write_bulk(load, connection); break;
    case GET: write_get(load, connection); break;
    case LEASE:
      if (connection->settling) write_settle(load, connection);
      else write_lease(load, connection);
      break;
  }
}

void load_fault(struct load *load, const char *what, const char *detail, size_t count) {
  fault_keep(load->figures.first_error, what, detail, count);
}

// How many strings the array of a bulk answer holds.
static uint64_t count_ids(const struct message *answer) {
  const char *cursor = memchr(answer->body, '[', answer->body_count);
  const char *end = answer->body + answer->body_count;
  uint64_t quotes = 0;
  for (; cursor && cursor < end && *cursor != ']'; cursor++) quotes += *cursor == '"';
  return quotes / 2;
}

static bool take_lease(struct load *load, struct connection *connection,
                       const struct message *answer) {
  struct field attempt = field_find(answer->body, answer->body_count, "attempt");
  if (!attempt.text) {
    load->figures.empty++;
    return false;
  }
  connection->attempt = field_integer(answer->body, answer->body_count, "attempt", -1);
  if (!field_copy(connection->task, MAX_TEXT, field_find(answer->body, answer->body_count, "taskId")) ||
      !field_copy(connection->lease, MAX_TEXT, field_find(answer->body, answer->body_count, "leaseToken"))) {
    load_fault(load, "dispatch", answer->body, answer->body_count);
    load->figures.refused++;
    return false;
  }
  load->figures.tasks++;
  connection->settling = true;
  return true;
}

bool answer_take(struct load *load, struct connection *connection, const struct message *answer,
                 uint64_t now) {
  struct figures *figures = &load->figures;
  bool creates = load->options.mode == SUBMIT || load->options.mode == BULK;
  int wanted = creates ? 201 : 200;
  figures->requests++;
  if (answer->status != wanted) {
    figures->refused++;
    load_fault(load, "answer", answer->start_line,
               (size_t)(answer->body - answer->start_line) + answer->body_count);
    connection->settling = false;
    return false;
  }
  figures->accepted++;
  figures->last_ns = now;
  uint64_t took = now - connection->due_ns;
  if (connection->settling) {
    histogram_add(&figures->settle, took);
    connection->settling = false;
    return false;
  }
  histogram_add(&figures->latency, took);
  if (load->options.mode == LEASE) return take_lease(load, connection, answer);
  if (load->options.mode == SUBMIT) figures->tasks++;
  if (load->options.mode == BULK) figures->tasks += count_ids(answer);
  return false;
}
