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
    let inserts = zip(ids, batch).map { id, item in
      TaskInsert(id: TaskID(rawValue: id), task: item.task, bodyHash: item.bodyHash)
    }
    let claims = claimsAhead(inserts, now: now)
    let (result, claimed) = try await store(inserts, claims)
    if case .stored(let stored) = result {
      core.withLock { announce(zip(inserts, stored).filter { $1.isNew }.map(\.0), $0) }
    }
    finish(claims, claimed)
    if !isOpen { await putBackClaimedAhead() }
    switch result {
    case .conflict(let index):
      throw ControlError(
        .idempotencyConflict,
        "This idempotency key was used before for a task with another body.",
        path: batch.count > 1 ? "[\(index)].idempotencyKey" : "idempotencyKey")
    case .stored(let stored):
      take(inserts, stored, except: claims, now: now)
      meterSubmissions(zip(inserts, stored).filter { $1.isNew }.map(\.0))
      return stored.map { Submitted(id: $0.id, isNew: $0.isNew) }
    }
  }

  /// What may start in the commit that stores it. A batch of several is left to the queue.
  private func claimsAhead(_ inserts: [TaskInsert], now: Timestamp) -> [ClaimRequest] {
    guard inserts.count == 1, let insert = inserts.first, mayDispatch else { return [] }
    let claim = core.withLock { $0.claimAhead(insert, now: now, random: world.random) }
    return claim.map { [$0] } ?? []
  }

  private func store(
    _ inserts: [TaskInsert], _ claims: [ClaimRequest]
  ) async throws(ControlError) -> (SubmitResult, [ClaimedTask?]) {
    do throws(StoreError) {
      return try await timed(.submit) { () throws(StoreError) in
        try await store.submit(inserts, claiming: claims)
      }
    } catch {
      finish(claims, claims.map { _ in nil })
      throw error.asControlError
    }
  }

  private func finish(_ claims: [ClaimRequest], _ claimed: [ClaimedTask?]) {
    if claims.isEmpty { return }
    core.withLock { core in
      for (claim, task) in zip(claims, claimed) {
        if task == nil {
          core.claimAheadFailed(claim.id)
        } else if let task = core.claimed(claim.id, task) {
          announce(task, core)
          claimedAhead.withLock { $0.append(task) }
        }
      }
    }
    kick()
  }

  func checkRoom(for batch: [Submission]) throws(ControlError) {
    try checkRoom(forTasks: batch.count)
    var new: Set<Demand> = []
    try checkDemands(of: batch, besides: &new)
  }

  func checkRoom(forTasks count: Int) throws(ControlError) {
    let queued = core.withLock { $0.queued }
    guard queued + count <= limits.queuedTasks else {
      throw ControlError(
        .limitReached, "\(queued) tasks are queued; the limit is \(limits.queuedTasks).",
        retryAfter: 5)
    }
  }

  /// - Parameter new: Demands that earlier parts of the same bulk brought; those of `batch` are
  ///   added.
  func checkDemands(
    of batch: [Submission], besides new: inout Set<Demand>
  ) throws(ControlError) {
    let known = knownDemands.withLock { known in
      var last: Demand?
      for item in batch where item.task.demand != last {
        last = item.task.demand
        if !known.contains(item.task.demand) { new.insert(item.task.demand) }
      }
      return known.count
    }
    guard new.isEmpty || known + new.count <= limits.demands else {
      throw ControlError(
        .limitReached,
        "There are \(known) combinations of type, agentType, requires and selector; no more fit.")
    }
  }

  /// The dispatcher has ended: nobody would hand them over.
  private func putBackClaimedAhead() async {
    let stranded = claimedAhead.withLock { tasks in
      defer { tasks.removeAll() }
      return tasks
    }
    await putBack(stranded.map(\.running))
  }

  private func take(
    _ inserts: [TaskInsert], _ stored: [SubmitResult.Stored], except claims: [ClaimRequest],
    now: Timestamp
  ) {
    core.withLock { core in
      for (insert, stored) in zip(inserts, stored) where stored.isNew {
        if claims.contains(where: { $0.id == insert.id }) { continue }
        enqueue(insert, stored.demand, &core, now: now)
      }
    }
    kick()
  }

  func meterSubmissions(_ inserts: [TaskInsert]) {
    guard let first = inserts.first?.task.demand.type else { return }
    // Batches are mostly of one type.
    let others = inserts.filter { $0.task.demand.type != first }
    meters.submitted(first, inserts.count - others.count)
    meterSubmissions(others)
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
}
