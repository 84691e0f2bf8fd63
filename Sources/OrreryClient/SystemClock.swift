// SPDX-License-Identifier: Apache-2.0
// The client's only door to time, chance and identity, so that tests can pass their own.

import Domain

#if canImport(Glibc)
private import Glibc
#elseif canImport(Darwin)
private import Darwin
#endif

/// Now, waiting and randomness for everything in this library.
package struct SystemClock: Sendable {
  /// Wall-clock time in milliseconds since 1970, for what is signed.
  package var now: @Sendable () -> Int64
  /// Milliseconds that never jump, for what is measured.
  package var uptime: @Sendable () -> Int64
  /// 64 random bits.
  package var random: @Sendable () -> UInt64
  /// Waits for milliseconds; throws when cancelled.
  package var sleep: @Sendable (Int64) async throws -> Void

  package init(
    now: @escaping @Sendable () -> Int64, uptime: @escaping @Sendable () -> Int64,
    random: @escaping @Sendable () -> UInt64,
    sleep: @escaping @Sendable (Int64) async throws -> Void
  ) {
    self.now = now
    self.uptime = uptime
    self.random = random
    self.sleep = sleep
  }

  /// The real one.
  package static let live = SystemClock(
    now: { milliseconds(CLOCK_REALTIME) },
    uptime: { milliseconds(CLOCK_MONOTONIC) },
    random: { UInt64.random(in: .min ... .max) },
    sleep: { try await Task.sleep(for: .milliseconds($0)) })

  private static func milliseconds(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
  }

  /// A new id for a signed message: `msg_` and 128 random bits.
  func messageID() -> String {
    var bytes: [UInt8] = []
    for word in [random(), random()] {
      for shift in stride(from: 0, to: 64, by: 8) {
        bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
      }
    }
    return "msg_" + Hex.encode(bytes)
  }

  /// The wait after `failures` failures in a row: doubles from `base` to `cap`, drawn from the
  /// upper half, and never less than the server asked for (up to five minutes).
  func backoff(
    afterFailures failures: Int, base: Int64, cap: Int64, asked: Int64? = nil
  ) -> Int64 {
    let doublings = min(max(failures - 1, 0), 16)
    let full = min(cap, base << Int64(doublings))
    let share = 0.5 + Double(random() >> 11) * 0x1p-54
    return max(Int64(Double(full) * share), min(max(asked ?? 0, 0), 300_000))
  }
}
