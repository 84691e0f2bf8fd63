// SPDX-License-Identifier: Apache-2.0
// Signed ids of lease requests, remembered so that a repeat is noticed.
import Domain
import Synchronization

/// Remembers for ten minutes; bounded, the oldest go first.
final class ReplayMemory: Sendable {
  fileprivate struct Entry: Hashable {
    var agent: AgentID
    var signedID: String
  }

  fileprivate struct State {
    var known: Set<Entry> = []
    var order: [(entry: Entry, at: Timestamp)] = []
    var first = 0
  }

  private static let most = 200_000
  private let state = Mutex(State())

  /// False if this request was seen before.
  func isFirst(_ agent: AgentID, _ signedID: String, now: Timestamp) -> Bool {
    let entry = Entry(agent: agent, signedID: signedID)
    return state.withLock { state in
      state.forget(before: now.adding(milliseconds: -Limits.replayMemory), most: Self.most)
      guard state.known.insert(entry).inserted else { return false }
      state.order.append((entry, now))
      return true
    }
  }
}

extension ReplayMemory.State {
  fileprivate mutating func forget(before time: Timestamp, most: Int) {
    while first < order.count, order[first].at < time || order.count - first >= most {
      known.remove(order[first].entry)
      first += 1
    }
    guard first > 1_024, first > order.count / 2 else { return }
    order.removeFirst(first)
    first = 0
  }
}
