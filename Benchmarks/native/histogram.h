// SPDX-License-Identifier: Apache-2.0
// A log-linear latency histogram: 128 steps per power of two, so at most 0.8 % of error.
#ifndef ORRERY_BENCH_HISTOGRAM_H
#define ORRERY_BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

enum { HISTOGRAM_BUCKETS = 128 * 40 };

struct histogram {
  uint64_t counts[HISTOGRAM_BUCKETS];
  uint64_t total;
  uint64_t max_ns;
};

/// Records one latency in nanoseconds.
void histogram_add(struct histogram *histogram, uint64_t ns);

/// The latency in nanoseconds below or at which `share` (0...1) of the records are; 0 when empty.
uint64_t histogram_quantile(const struct histogram *histogram, double share);

/// Writes `{"count":…,"p50":…,"p90":…,"p99":…,"p999":…,"max":…}` in milliseconds.
void histogram_print(const struct histogram *histogram, FILE *out);

#endif
