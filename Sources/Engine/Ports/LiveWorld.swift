// SPDX-License-Identifier: Apache-2.0
// The real world: the system's clock, its random source and its timers.
import Domain

#if canImport(Glibc)
private import Glibc
#elseif canImport(Darwin)
private import Darwin
#endif

extension World {
  /// What the running server uses.
  package static var live: World {
    World(
      now: { Timestamp(milliseconds: nanoseconds(of: CLOCK_REALTIME) / 1_000_000) },
      uptime: { nanoseconds(of: CLOCK_MONOTONIC) / 1_000_000 },
      nanoseconds: { UInt64(clamping: nanoseconds(of: CLOCK_MONOTONIC)) },
      random: { UInt64.random(in: .min ... .max) },
      sleep: { try await Task.sleep(for: .milliseconds($0)) })
  }

  private static func nanoseconds(of clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
