// SPDX-License-Identifier: Apache-2.0
// Pull agents that wait for work.
import Domain
import Synchronization

/// The lease requests that are waiting, per agent in the order they came.
final class LeasePolls: Sendable {
  struct Poll {
    var number: UInt64
    var wanted: Int
    var until: Timestamp
    var continuation: CheckedContinuation<[ClaimedTask], Never>
  }

  fileprivate struct State {
    var next: UInt64 = 0
    var waiting: [AgentID: [Poll]] = [:]
    var count = 0
  }

  private let state = Mutex(State())
  private let most: Int

  init(most: Int) { self.most = most }

  var isEmpty: Bool { state.withLock { $0.count == 0 } }
  var isFull: Bool { state.withLock { $0.count >= most } }

  func newNumber() -> UInt64 {
    state.withLock { state in
      state.next += 1
      return state.next
    }
  }

  /// False if too many wait already.
  func enter(_ poll: Poll, agent: AgentID) -> Bool {
    state.withLock { state in
      guard state.count < most else { return false }
      state.waiting[agent, default: []].append(poll)
      state.count += 1
      return true
    }
  }

  /// Takes out a poll that waits no longer; nil if it was served.
  func leave(_ number: UInt64, agent: AgentID) -> Poll? {
    state.withLock { state -> Poll? in
      guard let index = state.waiting[agent]?.firstIndex(where: { $0.number == number }) else {
        return nil
      }
      return state.remove(at: index, agent)
    }
  }

  /// The poll that has waited longest for this agent.
  func first(for agent: AgentID) -> Poll? {
    state.withLock { state -> Poll? in
      guard state.waiting[agent]?.isEmpty == false else { return nil }
      return state.remove(at: 0, agent)
    }
  }

  /// Takes out those whose time is over.
  func expired(
    now: Timestamp, except served: Set<AgentID> = []
  ) -> [(agent: AgentID, poll: Poll)] {
    state.withLock { state in
      guard state.count > 0 else { return [] }
      var over: [(AgentID, Poll)] = []
      for agent in state.waiting.keys.sorted() where !served.contains(agent) {
        while let index = state.waiting[agent]?.firstIndex(where: { $0.until <= now }),
          let poll = state.remove(at: index, agent)
        {
          over.append((agent, poll))
        }
      }
      return over
    }
  }
}

extension LeasePolls.State {
  fileprivate mutating func remove(at index: Int, _ agent: AgentID) -> LeasePolls.Poll? {
    guard let poll = waiting[agent]?.remove(at: index) else { return nil }
    count -= 1
    if waiting[agent]?.isEmpty == true { waiting[agent] = nil }
    return poll
  }
}
