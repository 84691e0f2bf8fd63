// SPDX-License-Identifier: Apache-2.0
// How often something took how long.

/// Observations of one quantity in fixed buckets, as Prometheus counts them.
package struct Histogram: Sendable, Equatable {
  /// Upper bounds in seconds. Beyond the last one there is a bucket without a bound.
  package static let bounds: [Double] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
    1_800,
  ]

  /// Observations in each bucket, not yet summed up; the last one has no bound.
  package private(set) var counts = [UInt64](repeating: 0, count: bounds.count + 1)
  /// Seconds.
  package private(set) var sum: Double = 0

  package init() {}

  package var count: UInt64 { counts.reduce(0, +) }

  /// - Parameter seconds: below zero counts as zero: a clock may have been set back.
  package mutating func observe(_ seconds: Double) {
    let seconds = seconds.isFinite ? max(seconds, 0) : 0
    let bucket = Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count
    counts[bucket] += 1
    sum += seconds
  }
}
