// SPDX-License-Identifier: Apache-2.0
// The agent: leases the tasks and reports their progress at a steady rate.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "../native/fields.h"
#include "../native/monotonic.h"
#include "live.h"

static void watch(struct live *live, struct reporter *reporter, int operation, bool writable) {
  reporter->writable_wanted = writable;
  live_watch(live, operation, reporter->socket, reporter, EPOLLIN | (writable ? EPOLLOUT : 0));
}

static void flush(struct live *live, struct reporter *reporter) {
  bool wanted = buffer_flush(&reporter->out, reporter->socket) == 0;
  if (wanted != reporter->writable_wanted) watch(live, reporter, EPOLL_CTL_MOD, wanted);
}

static void open_reporter(struct live *live, struct reporter *reporter) {
  reporter->kind = REPORTER;
  reporter->socket = loopback_connect(live->options.port);
  if (reporter->socket < 0) live_fail("cannot connect to the server");
  reporter->connected = reporter->busy = false;
  buffer_clear(&reporter->in);
  buffer_clear(&reporter->out);
  watch(live, reporter, EPOLL_CTL_ADD, true);
}

void reporters_open(struct live *live) {
  for (int index = 0; index < REPORTERS; index++) open_reporter(live, &live->reporters[index]);
}

bool reporters_are_idle(const struct live *live) {
  for (int index = 0; index < REPORTERS; index++)
    if (!live->reporters[index].connected || live->reporters[index].busy) return false;
  return true;
}

static struct reporter *idle_reporter(struct live *live) {
  for (int tried = 0; tried < REPORTERS; tried++) {
    struct reporter *reporter = &live->reporters[live->next_reporter++ % REPORTERS];
    if (reporter->connected && !reporter->busy) return reporter;
  }
  return NULL;
}

static void call(struct live *live, struct reporter *reporter, const char *path, const char *body,
                 int count, uint64_t due) {
  reporter->busy = true;
  reporter->due_ns = due;
  agent_call(&reporter->out, &live->identity, path, body, (size_t)count);
  flush(live, reporter);
}

void reporters_lease(struct live *live) {
  struct reporter *reporter = live->leasing ? NULL : idle_reporter(live);
  if (!reporter) return;
  char path[MAX_ID + 160], body[64];
  int wanted = live->options.tasks - live->leased;
  snprintf(path, sizeof path, "/api/agents/%.128s/lease", live->identity.agent);
  int count = snprintf(body, sizeof body, "{\"max\":%d,\"waitSeconds\":10}",
                       wanted > LEASED_AT_ONCE ? LEASED_AT_ONCE : wanted);
  live->leasing = true;
  call(live, reporter, path, body, count, monotonic_ns());
}

// Each dispatch begins with its task; the attempt and the lease follow it.
static void take_dispatches(struct live *live, const struct message *answer) {
  static const char begin[] = "\"taskId\"";
  const char *cursor = answer->body, *stop = answer->body + answer->body_count;
  while (live->leased < live->options.tasks &&
         (cursor = memmem(cursor, (size_t)(stop - cursor), begin, sizeof begin - 1))) {
    size_t rest = (size_t)(stop - cursor);
    struct task *task = &live->tasks[live->leased];
    task->attempt = field_integer(cursor, rest, "attempt", -1);
    if (task->attempt < 1 || !field_copy(task->id, MAX_ID, field_find(cursor, rest, "taskId")) ||
        !field_copy(task->lease, MAX_ID, field_find(cursor, rest, "leaseToken"))) {
      live_fault(live, "dispatch", cursor, rest);
      live_fail(live->figures.first_error);
    }
    live->leased++;
    cursor += sizeof begin - 1;
  }
}

static void send_report(struct live *live, struct reporter *reporter, uint64_t due) {
  struct task *task = &live->tasks[live->sequence++ % (uint64_t)live->options.tasks];
  char path[MAX_ID + 32], body[2 * MAX_ID + 128];
  snprintf(path, sizeof path, "/api/tasks/%s/progress", task->id);
  int count = snprintf(body, sizeof body,
                       "{\"taskId\":\"%s\",\"attempt\":%lld,\"leaseToken\":\"%s\","
                       "\"progress\":%llu,\"message\":\"r%llu\"}",
                       task->id, task->attempt, task->lease,
                       (unsigned long long)(live->sequence / (uint64_t)live->options.tasks % 100),
                       (unsigned long long)live->sequence);
  if (!live->options.all_tasks && !live->clients[task - live->tasks].stuck) {
    if (task->awaited && task->measured) live->figures.missing++;
    task->awaited = live->sequence;
    task->measured = live->measuring;
    task->due_ns = due;
  }
  if (live->measuring) {
    live->window_reports++;
    histogram_add(&live->figures.late, monotonic_ns() - due);
  }
  call(live, reporter, path, body, count, due);
}

uint64_t reports_awaited(const struct live *live) {
  uint64_t awaited = 0;
  for (int index = 0; index < live->options.tasks; index++)
    awaited += live->tasks[index].awaited != 0 && live->tasks[index].measured;
  return awaited;
}

static void arm_timer(struct live *live, uint64_t at) {
  struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at / 1000000000u),
                                         .tv_nsec = (long)(at % 1000000000u)}};
  timerfd_settime(live->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

void reporters_pump(struct live *live) {
  if (!live->reporting) return;
  for (;;) {
    uint64_t due =
        live->pace_start_ns + (uint64_t)((double)live->paced * 1e9 / live->options.rate);
    if (due > monotonic_ns()) {
      arm_timer(live, due);
      return;
    }
    struct reporter *reporter = idle_reporter(live);
    if (!reporter) return;  // an answer pumps again
    live->paced++;
    send_report(live, reporter, due);
  }
}

static void take_answer(struct live *live, struct reporter *reporter,
                        const struct message *answer) {
  if (answer->status != 200) {
    live_fault(live, "agent's call refused", answer->start_line,
               (size_t)(answer->body - answer->start_line) + answer->body_count);
    live_fail(live->figures.first_error);
  }
  reporter->busy = false;
  if (live->leasing) {
    live->leasing = false;
    take_dispatches(live, answer);
  } else if (live->measuring) {
    histogram_add(&live->figures.report, monotonic_ns() - reporter->due_ns);
  }
}

static void reopen(struct live *live, struct reporter *reporter) {
  if (reporter->busy || !reporter->connected) live_fail("a report's connection was closed");
  close(reporter->socket);
  open_reporter(live, reporter);
}

void reporter_serve(struct live *live, struct reporter *reporter, uint32_t events) {
  bool open = !(events & (EPOLLHUP | EPOLLERR));
  if (open && (events & EPOLLOUT)) {
    reporter->connected = true;
    flush(live, reporter);
  }
  if (events & EPOLLIN) open = buffer_fill(&reporter->in, reporter->socket) == 1 && open;
  struct message answer;
  size_t consumed = 0;
  enum parsed parsed = message_parse(&reporter->in, true, &answer, &consumed);
  if (parsed == PARSED_WHOLE && reporter->busy) {
    take_answer(live, reporter, &answer);
    open = open && answer.keep_alive;
    buffer_consume(&reporter->in, consumed);
  }
  if (!open || parsed == PARSED_BAD) reopen(live, reporter);
  reporters_pump(live);
}
