// SPDX-License-Identifier: Apache-2.0
// Limits hold at every moment; at the end nothing is held.
import Domain
import Engine

extension Simulator {
  /// No agent, type or key runs more than it may.
  func checkLimits() throws(Violation) {
    var perAgent: [AgentID: Int] = [:]
    var perType = 0
    var perKey: [String: Int] = [:]
    for task in disk.unfinished {
      guard let running = task.running else { continue }
      perAgent[running.agent, default: 0] += 1
      guard disk.task(task.id)?.demand.type == settings.type else { continue }
      perType += 1
      if let key = task.key { perKey[key, default: 0] += 1 }
    }
    for agent in agents where perAgent[agent.id] ?? 0 > agent.concurrency {
      throw Violation(promise: "bounds", detail: "\(agent.id) runs more than \(agent.concurrency)")
    }
    if let most = settings.limits.concurrency, perType > most {
      throw Violation(promise: "bounds", detail: "\(perType) of a type run; \(most) may")
    }
    if let most = settings.perKey.concurrency,
      let key = perKey.filter({ $0.value > most }).keys.min()
    {
      throw Violation(promise: "bounds", detail: "more than \(most) of the key \(key) run")
    }
  }

  /// No task outlives its own deadline while the server runs.
  func checkDeadlines() throws(Violation) {
    guard let plane, plane.startedAt.milliseconds(since: clock) < -Self.grace else { return }
    for task in disk.unfinished {
      guard let deadline = task.deadline ?? task.running?.deadline,
        clock.milliseconds(since: deadline) > Self.grace
      else { continue }
      throw Violation(promise: "liveness", detail: "\(task.id) outlived its deadline")
    }
  }

  /// Milliseconds that a tick and its commits may take.
  private static let grace: Int64 = 500

  /// After the healing: every task has ended, every slot is free, every count is right.
  func checkRest() throws(Violation) {
    guard let plane, plane.isAtRest, plane.slotsInUse(of: agents) == 0 else {
      throw Violation(promise: "liveness", detail: "something is still held though all tasks ended")
    }
    var counted: [String: TypeCounts] = [:]
    for task in disk.list(TaskQuery.everything).tasks {
      counted[task.demand.type, default: TypeCounts()][task.state] += 1
    }
    for (type, counts) in disk.counts where counts != counted[type] ?? TypeCounts() {
      throw Violation(promise: "bounds", detail: "the counts of \(type) are wrong")
    }
  }
}

extension TaskQuery {
  fileprivate static var everything: TaskQuery {
    var query = TaskQuery()
    query.limit = .max
    return query
  }
}
