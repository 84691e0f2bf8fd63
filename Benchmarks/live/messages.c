// SPDX-License-Identifier: Apache-2.0
// Understands as much of the server's messages as is counted: it is not a JSON parser.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "../native/fields.h"
#include "live.h"

static bool is(struct field field, const char *word) {
  return field.text && field.count == strlen(word) && memcmp(field.text, word, field.count) == 0;
}

static uint64_t occurrences(const char *text, size_t count, const char *word, size_t word_count) {
  const char *end = text + count;
  uint64_t found = 0;
  while ((text = memmem(text, (size_t)(end - text), word, word_count))) {
    found++;
    text += word_count;
  }
  return found;
}

#define COUNT(text, count, word) occurrences(text, count, word, sizeof(word) - 1)

// The event of a report has the report's number as its message.
static void match_report(struct live *live, struct client *client, const char *text, size_t count,
                         uint64_t now) {
  static const char begin[] = "\"message\":\"r";
  struct task *task = &live->tasks[client - live->clients];
  const char *found = memmem(text, count, begin, sizeof begin - 1);
  if (!found || task->awaited == 0) return;
  if (strtoull(found + sizeof begin - 1, NULL, 10) != task->awaited) return;
  if (task->measured) histogram_add(&live->figures.latency, now - task->due_ns);
  task->awaited = 0;
}

static void take_batch(struct live *live, struct client *client, const char *text, size_t count,
                       uint64_t now) {
  struct figures *figures = &live->figures;
  if (live->measuring) {
    figures->frames++;
    figures->bytes += count;
    figures->events += COUNT(text, count, "\"k\":\"task\"");
    if (!live->options.all_tasks) figures->overviews += COUNT(text, count, "\"k\":\"overview\"");
  }
  if (!live->options.all_tasks) match_report(live, client, text, count, now);
}

static void take_subscribed(struct live *live, struct client *client, uint64_t now) {
  if (client->state != SUBSCRIBING) return;
  client->state = SUBSCRIBED;
  live->opening--;
  live->figures.opened++;
  histogram_add(&live->figures.handshake, now - client->began_ns);
  if (client->stuck) live_watch(live, EPOLL_CTL_MOD, client->socket, client, 0);
}

void message_take(struct live *live, struct client *client, const char *text, size_t count,
                  uint64_t now) {
  struct field type = field_find(text, count < 64 ? count : 64, "t");
  if (is(type, "batch")) {
    take_batch(live, client, text, count, now);
  } else if (is(type, "subscribed")) {
    take_subscribed(live, client, now);
  } else if (is(type, "resync")) {
    live->figures.resyncs++;
  } else if (!is(type, "hello") && !is(type, "pong")) {
    live->figures.errors++;
    live_fault(live, "message", text, count);
  }
}
