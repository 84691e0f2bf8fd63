// SPDX-License-Identifier: Apache-2.0
// Time, identity and chance: the only door to them.
package import Domain
private import Synchronization

/// Now, new ids, randomness and waiting. Nothing else may call a clock or a source of randomness,
/// so
/// that tests and the simulation can pass their own.
package struct World: Sendable {
  /// Wall-clock time.
  package var now: @Sendable () -> Timestamp
  /// Milliseconds that never jump, for what is measured.
  package var uptime: @Sendable () -> Int64
  /// The same clock in nanoseconds, for what takes less.
  package var nanoseconds: @Sendable () -> UInt64
  /// 64 random bits.
  package var random: @Sendable () -> UInt64
  /// Waits; throws when cancelled.
  package var sleep: @Sendable (_ milliseconds: Int64) async throws -> Void

  package init(
    now: @escaping @Sendable () -> Timestamp, uptime: @escaping @Sendable () -> Int64,
    nanoseconds: @escaping @Sendable () -> UInt64,
    random: @escaping @Sendable () -> UInt64,
    sleep: @escaping @Sendable (Int64) async throws -> Void
  ) {
    self.now = now
    self.uptime = uptime
    self.nanoseconds = nanoseconds
    self.random = random
    self.sleep = sleep
  }

  /// 0 ..< 1
  package func chance() -> Double { Double(random() >> 11) * 0x1p-53 }
}

/// Makes task ids that rise, even when the clock does not.
package final class TaskIDs: Sendable {
  private let last: Mutex<Int64>

  package init(after: TaskID?) {
    last = Mutex(after?.rawValue ?? 0)
  }

  /// `count` consecutive ids, not before `now` and after every earlier one.
  package func next(_ count: Int, now: Timestamp) -> Range<Int64> {
    last.withLock { last in
      let start = max(last &+ 1, TaskID.first(at: now.milliseconds).rawValue)
      last = start + Int64(count) - 1
      return start..<(start + Int64(count))
    }
  }
}
