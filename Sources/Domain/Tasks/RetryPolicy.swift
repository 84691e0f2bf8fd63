// SPDX-License-Identifier: Apache-2.0
// How often a task is tried, and how long it waits in between.

/// Attempts and backoff of a task. Durations are milliseconds.
public struct RetryPolicy: Sendable, Hashable {
  public enum Backoff: String, Sendable, CaseIterable { case exponential, fixed }

  /// Failed attempts until the task has failed for good.
  public var maxAttempts: Int = 4
  public var backoff: Backoff = .exponential
  public var base: Int64 = 5_000
  public var factor: Double = 2
  public var cap: Int64 = 300_000
  /// The share by which a delay is spread, up and down: 0.2 is ±20 %.
  public var jitter: Double = 0.2

  public init() {}

  /// The delay after the `failures`th failure, in milliseconds, never above the cap.
  ///
  /// - Parameter chance: 0 ..< 1, from the caller's source of randomness.
  package func delay(afterFailures failures: Int, chance: Double) -> Int64 {
    var delay = Double(base)
    if backoff == .exponential {
      for _ in 1..<max(1, min(failures, 64)) {
        delay = min(delay * factor, Double(cap))
      }
    }
    delay = min(delay, Double(cap)) * (1 - jitter + 2 * jitter * chance)
    return Int64(min(max(delay, 0), Double(cap)))
  }
}
