// SPDX-License-Identifier: Apache-2.0
// The attempts that an agent works on, and how many more it may take.

import Synchronization

/// What runs now, by attempt.
final class ExecutionTable: Sendable {
  private struct State {
    var running: [AttemptKey: AttemptProgress] = [:]
  }

  let concurrency: Int
  private let state = Mutex(State())
  /// Says that something changed, to the one task that waits for it.
  let changes: AsyncStream<Void>
  private let change: AsyncStream<Void>.Continuation

  init(concurrency: Int) {
    self.concurrency = max(concurrency, 1)
    (changes, change) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  var free: Int { state.withLock { max(concurrency - $0.running.count, 0) } }
  var running: [AttemptProgress] { state.withLock { Array($0.running.values) } }

  /// False if the attempt runs already.
  func add(_ attempt: AttemptProgress) -> Bool {
    state.withLock { state in
      guard state.running[attempt.dispatch.key] == nil else { return false }
      state.running[attempt.dispatch.key] = attempt
      return true
    }
  }

  func remove(_ attempt: AttemptProgress) {
    state.withLock { _ = $0.running.removeValue(forKey: attempt.dispatch.key) }
    change.yield()
  }

  /// Calls off what `isMeant`.
  func callOff(_ reason: CallOff, where isMeant: (Dispatch) -> Bool = { _ in true }) {
    for attempt in running where isMeant(attempt.dispatch) { attempt.callOff(reason) }
  }

  func wakeUp() { change.yield() }
}
