// SPDX-License-Identifier: Apache-2.0
// What is due: leases, timeouts, deadlines, delayed tasks, rate limits, silent agents.
package import Domain
import HeapModule

extension Scheduler {
  package enum Lapse: Sendable { case lease, timeout, deadline }

  /// What the shell has to do after a tick.
  package struct Due: Sendable {
    /// Running attempts that ended by time.
    package var lapsed: [(task: RunningTask, why: Lapse)] = []
    /// Queued tasks past their own deadline.
    package var pastDeadline: [TaskID] = []
    /// Something became ready or free.
    package var mayPlan = false
  }

  /// When `tick` is needed next.
  package var nextDue: Timestamp? { timers.min.map { Timestamp(milliseconds: $0.at) } }

  package mutating func tick(now: Timestamp) -> Due {
    var due = Due()
    while let timer = timers.min, timer.at <= now.milliseconds {
      timers.removeMin()
      fire(timer, now: now, due: &due)
    }
    due.mayPlan = due.mayPlan || !candidates.isEmpty || !freedAgents.isEmpty || !freedTypes.isEmpty
    return due
  }

  private mutating func fire(_ timer: Timer, now: Timestamp, due: inout Due) {
    let id = TaskID(rawValue: timer.id)
    switch timer.kind {
    case .lease: lapse(id, now: now, due: &due)
    case .delayed:
      guard let task = delayed[id], task.notBefore <= now else { return }
      delayed[id] = nil
      makeReady(id, demand: task.demand, key: task.key, priority: task.priority)
    case .deadline:
      guard deadlines.contains(id) else { return }
      // The end of a running attempt is its lease's timer's; back in the queue it gets a new one.
      if running[id] != nil { deadlines.remove(id) } else { due.pastDeadline.append(id) }
    case .type: wakeType(Int(timer.id), now: now)
    case .agent: freedAgents.insert(Int(timer.id))
    case .ghost:
      guard let ghost = ghosts[id], ghost.until <= now else { return }
      ghosts[id] = nil
      free(agent: ghost.agent)
    }
  }

  private mutating func lapse(_ id: TaskID, now: Timestamp, due: inout Due) {
    guard let entry = running[id], !entry.isExpiring else { return }
    let task = entry.task
    guard task.due <= now else {
      timers.insert(Timer(at: task.due.milliseconds, id: id.rawValue, kind: .lease))
      return
    }
    running[id]?.isExpiring = true
    if let deadline = task.deadline, deadline <= now {
      due.lapsed.append((task, .deadline))
    } else {
      due.lapsed.append((task, task.timeoutAt <= now ? .timeout : .lease))
    }
  }

  /// The end by time could not be written: try again at `at`.
  package mutating func lapseFailed(_ id: TaskID, again at: Timestamp) {
    guard running[id] != nil else { return }
    running[id]?.isExpiring = false
    timers.insert(Timer(at: at.milliseconds, id: id.rawValue, kind: .lease))
  }

  package mutating func deadlineFailed(_ id: TaskID, again at: Timestamp) {
    guard deadlines.contains(id) else { return }
    timers.insert(Timer(at: at.milliseconds, id: id.rawValue, kind: .deadline))
  }

  private mutating func wakeType(_ type: Int, now: Timestamp) {
    types[type].wakeAt = nil
    if types[type].bucket != nil { freedTypes.insert(type) }
    while let key = types[type].nextDueKey(now: now) { unpark(key, of: type) }
    if let next = types[type].nextKeyDue { wake(type: type, at: next) }
  }

  /// Forgets keys that hold nothing; for once in a while.
  package mutating func sweepKeys(now: Timestamp) {
    for type in types.indices { types[type].forgetIdleKeys(now: now) }
  }

  /// Drops timers of what is over, once they are the greater part.
  mutating func compactTimers() {
    let live = running.count + delayed.count + deadlines.count + ghosts.count
    guard timers.count > 2 * live + 4_096 else { return }
    timers = Heap(timers.unordered.filter(isAlive))
  }

  private func isAlive(_ timer: Timer) -> Bool {
    let id = TaskID(rawValue: timer.id)
    return switch timer.kind {
    case .lease: running[id] != nil
    case .delayed: delayed[id] != nil
    case .deadline: deadlines.contains(id)
    case .ghost: ghosts[id] != nil
    case .type, .agent: true
    }
  }

  /// The wall clock was set: what runs keeps the time that it had left.
  package mutating func shift(by delta: Int64) {
    for id in running.keys {
      guard var task = running[id]?.task else { continue }
      task.startedAt = task.startedAt.adding(milliseconds: delta)
      task.leaseUntil = task.leaseUntil.adding(milliseconds: delta)
      task.timeoutAt = task.timeoutAt.adding(milliseconds: delta)
      running[id]?.task = task
      timers.insert(Timer(at: task.due.milliseconds, id: id.rawValue, kind: .lease))
    }
    for id in ghosts.keys {
      guard let until = ghosts[id]?.until.adding(milliseconds: delta) else { continue }
      ghosts[id]?.until = until
      timers.insert(Timer(at: until.milliseconds, id: id.rawValue, kind: .ghost))
    }
    for index in agents.indices {
      agents[index]?.shift(by: delta)
      wakeBreaker(index)
      guard let until = agents[index]?.pausedUntil else { continue }
      timers.insert(Timer(at: until.milliseconds, id: Int64(index), kind: .agent))
    }
    for type in types.indices {
      types[type].shift(by: delta)
      guard let at = types[type].wakeAt else { continue }
      timers.insert(Timer(at: at.milliseconds, id: Int64(type), kind: .type))
    }
  }
}
