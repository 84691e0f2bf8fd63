// SPDX-License-Identifier: Apache-2.0
// New tasks: at once, or staged in several transactions.
internal import Domain
internal import Engine

extension Writer {
  /// Stores a batch within this transaction, or nothing of it if a key conflicts.
  func submit(
    _ tasks: [TaskInsert], claiming claims: [ClaimRequest]
  ) throws(StoreError) -> (SubmitResult, [ClaimedTask?]) {
    let known: [Int: Int64]
    var claimed = [ClaimedTask?](repeating: nil, count: claims.count)
    switch try checkKeys(of: tasks) {
    case .conflict(let index): return (.conflict(index: index), claimed)
    case .known(let ids): known = ids
    }
    var stored: [SubmitResult.Stored] = []
    stored.reserveCapacity(tasks.count)
    for index in tasks.indices {
      let demand = try demands.id(of: tasks[index].task.demand)
      if !known.isEmpty, let id = known[index] {
        stored.append(.init(id: TaskID(rawValue: id), isNew: false, demand: demand))
        continue
      }
      stored.append(.init(id: tasks[index].id, isNew: true, demand: demand))
      if let claim = claims.firstIndex(where: { $0.id == tasks[index].id }) {
        claimed[claim] = try write(tasks[index], demand, claims[claim])
        counters.add(1, to: .running, of: demand)
      } else {
        try write(tasks[index], demand)
        counters.add(1, to: .queued, of: demand)
      }
    }
    return (.stored(stored), claimed)
  }

  private enum KeyCheck {
    case conflict(Int)
    /// The ids of tasks whose key was used before, by their place in the batch.
    case known([Int: Int64])
  }

  /// Reads only, so that a conflict leaves no trace.
  private func checkKeys(of tasks: [TaskInsert]) throws(StoreError) -> KeyCheck {
    var known: [Int: Int64] = [:]
    var ofBatch: [String: (id: Int64, hash: [UInt8])] = [:]
    for index in tasks.indices {
      guard let key = tasks[index].task.idempotencyKey else { continue }
      let hash = tasks[index].bodyHash ?? []
      var first = ofBatch[key]
      if first == nil { first = try storedKey(key) }
      if let first {
        guard first.hash == hash else { return .conflict(index) }
        known[index] = first.id
      } else {
        ofBatch[key] = (tasks[index].id.rawValue, hash)
      }
    }
    return .known(known)
  }

  private func storedKey(_ key: String) throws(StoreError) -> (id: Int64, hash: [UInt8])? {
    let select = statements.selectKey
    try select.bind(1, text: key)
    defer { select.reset() }
    return try select.step() ? (select.int64(0), select.bytes(1)) : nil
  }

  private func write(_ insert: TaskInsert, _ demand: DemandID) throws(StoreError) {
    try writeTask(insert, demand)
    try writeQueued(insert, demand)
    try writeKey(of: insert)
  }

  /// A task that is given out at once.
  private func write(
    _ insert: TaskInsert, _ demand: DemandID, _ claim: ClaimRequest
  ) throws(StoreError) -> ClaimedTask {
    let task = insert.task
    let timeout = task.timeout ?? claim.defaultTimeout
    let running = RunningTask(
      id: insert.id, demand: demand, key: task.key, priority: task.priority, agent: claim.agent,
      attempt: 1, token: claim.token, failures: 0, retry: task.retry ?? RetryPolicy(),
      startedAt: claim.now, leaseUntil: claim.now.adding(milliseconds: claim.lease ?? timeout),
      timeoutAt: claim.now.adding(milliseconds: timeout), deadline: task.deadline,
      trace: task.trace, labels: task.labels)
    try writeTask(insert, demand)
    try writeRunning(running)
    try writeKey(of: insert)
    return ClaimedTask(running: running, payload: task.payload, timeout: timeout)
  }

  private func writeKey(of insert: TaskInsert) throws(StoreError) {
    guard let key = insert.task.idempotencyKey else { return }
    let keys = statements.insertKey
    try keys.bind(1, text: key)
    try keys.bind(2, insert.id.rawValue)
    try keys.bind(3, blob: insert.bodyHash ?? [])
    try keys.run()
  }

  private func writeTask(_ insert: TaskInsert, _ demand: DemandID) throws(StoreError) {
    let row = statements.insertTask
    try row.bind(1, insert.id.rawValue)
    try row.bind(2, Int64(demand.rawValue))
    try row.bind(4, Int64(insert.task.priority))
    let isPlain = insert.task.isPlain
    if !isPlain || !taskRowIsPlain { try bindOptions(of: insert.task, to: row) }
    taskRowIsPlain = isPlain
    try row.run(bindingInPlace: insert.task.payload, to: 12)
  }

  private func bindOptions(of task: NewTask, to row: Statement) throws(StoreError) {
    try row.bind(3, text: task.key)
    try row.bind(5, utf8: task.labels.isEmpty ? nil : Encoding.text(task.labels))
    try row.bind(6, task.runAt)
    try row.bind(7, task.deadline)
    try row.bind(8, task.timeout)
    try row.bind(9, text: Encoding.text(task.retry))
    try row.bind(10, text: task.idempotencyKey)
    try row.bind(11, task.retryOf?.rawValue)
    try row.bind(13, text: task.trace?.stored)
  }

  private func writeQueued(_ insert: TaskInsert, _ demand: DemandID) throws(StoreError) {
    let row = statements.insertQueued
    try row.bind(1, insert.id.rawValue)
    try row.bind(2, Int64(demand.rawValue))
    try row.bind(3, text: insert.task.key)
    try row.bind(4, Int64(insert.task.priority))
    try row.bind(5, insert.task.runAt)
    try row.bind(6, insert.task.deadline)
    try row.run()
  }

  private func writeRunning(_ running: RunningTask) throws(StoreError) {
    let row = statements.insertRunning
    try row.bind(1, running.id.rawValue)
    try row.bind(2, Int64(running.demand.rawValue))
    try row.bind(3, text: running.key)
    try row.bind(4, Int64(running.priority))
    try row.bind(5, running.deadline)
    try row.bind(6, text: running.agent.text)
    try row.bind(7, running.token)
    try row.bind(8, running.startedAt.milliseconds)
    try row.bind(9, running.leaseUntil.milliseconds)
    try row.bind(10, running.timeoutAt.milliseconds)
    try row.run()
  }

  // MARK: Staged

  /// Writes a part of a bulk.
  func stage(_ tasks: [TaskInsert], in bulk: Bulk) throws(StoreError) -> [DemandID] {
    guard !bulk.isAbandoned else { return [] }
    if staged.open(bulk.ids) {
      let mark = try statement("INSERT INTO bulk (first, last) VALUES (?1, ?2)")
      try mark.bind(1, bulk.ids.lowerBound)
      try mark.bind(2, bulk.ids.upperBound)
      try mark.run()
    }
    var numbers: [DemandID] = []
    numbers.reserveCapacity(tasks.count)
    for index in tasks.indices {
      let demand = try demands.id(of: tasks[index].task.demand)
      try write(tasks[index], demand)
      numbers.append(demand)
    }
    staged.add(numbers, to: bulk.ids)
    return numbers
  }

  func publish(_ bulk: Bulk) throws(StoreError) {
    for (demand, count) in staged.counts(of: bulk.ids) {
      counters.add(count, to: .queued, of: demand)
    }
    try unmark(bulk.ids)
  }

  /// Rows of a failed bulk that one transaction removes.
  private static let discardedRows = 750

  /// Removes the next rows of a bulk that failed; true once nothing is left.
  func discard(_ bulk: Bulk) throws(StoreError) -> Bool {
    for table in ["queue", "tasks"] {
      let delete = try statement(
        """
        DELETE FROM \(table) WHERE id IN
          (SELECT id FROM \(table) WHERE id BETWEEN ?1 AND ?2 LIMIT \(Self.discardedRows))
        """)
      try delete.bind(1, bulk.ids.lowerBound)
      try delete.bind(2, bulk.ids.upperBound)
      try delete.run()
      if delete.changes == Self.discardedRows { return false }
    }
    try unmark(bulk.ids)
    return true
  }

  private func unmark(_ range: ClosedRange<Int64>) throws(StoreError) {
    let delete = try statement("DELETE FROM bulk WHERE first = ?1")
    try delete.bind(1, range.lowerBound)
    try delete.run()
    staged.close(range)
  }
}

extension NewTask {
  /// Whether it has none of the columns that most tasks leave empty.
  fileprivate var isPlain: Bool {
    key == nil && labels.isEmpty && runAt == nil && deadline == nil && timeout == nil
      && retry == nil && idempotencyKey == nil && retryOf == nil && trace == nil
  }
}
