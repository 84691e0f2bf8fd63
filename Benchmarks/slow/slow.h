// SPDX-License-Identifier: Apache-2.0
// What the parts of the slow client share: its connections and what became of them.
#ifndef ORRERY_BENCH_SLOW_H
#define ORRERY_BENCH_SLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "../native/buffer.h"

enum kind { HEADERS, BODIES, READS, KINDS };
enum state { ENDED, CONNECTING, OPEN };

struct connection {
  enum kind kind;
  enum state state;
  int socket;
  struct buffer out;
};

struct slow {
  uint16_t port;
  int count;
  double interval;
  const char *token;
  int epoll, timer, signals;
  struct connection *connections;
  int next, open;
  bool told;
  uint64_t opened, closed_by_server, bytes;
};

/// Opens the connection and begins its request.
void connection_open(struct slow *slow, struct connection *connection);
/// Goes on by one byte, or opens the connection again that the server closed.
void connection_step(struct slow *slow, struct connection *connection);
void connection_serve(struct slow *slow, struct connection *connection, uint32_t events);

#endif
