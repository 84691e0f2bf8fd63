// SPDX-License-Identifier: Apache-2.0
// The `standard` signature of the agent protocol: HMAC-SHA256 over id, timestamp and raw body.
#ifndef ORRERY_BENCH_SIGNING_H
#define ORRERY_BENCH_SIGNING_H

#include <stdbool.h>
#include <stddef.h>

struct signer;

/// Takes a secret as printed: `whsec_` + base64 is decoded, anything else is used as its bytes.
/// NULL when it cannot be used.
struct signer *signer_new(const char *secret);
void signer_free(struct signer *signer);

enum { SIGNATURE_SIZE = 48 };

/// Writes `v1,` and the base64 of the HMAC, with a final zero, into `out`.
void signer_sign(struct signer *signer, const char *id, size_t id_count, const char *timestamp,
                 size_t timestamp_count, const char *body, size_t body_count,
                 char out[SIGNATURE_SIZE]);

/// Whether one of the space-separated signatures in `header` is the right one.
bool signer_verify(struct signer *signer, const char *id, size_t id_count, const char *timestamp,
                   size_t timestamp_count, const char *body, size_t body_count,
                   const char *header, size_t header_count);

#endif
