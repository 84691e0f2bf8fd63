// SPDX-License-Identifier: Apache-2.0
// What the parts of the live client share: its options, its sockets, its tasks and its figures.
#ifndef ORRERY_BENCH_LIVE_H
#define ORRERY_BENCH_LIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../native/agent_call.h"
#include "../native/buffer.h"
#include "../native/fault.h"
#include "../native/histogram.h"
#include "../native/http1.h"
#include "../native/websocket.h"

enum {
  REPORTERS = 16,
  OPENING_AT_ONCE = 128,
  LEASED_AT_ONCE = 1000,
  MAX_ID = 64,
  SCRATCH_BYTES = 4 << 20
};

enum kind { TIMER, CLIENT, REPORTER };

struct options {
  uint16_t port;
  int server, sockets, stuck, tasks;
  bool all_tasks;
  double rate, warmup, seconds, settle, patience;
  const char *path, *token;
};

/// A task that is reported on. `awaited` is the sequence number of the report whose event has not
/// come yet; 0 when there is none.
struct task {
  char id[MAX_ID], lease[MAX_ID];
  long long attempt;
  uint64_t awaited, due_ns;
  bool measured;
};

enum client_state { CLIENT_NEW, CONNECTING, UPGRADING, SUBSCRIBING, SUBSCRIBED, CLIENT_ENDED };

/// One WebSocket. Its own task has the same number.
struct client {
  enum kind kind;
  int socket;
  enum client_state state;
  bool stuck, writable_wanted;
  uint64_t began_ns;
  struct buffer in, out;
};

/// One connection of the agent.
struct reporter {
  enum kind kind;
  int socket;
  bool connected, busy, writable_wanted;
  uint64_t due_ns;
  struct buffer in, out;
};

/// What both sides use at one moment.
struct usage {
  uint64_t at_ns;
  double server_cpu, own_cpu;
  long long server_resident;
};

struct figures {
  uint64_t opened, failed, closed, resyncs, errors, last_close_code;
  uint64_t frames, bytes, events, overviews;
  uint64_t missing, stuck_closed;
  struct histogram handshake, latency, report, late;
  char first_error[FAULT_SIZE];
};

struct live {
  struct options options;
  struct identity identity;
  struct figures figures;
  struct client *clients;
  struct task *tasks;
  struct reporter reporters[REPORTERS];
  struct buffer scratch;
  int epoll, timer;
  int next_client, opening, leased, next_reporter;
  bool reporting, measuring, leasing;
  uint64_t sequence, pace_start_ns, paced;
  long long highest_resident;
  uint64_t opened_ns, all_open_ns, window_reports, window_ns, stuck_closed_ns;
  struct usage before, settled, begin, end;
};

void live_fail(const char *what) __attribute__((noreturn));
/// Keeps the first fault's text for the figures.
void live_fault(struct live *live, const char *what, const char *detail, size_t count);
void live_watch(struct live *live, int operation, int socket, void *owner, uint32_t events);

/// Opens the next sockets, as many at a time as the server's backlog takes.
void clients_open_more(struct live *live);
void client_serve(struct live *live, struct client *client, uint32_t events);
/// Reads a socket that was never read to its end: true when the server had closed it.
bool client_had_ended(struct live *live, struct client *client);

/// Takes one text message of the server at `now`; `client` changes its state.
void message_take(struct live *live, struct client *client, const char *text, size_t count,
                  uint64_t now);

void reporters_open(struct live *live);
void reporter_serve(struct live *live, struct reporter *reporter, uint32_t events);
/// Asks for the next tasks.
void reporters_lease(struct live *live);
/// Sends the reports that are due.
void reporters_pump(struct live *live);
bool reporters_are_idle(const struct live *live);
/// How many events of reports in the measured time have not come.
uint64_t reports_awaited(const struct live *live);

/// Leases, opens, measures and closes.
void run(struct live *live);

#endif
