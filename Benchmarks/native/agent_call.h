// SPDX-License-Identifier: Apache-2.0
// Writes the signed requests of an agent: leases, progress and callbacks.
#ifndef ORRERY_BENCH_AGENT_CALL_H
#define ORRERY_BENCH_AGENT_CALL_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "signing.h"

/// Who signs, and to which port. `sequence` makes each message's id its own.
struct identity {
  uint16_t port;
  const char *agent;
  struct signer *signer;
  uint64_t sequence;
};

/// Appends `POST path` with the JSON body, signed under a new id.
void agent_call(struct buffer *out, struct identity *identity, const char *path, const char *body,
                size_t count);

#endif
