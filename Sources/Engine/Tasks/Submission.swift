// SPDX-License-Identifier: Apache-2.0
// Takes new tasks in.
package import Domain
import Synchronization

extension Engine {
  package struct Submitted: Sendable {
    package var id: TaskID
    /// False: an equal task with the same idempotency key was there before.
    package var isNew: Bool
  }

  /// A validated task with the hash that tells equal repeats of its idempotency key.
  package struct Submission: Sendable {
    package var task: NewTask
    package var bodyHash: [UInt8]?

    package init(task: NewTask, bodyHash: [UInt8]?) {
      self.task = task
      self.bodyHash = bodyHash
    }
  }

  /// Stores tasks, all or none, and returns after the commit.
  package func submit(_ batch: [Submission]) async throws(ControlError) -> [Submitted] {
    let now = world.now()
    try checkRoom(for: batch)
    let ids = ids.next(batch.count, now: now)
    var inserts = zip(ids, batch).map { id, item in
      TaskInsert(id: TaskID(rawValue: id), task: item.task, bodyHash: item.bodyHash)
    }
    if inserts.count == 1, isOpen {
      inserts[0].claim = core.withLock {
        $0.claimAhead(inserts[0], now: now, random: world.random)
      }
    }
    switch try await store(inserts) {
    case .conflict(let index):
      giveUpClaims(of: inserts)
      throw ControlError(
        .idempotencyConflict,
        "This idempotency key was used before for a task with another body.",
        path: batch.count > 1 ? "[\(index)].idempotencyKey" : "idempotencyKey")
    case .stored(let stored):
      take(inserts, stored, now: now)
      return stored.map { Submitted(id: $0.id, isNew: $0.isNew) }
    }
  }

  private func store(_ inserts: [TaskInsert]) async throws(ControlError) -> SubmitResult {
    do throws(ControlError) {
      return try await stored { () throws(StoreError) in try await store.submit(inserts) }
    } catch {
      giveUpClaims(of: inserts)
      throw error
    }
  }

  private func giveUpClaims(of inserts: [TaskInsert]) {
    guard inserts.contains(where: { $0.claim != nil }) else { return }
    core.withLock { core in
      for insert in inserts where insert.claim != nil { core.claimAheadFailed(insert.id) }
    }
    kick()
  }

  func checkRoom(for batch: [Submission]) throws(ControlError) {
    try checkRoom(forTasks: batch.count)
    try checkDemands(of: batch)
  }

  func checkRoom(forTasks count: Int) throws(ControlError) {
    let queued = core.withLock { $0.queued }
    guard queued + count <= limits.queuedTasks else {
      throw ControlError(
        .limitReached, "\(queued) tasks are queued; the limit is \(limits.queuedTasks).",
        retryAfter: 5)
    }
  }

  func checkDemands(of batch: [Submission]) throws(ControlError) {
    let (demands, new) = knownDemands.withLock { known in
      guard known.count + batch.count > limits.demands else { return (known.count, 0) }
      return (known.count, Set(batch.map(\.task.demand)).subtracting(known).count)
    }
    guard new == 0 || demands + new <= limits.demands else {
      throw ControlError(
        .limitReached,
        "There are \(demands) combinations of type, agentType, requires and selector; no more fit.")
    }
  }

  private func take(
    _ inserts: [TaskInsert], _ stored: [SubmitResult.Stored], now: Timestamp
  ) {
    core.withLock { core in
      for (insert, stored) in zip(inserts, stored) {
        if insert.claim != nil {
          finishClaim(of: insert.id, stored, &core)
        } else if stored.isNew {
          enqueue(insert, stored.demand, &core, now: now)
        }
      }
    }
    kick()
  }

  func enqueue(
    _ insert: TaskInsert, _ demand: DemandID, _ core: inout Scheduler, now: Timestamp
  ) {
    let task = insert.task
    if !core.knows(demand) {
      core.add(demand, task.demand, now: now)
      knownDemands.withLock { _ = $0.insert(task.demand) }
    }
    core.enqueue(
      insert.id, demand: demand, key: task.key, priority: task.priority, notBefore: task.runAt,
      deadline: task.deadline, now: now)
  }

  /// A task that was given out in the commit that stored it.
  private func finishClaim(
    of id: TaskID, _ stored: SubmitResult.Stored, _ core: inout Scheduler
  ) {
    guard stored.isNew else { return core.claimAheadFailed(id) }
    if let task = core.claimed(id, stored.claimed) {
      claimedAhead.withLock { $0.append(task) }
    }
  }
}
