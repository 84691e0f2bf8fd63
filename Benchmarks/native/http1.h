// SPDX-License-Identifier: Apache-2.0
// As much of HTTP/1.1 as the load tools need: whole messages out of a buffer, sockets on loopback.
#ifndef ORRERY_BENCH_HTTP1_H
#define ORRERY_BENCH_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

/// One whole message. The pointers lie in the buffer that was parsed, until it is consumed.
struct message {
  char *start_line;
  size_t start_line_count;
  char *headers;
  size_t headers_count;
  char *body;
  size_t body_count;
  int status;
  bool keep_alive;
};

enum parsed { PARSED_INCOMPLETE = 0, PARSED_WHOLE = 1, PARSED_BAD = -1 };

/// Reads one message from the buffer's head. A chunked body is joined in place. When whole,
/// `*consumed` says how many bytes of the buffer to consume after use.
enum parsed message_parse(struct buffer *buffer, bool response, struct message *message,
                          size_t *consumed);

/// The value of a header, trimmed; NULL when it is not there. The name is matched without case.
const char *message_header(const struct message *message, const char *name, size_t *count);

/// A non-blocking, undelayed socket on 127.0.0.1; -1 with errno on failure. `connect` may be
/// under way when it returns.
int loopback_connect(uint16_t port);

/// A listening non-blocking socket on 127.0.0.1. Port 0 takes a free one and writes it back.
int loopback_listen(uint16_t *port);

/// How many connections of a loopback server are open at its end; -1 when it cannot be known.
long long loopback_established(uint16_t server);

/// Turns Nagle's delay off and non-blocking on.
void socket_prepare(int socket);

#endif
