// SPDX-License-Identifier: Apache-2.0
// Tasks that ended in the queue and whose spans have not been made.
import DequeModule
import Synchronization

/// A bounded queue with one reader at a time.
package final class QueueEnds: Sendable {
  package static let most = 1_024

  private struct State {
    var waiting: Deque<EndRequest> = []
    var isRead = false
  }

  private let state = Mutex(State())

  package init() {}

  /// - Returns: false if there is no room.
  package func add(_ request: EndRequest) -> Bool {
    state.withLock { state in
      guard state.waiting.count < Self.most else { return false }
      state.waiting.append(request)
      return true
    }
  }

  /// - Returns: whether the caller is to read.
  package func begin() -> Bool {
    state.withLock { state in
      guard !state.isRead else { return false }
      state.isRead = true
      return true
    }
  }

  /// Nil once all is read; the reader is done with that.
  package func next() -> EndRequest? {
    state.withLock { state in
      let next = state.waiting.popFirst()
      if next == nil { state.isRead = false }
      return next
    }
  }

  /// The reader cannot read; the next one will.
  package func pause() { state.withLock { $0.isRead = false } }
}
