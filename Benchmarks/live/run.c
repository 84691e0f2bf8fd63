// SPDX-License-Identifier: Apache-2.0
// The phases: lease, open, measure, wait until stuck sockets are closed, count what is missing.
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "../native/fault.h"
#include "../native/monotonic.h"
#include "../native/process.h"
#include "live.h"

enum { LEASE_SECONDS = 60, OPEN_SECONDS = 120, EVENT_SECONDS = 10, END_SECONDS = 5 };

void live_fail(const char *what) {
  fprintf(stderr, "%s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
  exit(2);
}

void live_fault(struct live *live, const char *what, const char *detail, size_t count) {
  fault_keep(live->figures.first_error, what, detail, count);
}

void live_watch(struct live *live, int operation, int socket, void *owner, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = owner};
  if (epoll_ctl(live->epoll, operation, socket, &event)) live_fail("epoll_ctl");
}

static struct usage usage_now(const struct live *live) {
  int server = live->options.server;
  return (struct usage){.at_ns = monotonic_ns(),
                        .server_cpu = process_cpu_seconds(server),
                        .own_cpu = own_cpu_seconds(),
                        .server_resident = process_resident_bytes(server)};
}

static void handle(struct live *live, const struct epoll_event *event) {
  uint64_t expirations;
  switch (*(enum kind *)event->data.ptr) {
    case CLIENT: client_serve(live, event->data.ptr, event->events); break;
    case REPORTER: reporter_serve(live, event->data.ptr, event->events); break;
    case TIMER:
      if (read(live->timer, &expirations, sizeof expirations) > 0) reporters_pump(live);
      break;
  }
}

// Small turns, so that reports are sent in time between the reading of many sockets.
static void turn(struct live *live) {
  struct epoll_event events[64];
  int ready = epoll_wait(live->epoll, events, 64, 20);
  if (ready < 0 && errno != EINTR) live_fail("epoll_wait");
  errno = 0;
  for (int index = 0; index < ready; index++) handle(live, &events[index]);
  reporters_pump(live);
}

static uint64_t after(double seconds) { return monotonic_ns() + (uint64_t)(seconds * 1e9); }

static void go_on_for(struct live *live, double seconds) {
  uint64_t end = after(seconds), look = 0;
  for (uint64_t now = monotonic_ns(); now < end; now = monotonic_ns()) {
    turn(live);
    if (now < look) continue;
    look = now + 500000000u;
    long long resident = process_resident_bytes(live->options.server);
    if (resident > live->highest_resident) live->highest_resident = resident;
  }
}

static void prepare(struct live *live) {
  static enum kind timer = TIMER;
  live->clients = calloc((size_t)live->options.sockets, sizeof *live->clients);
  live->tasks = calloc((size_t)live->options.tasks, sizeof *live->tasks);
  if (!live->clients || !live->tasks) live_fail("memory");
  live->epoll = epoll_create1(EPOLL_CLOEXEC);
  live->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  live_watch(live, EPOLL_CTL_ADD, live->timer, &timer, EPOLLIN);
}

static void lease_tasks(struct live *live) {
  uint64_t end = after(LEASE_SECONDS);
  reporters_open(live);
  while (live->leased < live->options.tasks || !reporters_are_idle(live)) {
    if (live->leased < live->options.tasks) reporters_lease(live);
    turn(live);
    if (monotonic_ns() > end) live_fail("the tasks could not be leased");
  }
}

static void open_sockets(struct live *live) {
  uint64_t end = after(OPEN_SECONDS);
  live->opened_ns = monotonic_ns();
  while (live->next_client < live->options.sockets || live->opening > 0) {
    clients_open_more(live);
    turn(live);
    if (monotonic_ns() > end) {
      live_fault(live, "sockets", "not all were open in time", 25);
      break;
    }
  }
  live->all_open_ns = monotonic_ns();
}

static void start_reports(struct live *live) {
  live->pace_start_ns = monotonic_ns();
  live->reporting = true;
}

static void measure(struct live *live) {
  live->begin = usage_now(live);
  live->measuring = true;
  go_on_for(live, live->options.seconds);
  live->measuring = false;
  live->end = usage_now(live);
}

static bool stuck_are_closed(const struct live *live) {
  const struct figures *figures = &live->figures;
  long long read = (long long)(figures->opened - figures->closed) - live->options.stuck;
  return loopback_established(live->options.port) <= read + REPORTERS;
}

// A peer with a full window is not told that it was closed; the kernel's table tells.
static void await_stuck(struct live *live) {
  uint64_t end = after(live->options.patience);
  while (live->options.stuck > 0 && monotonic_ns() < end) {
    if (stuck_are_closed(live)) {
      live->stuck_closed_ns = monotonic_ns();
      return;
    }
    go_on_for(live, 1);
  }
}

static void await_events(struct live *live) {
  live->reporting = false;
  uint64_t end = after(EVENT_SECONDS);
  while (reports_awaited(live) > 0 && monotonic_ns() < end) turn(live);
  live->figures.missing += reports_awaited(live);
}

static void count_stuck(struct live *live) {
  uint64_t end = after(END_SECONDS);
  for (bool all = false; !all && monotonic_ns() < end;) {
    all = true;
    for (int index = 0; index < live->options.sockets; index++)
      if (live->clients[index].stuck && !client_had_ended(live, &live->clients[index])) all = false;
    turn(live);
  }
}

void run(struct live *live) {
  prepare(live);
  lease_tasks(live);
  go_on_for(live, live->options.settle);
  live->before = usage_now(live);
  open_sockets(live);
  go_on_for(live, live->options.settle);
  live->settled = usage_now(live);
  start_reports(live);
  go_on_for(live, live->options.warmup);
  measure(live);
  await_stuck(live);
  await_events(live);
  count_stuck(live);
}
