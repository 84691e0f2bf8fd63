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
      now: { Timestamp(milliseconds: clockMilliseconds(CLOCK_REALTIME)) },
      uptime: { clockMilliseconds(CLOCK_MONOTONIC) },
      random: { UInt64.random(in: .min ... .max) },
      sleep: { try await Task.sleep(for: .milliseconds($0)) })
  }

  private static func clockMilliseconds(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
  }
}
