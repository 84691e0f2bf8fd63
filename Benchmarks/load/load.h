// SPDX-License-Identifier: Apache-2.0
// What the parts of the load generator share: its options, its figures and its connections.
#ifndef ORRERY_BENCH_LOAD_H
#define ORRERY_BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../native/agent_call.h"
#include "../native/buffer.h"
#include "../native/fault.h"
#include "../native/histogram.h"
#include "../native/http1.h"
#include "../native/signing.h"

enum { MAX_CONNECTIONS = 4096, MAX_TEXT = 128 };

enum mode { SUBMIT, BULK, LEASE, GET };

struct options {
  enum mode mode;
  uint16_t port;
  int connections;
  double seconds, warmup, rate;
  long long count;
  int lines, payload_bytes;
  const char *type, *path, *token, *agent;
  struct signer *signer;
};

struct connection {
  int socket;
  bool connected, busy, settling, writable_wanted;
  uint64_t due_ns;
  char task[MAX_TEXT], lease[MAX_TEXT];
  long long attempt;
  struct buffer in, out;
};

struct figures {
  uint64_t requests, accepted, refused, tasks, empty, lost;
  uint64_t first_ns, last_ns;
  struct histogram latency, late, settle;
  char first_error[FAULT_SIZE];
};

struct load {
  struct options options;
  struct figures figures;
  struct identity identity;
  struct connection *pool;
  struct buffer lines;
  int epoll, timer;
  int *idle;
  int idle_count;
  long long sent;
  uint64_t start_ns, measure_ns, stop_ns;
  bool warm;
};

/// Reads the options, or ends the process with the usage text.
void options_parse(struct options *options, int count, char **words);

/// Writes the next request of a connection into its `out`.
void request_write(struct load *load, struct connection *connection);

/// Takes an answer into the figures. True when the connection has a follow-up request to write.
bool answer_take(struct load *load, struct connection *connection, const struct message *answer,
                 uint64_t now);

/// Keeps the first fault's text for the figures.
void load_fault(struct load *load, const char *what, const char *detail, size_t count);

/// Sends requests until the time or the count is over and all answers are there.
void run(struct load *load);

#endif
