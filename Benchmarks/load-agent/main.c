// SPDX-License-Identifier: Apache-2.0
// A compiled push agent in its own process: accepts dispatches, reports success, measures both.
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "../native/fault.h"
#include "../native/process.h"
#include "agent.h"

static const char usage[] =
    "usage: load-agent --server-port PORT [--port PORT] [--connections 32] [--rate PER_SECOND]\n"
    "  ORRERY_AGENT_ID and ORRERY_AGENT_SECRET name the agent. Dispatches go to\n"
    "  POST /dispatch; GET /stats gives the figures, POST /reset forgets them.\n"
    "  On SIGTERM the figures are printed as JSON. --rate paces the callbacks.\n";

void agent_fault(struct agent *agent, const char *what, const char *detail, size_t detail_count) {
  fault_keep(agent->first_error, what, detail, detail_count);
}

void agent_watch(struct agent *agent, struct connection *connection, bool add, bool writable) {
  struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0),
                              .data.ptr = connection};
  connection->writable_wanted = writable;
  if (epoll_ctl(agent->epoll, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, connection->socket, &event)) {
    perror("epoll_ctl");
    exit(2);
  }
}

void agent_print(struct agent *agent, FILE *out) {
  const struct counts *counts = &agent->counts;
  double seconds = agent->last_completion_ns > agent->first_dispatch_ns
                       ? (double)(agent->last_completion_ns - agent->first_dispatch_ns) / 1e9
                       : 0;
  fprintf(out,
          "{\"dispatches\":%llu,\"acknowledged\":%llu,\"completed\":%llu,\"conflicts\":%llu,"
          "\"callbackErrors\":%llu,\"badDispatches\":%llu,\"badSignatures\":%llu,"
          "\"reconnects\":%llu,\"waiting\":%zu,\"firstDispatchToLastAckSeconds\":%.6f,"
          "\"lastAckNanoseconds\":%llu,\"cpuSeconds\":%.3f,",
          (unsigned long long)counts->dispatches, (unsigned long long)counts->acknowledged,
          (unsigned long long)counts->completed, (unsigned long long)counts->conflicts,
          (unsigned long long)counts->callback_errors, (unsigned long long)counts->bad_dispatches,
          (unsigned long long)counts->bad_signatures, (unsigned long long)counts->reconnects,
          agent->waiting_count, seconds, (unsigned long long)agent->last_completion_ns,
          own_cpu_seconds());
  fputs("\"submitToAgentMs\":", out);
  histogram_print(&agent->submit_to_agent, out);
  fputs(",\"callbackMs\":", out);
  histogram_print(&agent->callback_round_trip, out);
  fprintf(out, ",\"firstError\":\"%s\"}\n", agent->first_error);
}

void agent_reset(struct agent *agent) {
  memset(&agent->counts, 0, sizeof agent->counts);
  memset(&agent->submit_to_agent, 0, sizeof agent->submit_to_agent);
  memset(&agent->callback_round_trip, 0, sizeof agent->callback_round_trip);
  agent->first_dispatch_ns = agent->last_completion_ns = 0;
  agent->first_error[0] = 0;
}

static struct connection *fixed(struct agent *agent, enum connection_kind kind, int descriptor) {
  struct connection *connection = calloc(1, sizeof *connection);
  if (!connection || descriptor < 0) {
    perror("cannot start");
    exit(2);
  }
  connection->kind = kind;
  connection->socket = descriptor;
  agent_watch(agent, connection, true, false);
  return connection;
}

static void parse_options(struct agent *agent, int *connections, int count, char **words) {
  static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                          {"server-port", required_argument, NULL, 's'},
                                          {"connections", required_argument, NULL, 'c'},
                                          {"rate", required_argument, NULL, 'r'},
                                          {NULL, 0, NULL, 0}};
  int option;
  while ((option = getopt_long(count, words, "", options, NULL)) != -1) {
    if (option == 'p') agent->port = (uint16_t)atoi(optarg);
    else if (option == 's') agent->server_port = (uint16_t)atoi(optarg);
    else if (option == 'c') *connections = atoi(optarg);
    else if (option == 'r') agent->callbacks_per_second = atof(optarg);
    else agent->server_port = 0;
  }
  const char *secret = getenv("ORRERY_AGENT_SECRET");
  agent->id = getenv("ORRERY_AGENT_ID");
  bool complete = agent->server_port && agent->id && secret && strlen(agent->id) < MAX_TEXT;
  if (complete) agent->signer = signer_new(secret);
  if (!agent->signer || *connections < 1 || *connections > MAX_CONNECTIONS) {
    fputs(usage, stderr);
    exit(64);
  }
}

static int signal_descriptor(void) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  return signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

static bool handle(struct agent *agent, struct connection *connection, uint32_t events) {
  uint64_t expirations;
  switch (connection->kind) {
    case LISTENER: dispatches_accept(agent, connection->socket); break;
    case DISPATCHES: dispatches_serve(agent, connection, events); break;
    case CALLBACKS: callbacks_serve(agent, connection, events); break;
    case PACER:
      if (read(connection->socket, &expirations, sizeof expirations) > 0) callbacks_pump(agent);
      break;
    case SIGNALS: return false;
  }
  return true;
}

int main(int count, char **words) {
  struct agent *agent = calloc(1, sizeof *agent);
  int connections = 32;
  if (!agent) return 2;
  parse_options(agent, &connections, count, words);
  prctl(PR_SET_TIMERSLACK, 1ul);
  agent->epoll = epoll_create1(EPOLL_CLOEXEC);
  agent->pacer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  fixed(agent, SIGNALS, signal_descriptor());
  fixed(agent, PACER, agent->pacer);
  fixed(agent, LISTENER, loopback_listen(&agent->port));
  callbacks_open(agent, connections);
  printf("{\"port\":%u}\n", agent->port);
  fflush(stdout);
  struct epoll_event events[256];
  for (;;) {
    int ready = epoll_wait(agent->epoll, events, 256, -1);
    if (ready < 0 && errno != EINTR) return 2;
    for (int index = 0; index < ready; index++)
      if (!handle(agent, events[index].data.ptr, events[index].events)) {
        agent_print(agent, stdout);
        return 0;
      }
  }
}
