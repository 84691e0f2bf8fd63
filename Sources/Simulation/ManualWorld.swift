// SPDX-License-Identifier: Apache-2.0
// A world whose time stands still until a test moves it.
package import Domain
package import Engine
internal import Synchronization

/// Time moved by hand, and seeded randomness. Tasks that sleep wake when time passes their end, the
/// earliest first; a clock that is set wakes nobody.
package final class ManualWorld: Sendable {
  private struct Sleeper {
    var number: UInt64
    var until: Int64
    var continuation: CheckedContinuation<Void, any Error>
  }

  private struct State {
    var wall: Int64
    var uptime: Int64 = 0
    var chance: Chance
    var next: UInt64 = 0
    var sleepers: [Sleeper] = []
    /// Cancelled before they lay down.
    var cancelled: Set<UInt64> = []
  }

  private let state: Mutex<State>

  package init(
    now: Timestamp = Timestamp(milliseconds: 1_800_000_000_000), seed: UInt64 = 1
  ) {
    state = Mutex(State(wall: now.milliseconds, chance: Chance(seed: seed)))
  }

  /// What the engine is given.
  package var world: World {
    World(
      now: { self.now }, uptime: { self.state.withLock { $0.uptime } },
      nanoseconds: { self.state.withLock { UInt64(clamping: $0.uptime * 1_000_000) } },
      random: { self.state.withLock { $0.chance.next() } },
      sleep: { try await self.sleep($0) })
  }

  package var now: Timestamp { state.withLock { Timestamp(milliseconds: $0.wall) } }

  /// How many tasks are asleep.
  package var sleeping: Int { state.withLock { $0.sleepers.count } }

  /// Lets `milliseconds` pass.
  package func advance(_ milliseconds: Int64) {
    let woken = state.withLock { state in
      state.wall += milliseconds
      state.uptime += milliseconds
      let woken = state.sleepers.filter { $0.until <= state.uptime }
      state.sleepers.removeAll { $0.until <= state.uptime }
      return woken.sorted { ($0.until, $0.number) < ($1.until, $1.number) }
    }
    for sleeper in woken { sleeper.continuation.resume() }
  }

  /// Sets the wall clock, by so many milliseconds; no time passes.
  package func setClock(by milliseconds: Int64) {
    state.withLock { $0.wall += milliseconds }
  }

  private func sleep(_ milliseconds: Int64) async throws {
    let number = state.withLock { state in
      state.next += 1
      return state.next
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let isCancelled = state.withLock { state in
          guard state.cancelled.remove(number) == nil else { return true }
          let until = state.uptime + max(1, milliseconds)
          state.sleepers.append(
            Sleeper(number: number, until: until, continuation: continuation))
          return false
        }
        if isCancelled { continuation.resume(throwing: CancellationError()) }
      }
    } onCancel: {
      wake(number)
    }
  }

  /// Ends a sleep by cancellation.
  private func wake(_ number: UInt64) {
    let sleeper: Sleeper? = state.withLock { state in
      guard let index = state.sleepers.firstIndex(where: { $0.number == number }) else {
        state.cancelled.insert(number)
        return nil
      }
      return state.sleepers.remove(at: index)
    }
    sleeper?.continuation.resume(throwing: CancellationError())
  }
}
