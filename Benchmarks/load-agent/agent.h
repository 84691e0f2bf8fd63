// SPDX-License-Identifier: Apache-2.0
// What the two halves of the load agent share: its settings, its figures and its connections.
#ifndef ORRERY_BENCH_AGENT_H
#define ORRERY_BENCH_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../native/buffer.h"
#include "../native/fault.h"
#include "../native/histogram.h"
#include "../native/http1.h"
#include "../native/signing.h"

enum { MAX_TEXT = 128, MAX_CONNECTIONS = 1024 };

/// One report that is due.
struct callback {
  char task[MAX_TEXT];
  char lease[MAX_TEXT];
  long long attempt;
  uint64_t due_ns;
  int tries;
};

enum connection_kind { LISTENER, DISPATCHES, CALLBACKS, PACER, SIGNALS };

struct connection {
  enum connection_kind kind;
  int socket;
  bool writable_wanted;
  bool connected;
  bool busy;
  struct callback callback;
  struct buffer in;
  struct buffer out;
};

struct counts {
  uint64_t dispatches, bad_dispatches, bad_signatures;
  uint64_t acknowledged, completed, conflicts, callback_errors, reconnects;
};

struct agent {
  int epoll;
  uint16_t port, server_port;
  const char *id;
  struct signer *signer;
  double callbacks_per_second;
  uint64_t next_release_ns;
  int pacer;
  struct connection *pool[MAX_CONNECTIONS];
  int pool_count;
  struct callback *waiting;
  size_t waiting_start, waiting_count, waiting_capacity;
  struct counts counts;
  struct histogram submit_to_agent, callback_round_trip;
  uint64_t first_dispatch_ns, last_completion_ns, sequence;
  char first_error[FAULT_SIZE];
};

/// Accepts control-plane connections, and answers what arrives on one of them.
void dispatches_accept(struct agent *agent, int listener);
void dispatches_serve(struct agent *agent, struct connection *connection, uint32_t events);

/// Opens the callback connections, takes a report, sends what is due, reads answers.
void callbacks_open(struct agent *agent, int count);
void callbacks_add(struct agent *agent, const struct callback *callback);
void callbacks_pump(struct agent *agent);
void callbacks_serve(struct agent *agent, struct connection *connection, uint32_t events);

/// Keeps the first fault's text for the figures.
void agent_fault(struct agent *agent, const char *what, const char *detail, size_t detail_count);

/// Adds to or changes in epoll which events a connection waits for.
void agent_watch(struct agent *agent, struct connection *connection, bool add, bool writable);

/// Writes the figures as one JSON object; forgets them when `reset`.
void agent_print(struct agent *agent, FILE *out);
void agent_reset(struct agent *agent);

#endif
