// SPDX-License-Identifier: Apache-2.0
// Keeps the connections busy: each at once again, or all together at a steady rate.
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "../native/monotonic.h"
#include "load.h"

enum { GRACE_SECONDS = 15 };

static void fail(const char *what) {
  perror(what);
  exit(2);
}

static void watch(struct load *load, struct connection *connection, int operation, bool writable) {
  struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0),
                              .data.ptr = connection};
  connection->writable_wanted = writable;
  if (epoll_ctl(load->epoll, operation, connection->socket, &event)) fail("epoll_ctl");
}

static void open_connection(struct load *load, struct connection *connection) {
  connection->socket = loopback_connect(load->options.port);
  if (connection->socket < 0) fail("cannot connect to the server");
  connection->connected = connection->busy = connection->settling = false;
  buffer_clear(&connection->in);
  buffer_clear(&connection->out);
  watch(load, connection, EPOLL_CTL_ADD, true);
}

static void flush(struct load *load, struct connection *connection) {
  int flushed = buffer_flush(&connection->out, connection->socket);
  bool wanted = flushed == 0;
  if (flushed >= 0 && connection->writable_wanted != wanted)
    watch(load, connection, EPOLL_CTL_MOD, wanted);
}

static void send_request(struct load *load, struct connection *connection, uint64_t due) {
  connection->due_ns = due;
  connection->busy = true;
  request_write(load, connection);
  flush(load, connection);
}

static bool over(const struct load *load, uint64_t now) {
  if (load->options.count > 0 && load->sent >= load->options.count) return true;
  return load->stop_ns > 0 && now >= load->stop_ns;
}

static uint64_t due_of_next(const struct load *load) {
  return load->start_ns + (uint64_t)((double)load->sent * 1e9 / load->options.rate);
}

static void arm_timer(struct load *load, uint64_t at) {
  struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at / 1000000000u),
                                         .tv_nsec = (long)(at % 1000000000u)}};
  timerfd_settime(load->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

// What came before the measured part is forgotten once the warm-up is over.
static void end_warmup(struct load *load, uint64_t now) {
  if (load->warm || now < load->measure_ns) return;
  load->warm = true;
  memset(&load->figures, 0, sizeof load->figures);
  load->figures.first_ns = load->figures.last_ns = now;
}

static void pump(struct load *load) {
  uint64_t now = monotonic_ns();
  end_warmup(load, now);
  bool paced = load->options.rate > 0;
  while (load->idle_count > 0 && !over(load, now)) {
    uint64_t due = paced ? due_of_next(load) : now;
    if (due > now) {
      arm_timer(load, due);
      return;
    }
    if (paced) histogram_add(&load->figures.late, now - due);
    struct connection *connection = &load->pool[load->idle[--load->idle_count]];
    load->sent++;
    send_request(load, connection, due);
    now = monotonic_ns();
  }
}

static void rest(struct load *load, struct connection *connection) {
  connection->busy = false;
  load->idle[load->idle_count++] = (int)(connection - load->pool);
}

static void reopen(struct load *load, struct connection *connection) {
  if (!connection->connected) {
    fputs("the server does not take connections\n", stderr);
    exit(2);
  }
  close(connection->socket);
  if (connection->busy) {
    load->figures.lost++;
    load_fault(load, "connection", "closed before the answer", 24);
  } else {
    int own = (int)(connection - load->pool);
    for (int index = 0; index < load->idle_count; index++)
      if (load->idle[index] == own) {
        load->idle[index] = load->idle[--load->idle_count];
        break;
      }
  }
  open_connection(load, connection);
}

static void serve(struct load *load, struct connection *connection, uint32_t events) {
  bool open = !(events & (EPOLLHUP | EPOLLERR));
  if (open && (events & EPOLLOUT)) {
    if (!connection->connected) rest(load, connection);
    connection->connected = true;
    flush(load, connection);
  }
  if (events & EPOLLIN) open = buffer_fill(&connection->in, connection->socket) == 1 && open;
  struct message answer;
  size_t consumed = 0;
  enum parsed parsed = message_parse(&connection->in, true, &answer, &consumed);
  if (parsed == PARSED_WHOLE && connection->busy) {
    uint64_t now = monotonic_ns();
    open = open && answer.keep_alive;
    bool more = answer_take(load, connection, &answer, now);
    buffer_consume(&connection->in, consumed);
    if (more && open) send_request(load, connection, now);
    else rest(load, connection);
  }
  if (!open || parsed == PARSED_BAD) reopen(load, connection);
}

static bool all_connected(const struct load *load) {
  return load->idle_count == load->options.connections;
}

static void handle(struct load *load, const struct epoll_event *event) {
  if (event->data.ptr) {
    serve(load, event->data.ptr, event->events);
    return;
  }
  uint64_t expirations;
  if (read(load->timer, &expirations, sizeof expirations) < 0 && errno != EAGAIN) fail("timer");
}

static void wait_for_events(struct load *load) {
  struct epoll_event events[256];
  int ready = epoll_wait(load->epoll, events, 256, 100);
  if (ready < 0 && errno != EINTR) fail("epoll_wait");
  for (int index = 0; index < ready; index++) handle(load, &events[index]);
}

static void prepare(struct load *load) {
  load->epoll = epoll_create1(EPOLL_CLOEXEC);
  load->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, load->timer, &event)) fail("epoll_ctl");
  load->pool = calloc((size_t)load->options.connections, sizeof *load->pool);
  load->idle = calloc((size_t)load->options.connections, sizeof *load->idle);
  if (!load->pool || !load->idle) fail("memory");
  for (int index = 0; index < load->options.connections; index++)
    open_connection(load, &load->pool[index]);
  while (!all_connected(load)) wait_for_events(load);
}

static uint64_t after(uint64_t start, double seconds) { return start + (uint64_t)(seconds * 1e9); }

void run(struct load *load) {
  prepare(load);
  const struct options *options = &load->options;
  load->start_ns = monotonic_ns();
  load->measure_ns = after(load->start_ns, options->warmup);
  if (options->seconds > 0) load->stop_ns = after(load->measure_ns, options->seconds);
  pump(load);
  uint64_t over_since = 0;
  for (;;) {
    wait_for_events(load);
    uint64_t now = monotonic_ns();
    if (!over(load, now)) {
      pump(load);
      continue;
    }
    if (over_since == 0) over_since = now;
    if (all_connected(load)) return;
    if (now > after(over_since, GRACE_SECONDS)) {
      load->figures.lost += (uint64_t)(options->connections - load->idle_count);
      load_fault(load, "answer", "none within 15 s", 16);
      return;
    }
  }
}
