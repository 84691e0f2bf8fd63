// SPDX-License-Identifier: Apache-2.0
// One at a time, in the order of coming, for steps that wait in between.
package import Domain
import Synchronization

/// A fair lock that may be held over suspensions. Not reentrant: what holds it must not ask again.
package final class AsyncLock: Sendable {
  private struct State {
    var isHeld = false
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())

  package init() {}

  /// Runs `body` alone. A caller that is cancelled while it waits still gets its turn.
  package func hold<Value: Sendable>(
    _ body: () async throws(ControlError) -> Value
  ) async throws(ControlError) -> Value {
    await enter()
    defer { leave() }
    return try await body()
  }

  private func enter() async {
    await withCheckedContinuation { continuation in
      let isFree = state.withLock { state in
        if state.isHeld { state.waiting.append(continuation) }
        defer { state.isHeld = true }
        return !state.isHeld
      }
      if isFree { continuation.resume() }
    }
  }

  private func leave() {
    let next: CheckedContinuation<Void, Never>? = state.withLock { state in
      guard !state.waiting.isEmpty else {
        state.isHeld = false
        return nil
      }
      return state.waiting.removeFirst()
    }
    next?.resume()
  }
}
