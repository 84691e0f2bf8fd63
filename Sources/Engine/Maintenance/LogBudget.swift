// SPDX-License-Identifier: Apache-2.0
// Keeps a log line that others can provoke from filling the disk.
import Synchronization

/// Lets ten lines a second through and counts the rest.
final class LogBudget: Sendable {
  private struct State {
    var second = Int64.min
    var said = 0
    var unsaid = 0
  }

  private static let perSecond = 10
  private let state = Mutex(State())

  /// Calls `log` with the number of lines that were left out since the last one, or leaves it out.
  ///
  /// - Parameter now: Milliseconds that never jump.
  func spend(now: Int64, _ log: (_ unsaid: Int) -> Void) {
    let unsaid: Int? = state.withLock { state in
      if state.second != now / 1_000 {
        state.second = now / 1_000
        state.said = 0
      }
      guard state.said < Self.perSecond else {
        state.unsaid += 1
        return nil
      }
      state.said += 1
      defer { state.unsaid = 0 }
      return state.unsaid
    }
    if let unsaid { log(unsaid) }
  }
}
