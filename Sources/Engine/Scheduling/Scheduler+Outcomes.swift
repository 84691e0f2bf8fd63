// SPDX-License-Identifier: Apache-2.0
// What the store's answers to reports, ends and renewals mean for queue and slots.
package import Domain
import HeapModule

extension Scheduler {
  package func runningTask(_ id: TaskID) -> RunningTask? { running[id]?.task }

  package var runningCount: Int { running.count }

  package func tasks(heldBy agent: AgentID) -> [RunningTask] {
    guard let index = agentIndex[agent] else { return [] }
    return running.values.filter { $0.agent == index }.map(\.task).sorted { $0.id < $1.id }
  }

  /// A report of the running attempt was committed. True if the task is in the queue again.
  @discardableResult
  package mutating func settled(
    _ id: TaskID, attempt: Int, _ settlement: Settlement, now: Timestamp
  ) -> Bool {
    guard let entry = running[id], entry.task.attempt == attempt else { return false }
    running[id] = nil
    let took = now.milliseconds(since: entry.task.startedAt)
    if agents.indices.contains(entry.agent) { agents[entry.agent]?.measured(took) }
    free(agent: entry.agent)
    finishType(of: entry.demand, key: entry.task.key)
    guard settlement.state == .queued, !entry.endedEarly else {
      deadlines.remove(id)
      return false
    }
    requeue(entry, notBefore: settlement.notBefore, now: now)
    return true
  }

  /// An attempt was put back without a failure. True if the task is in the queue again.
  @discardableResult
  package mutating func released(
    _ id: TaskID, attempt: Int, notBefore: Timestamp?, now: Timestamp
  ) -> Bool {
    guard let entry = running[id], entry.task.attempt == attempt else { return false }
    running[id] = nil
    free(agent: entry.agent)
    finishType(of: entry.demand, key: entry.task.key)
    guard !entry.endedEarly else {
      deadlines.remove(id)
      return false
    }
    requeue(entry, notBefore: notBefore, now: now)
    return true
  }

  private mutating func requeue(_ entry: Running, notBefore: Timestamp?, now: Timestamp) {
    let notBefore = entry.isHastened ? nil : notBefore
    enqueue(
      entry.task.id, demand: DemandID(rawValue: Int32(entry.demand)), key: entry.task.key,
      priority: entry.task.priority, notBefore: notBefore, deadline: entry.task.deadline,
      now: now)
  }

  /// An end by the operator or by the deadline was committed. Returns the attempt whose agent has
  /// to
  /// be told; its slot stays taken until the agent reports or the lease ends.
  package mutating func ended(_ id: TaskID, _ result: EndResult) -> RunningTask? {
    switch result {
    case .notFound, .alreadyEnded: return nil
    case .wasQueued:
      endQueued(id)
      return nil
    case .wasRunning(let task):
      deadlines.remove(id)
      if claiming[id] != nil {
        claiming[id]?.endedEarly = true
        queued -= 1
        return nil
      }
      guard let entry = running.removeValue(forKey: id) else { return nil }
      finishType(of: entry.demand, key: entry.task.key)
      haunt(entry, isCancelled: true)
      return task
    }
  }

  private mutating func endQueued(_ id: TaskID) {
    deadlines.remove(id)
    if delayed.removeValue(forKey: id) != nil {
      queued -= 1
    } else if claiming[id] != nil {
      claiming[id]?.endedEarly = true
      queued -= 1
    } else if running[id] != nil {
      running[id]?.endedEarly = true
    } else if missed.remove(id) == nil {
      queued -= 1
      dead.insert(id.rawValue)
      sweepDead()
    }
  }

  /// A claim found nothing to claim; the news of its end is on the way.
  mutating func forgetQueued(_ id: TaskID) {
    queued -= 1
    deadlines.remove(id)
    missed.insert(id)
  }

  private mutating func sweepDead() {
    guard dead.count > 1_000, dead.count > queued / 2 else { return }
    for index in demands.indices { demands[index]?.ready.remove(&dead) }
  }

  // MARK: Ghosts

  /// Keeps the slot of an attempt taken that its agent may still be working on.
  mutating func haunt(_ entry: Running, isCancelled: Bool) {
    guard agents.indices.contains(entry.agent), agents[entry.agent] != nil else { return }
    ghosts[entry.task.id] = Ghost(
      agent: entry.agent, attempt: entry.task.attempt, token: entry.task.token,
      until: entry.task.leaseUntil, isCancelled: isCancelled)
    timers.insert(
      Timer(at: entry.task.leaseUntil.milliseconds, id: entry.task.id.rawValue, kind: .ghost))
  }

  /// The agent reported an attempt that was over: its slot is free. True if there was such a one.
  package mutating func exorcise(_ id: TaskID, agent: AgentID) -> Bool {
    guard let ghost = ghosts[id], agentIndex[agent] == ghost.agent else { return false }
    ghosts[id] = nil
    free(agent: ghost.agent)
    return true
  }

  /// Whether this agent still holds an attempt of the task that was cancelled.
  package func isCancelled(_ id: TaskID, heldBy agent: AgentID) -> Bool {
    guard let ghost = ghosts[id] else { return false }
    return ghost.isCancelled && agentIndex[agent] == ghost.agent
  }

  // MARK: Leases and time

  /// The new lease of a running attempt if it is renewed now, never beyond its end; nil if it is
  /// over, or about to be ended by time.
  package func renewal(_ id: TaskID, now: Timestamp) -> Timestamp? {
    guard let entry = running[id], !entry.isExpiring else { return nil }
    let agent = agents.indices.contains(entry.agent) ? agents[entry.agent] : nil
    let timeout = entry.task.timeoutAt.milliseconds(since: entry.task.startedAt)
    let lease = agent?.record.lease(timeout: timeout) ?? 30_000
    return min(now.adding(milliseconds: lease), entry.task.endsAt)
  }

  package mutating func renewed(_ id: TaskID, attempt: Int, until: Timestamp) {
    guard let task = running[id]?.task, task.attempt == attempt else { return }
    running[id]?.task.leaseUntil = max(until, task.leaseUntil)
  }

  /// Lets a delayed task run now, after its commit; one whose failure is not known here yet, as
  /// soon as it is.
  package mutating func hastened(_ id: TaskID) {
    running[id]?.isHastened = true
    guard let task = delayed.removeValue(forKey: id) else { return }
    makeReady(id, demand: task.demand, key: task.key, priority: task.priority)
  }
}
