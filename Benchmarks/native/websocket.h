// SPDX-License-Identifier: Apache-2.0
// As much of the client's side of WebSocket as the load tools need: the handshake and whole frames.
#ifndef ORRERY_BENCH_WEBSOCKET_H
#define ORRERY_BENCH_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "http1.h"

enum websocket_opcode {
  WEBSOCKET_TEXT = 1,
  WEBSOCKET_CLOSE = 8,
  WEBSOCKET_PING = 9,
  WEBSOCKET_PONG = 10
};

/// One frame of the server. The payload lies in the bytes that were parsed.
struct websocket_frame {
  unsigned opcode;
  char *payload;
  size_t count;
};

/// Reads one unmasked, unfragmented frame; anything else is bad, for our server sends nothing else.
enum parsed websocket_parse(char *bytes, size_t available, struct websocket_frame *frame,
                            size_t *consumed);

/// Appends a masked frame of a client.
void websocket_append(struct buffer *out, unsigned opcode, const void *payload, size_t count);

/// Appends the request that opens a WebSocket, signed in with an operator's token.
void websocket_request(struct buffer *out, uint16_t port, const char *path, const char *token);

/// Whether the answer opens the WebSocket that was asked for.
bool websocket_accepted(const struct message *answer);

#endif
