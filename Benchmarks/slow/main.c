// SPDX-License-Identifier: Apache-2.0
// Slow clients: many connections that send headers or bodies, or read answers, a byte at a time.
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "../native/process.h"
#include "slow.h"

static const char usage[] =
    "usage: slow headers|bodies|reads|mixed --port PORT [--connections 1000] [--interval 1]\n"
    "  Each connection goes on by one byte every --interval seconds; one that the server closes\n"
    "  is opened again. Prints a line when all are open, and its figures on SIGTERM. The slow\n"
    "  bodies need an operator's token in ORRERY_TOKEN.\n";

enum { TICKS_PER_SECOND = 100 };

static void refuse(void) {
  fputs(usage, stderr);
  exit(64);
}

static int kind_of(const char *word) {
  static const char *const words[] = {"headers", "bodies", "reads", "mixed"};
  for (int kind = 0; kind <= KINDS; kind++)
    if (strcmp(word, words[kind]) == 0) return kind;
  refuse();
  return KINDS;
}

static void parse(struct slow *slow, int count, char **words) {
  static const struct option known[] = {{"port", required_argument, NULL, 'p'},
                                        {"connections", required_argument, NULL, 'c'},
                                        {"interval", required_argument, NULL, 'i'},
                                        {NULL, 0, NULL, 0}};
  slow->count = 1000;
  slow->interval = 1;
  slow->token = getenv("ORRERY_TOKEN");
  if (count < 2) refuse();
  int kind = kind_of(words[1]), option;
  while ((option = getopt_long(count - 1, words + 1, "", known, NULL)) != -1) {
    if (option == 'p') slow->port = (uint16_t)atoi(optarg);
    else if (option == 'c') slow->count = atoi(optarg);
    else if (option == 'i') slow->interval = atof(optarg);
    else refuse();
  }
  if (!slow->port || slow->count < 1 || slow->interval <= 0 || !slow->token) refuse();
  slow->connections = calloc((size_t)slow->count, sizeof *slow->connections);
  if (!slow->connections) exit(2);
  for (int index = 0; index < slow->count; index++)
    slow->connections[index].kind = kind == KINDS ? (enum kind)(index % KINDS) : (enum kind)kind;
}

static void watch(struct slow *slow, int descriptor, void *owner) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = owner};
  if (descriptor < 0 || epoll_ctl(slow->epoll, EPOLL_CTL_ADD, descriptor, &event)) {
    perror("cannot start");
    exit(2);
  }
}

static void prepare(struct slow *slow) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  slow->epoll = epoll_create1(EPOLL_CLOEXEC);
  slow->signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  slow->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  watch(slow, slow->signals, &slow->signals);
  watch(slow, slow->timer, &slow->timer);
  struct timespec every = {.tv_nsec = 1000000000 / TICKS_PER_SECOND};
  struct itimerspec ticks = {.it_interval = every, .it_value = every};
  timerfd_settime(slow->timer, 0, &ticks, NULL);
}

// Takes the connections in turn, so that each has one per interval.
static void tick(struct slow *slow) {
  uint64_t ticks = 0;
  if (read(slow->timer, &ticks, sizeof ticks) < 0) return;
  double share = (double)ticks / (TICKS_PER_SECOND * slow->interval);
  int steps = (int)(share * slow->count + 0.999);
  if (steps > slow->count) steps = slow->count;
  for (; steps > 0; steps--)
    connection_step(slow, &slow->connections[slow->next++ % slow->count]);
}

static void tell_once(struct slow *slow) {
  if (slow->told || slow->open < slow->count) return;
  slow->told = true;
  printf("{\"open\":%d}\n", slow->open);
  fflush(stdout);
}

static void print_figures(const struct slow *slow) {
  printf("{\"open\":%d,\"opened\":%llu,\"closedByServer\":%llu,\"bytes\":%llu,"
         "\"cpuSeconds\":%.3f}\n",
         slow->open, (unsigned long long)slow->opened, (unsigned long long)slow->closed_by_server,
         (unsigned long long)slow->bytes, own_cpu_seconds());
}

int main(int count, char **words) {
  struct slow slow = {0};
  parse(&slow, count, words);
  prepare(&slow);
  for (int index = 0; index < slow.count; index++) connection_open(&slow, &slow.connections[index]);
  struct epoll_event events[256];
  for (;;) {
    int ready = epoll_wait(slow.epoll, events, 256, -1);
    if (ready < 0 && errno != EINTR) return 2;
    for (int index = 0; index < ready; index++) {
      void *owner = events[index].data.ptr;
      if (owner == &slow.signals) {
        print_figures(&slow);
        return 0;
      }
      if (owner == &slow.timer) tick(&slow);
      else connection_serve(&slow, owner, events[index].events);
    }
    tell_once(&slow);
  }
}
