// SPDX-License-Identifier: Apache-2.0
// Reads the monotonic clock, which every process of this machine shares.
#ifndef ORRERY_BENCH_MONOTONIC_H
#define ORRERY_BENCH_MONOTONIC_H

#include <stdint.h>
#include <time.h>

/// Nanoseconds since boot; comparable between processes of one machine.
static inline uint64_t monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

#endif
