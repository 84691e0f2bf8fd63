// SPDX-License-Identifier: Apache-2.0
// Counts latencies into log-linear buckets and reads quantiles back.
#include "histogram.h"

static unsigned bucket_of(uint64_t ns) {
  if (ns < 256) return (unsigned)ns;
  unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - 7u;
  unsigned bucket = shift * 128u + (unsigned)(ns >> shift);
  return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static uint64_t upper_edge(unsigned bucket) {
  if (bucket < 256) return bucket;
  unsigned shift = bucket / 128u - 1u;
  return ((uint64_t)(bucket % 128u + 128u + 1u) << shift) - 1u;
}

void histogram_add(struct histogram *histogram, uint64_t ns) {
  histogram->counts[bucket_of(ns)]++;
  histogram->total++;
  if (ns > histogram->max_ns) histogram->max_ns = ns;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share) {
  if (histogram->total == 0) return 0;
  uint64_t wanted = (uint64_t)(share * (double)histogram->total + 0.999999);
  uint64_t seen = 0;
  for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
    seen += histogram->counts[bucket];
    if (seen >= wanted && seen > 0) {
      uint64_t edge = upper_edge(bucket);
      return edge < histogram->max_ns ? edge : histogram->max_ns;
    }
  }
  return histogram->max_ns;
}

static double milliseconds(uint64_t ns) { return (double)ns / 1e6; }

void histogram_print(const struct histogram *histogram, FILE *out) {
  fprintf(out, "{\"count\":%llu,\"p50\":%.4f,\"p90\":%.4f,\"p99\":%.4f,\"p999\":%.4f,\"max\":%.4f}",
          (unsigned long long)histogram->total, milliseconds(histogram_quantile(histogram, 0.5)),
          milliseconds(histogram_quantile(histogram, 0.9)),
          milliseconds(histogram_quantile(histogram, 0.99)),
          milliseconds(histogram_quantile(histogram, 0.999)), milliseconds(histogram->max_ns));
}
