// SPDX-License-Identifier: Apache-2.0
// New tasks: at once, or staged in several transactions.
internal import Domain
internal import Engine

extension Writer {
  /// Stores a batch within this transaction, or nothing of it if a key conflicts.
  func submit(_ tasks: [TaskInsert]) throws(StoreError) -> SubmitResult {
    let known: [Int: Int64]
    switch try checkKeys(of: tasks) {
    case .conflict(let index): return .conflict(index: index)
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
      try write(tasks[index], demand)
      counters.add(1, to: .queued, of: demand)
      var new = SubmitResult.Stored(id: tasks[index].id, isNew: true, demand: demand)
      if let request = tasks[index].claim { new.claimed = try claim(request) }
      stored.append(new)
    }
    return .stored(stored)
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
    guard let key = insert.task.idempotencyKey else { return }
    let keys = statements.insertKey
    try keys.bind(1, text: key)
    try keys.bind(2, insert.id.rawValue)
    try keys.bind(3, blob: insert.bodyHash ?? [])
    try keys.run()
  }

  private func writeTask(_ insert: TaskInsert, _ demand: DemandID) throws(StoreError) {
    let row = statements.insertTask
    let task = insert.task
    try row.bind(1, insert.id.rawValue)
    try row.bind(2, Int64(demand.rawValue))
    try row.bind(3, text: task.key)
    try row.bind(4, Int64(task.priority))
    try row.bind(5, utf8: task.labels.isEmpty ? nil : Encoding.text(task.labels))
    try row.bind(6, task.runAt)
    try row.bind(7, task.deadline)
    try row.bind(8, task.timeout)
    try row.bind(9, text: Encoding.text(task.retry))
    try row.bind(10, text: task.idempotencyKey)
    try row.bind(11, task.retryOf?.rawValue)
    try row.run(bindingInPlace: task.payload, to: 12)
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

  // MARK: Staged

  /// Writes the next chunk of a staged bulk; the result with the last one.
  func stage(_ bulk: StagedBulk) throws(StoreError) -> SubmitResult? {
    if bulk.next == 0 {
      addStaged(bulk.range)
      let mark = try statement("INSERT INTO bulk (first, last) VALUES (?1, ?2)")
      try mark.bind(1, bulk.range.lowerBound)
      try mark.bind(2, bulk.range.upperBound)
      try mark.run()
    }
    let end = min(bulk.next + StagedBulk.chunk, bulk.tasks.count)
    for insert in bulk.tasks[bulk.next..<end] {
      let demand = try demands.id(of: insert.task.demand)
      try write(insert, demand)
      bulk.stored.append(.init(id: insert.id, isNew: true, demand: demand))
    }
    bulk.next = end
    guard end == bulk.tasks.count else { return nil }
    for stored in bulk.stored { counters.add(1, to: .queued, of: stored.demand) }
    try unmark(bulk.range)
    return .stored(bulk.stored)
  }

  /// Removes the next rows of a bulk that failed; true once nothing is left.
  func discard(_ range: ClosedRange<Int64>) throws(StoreError) -> Bool {
    for table in ["queue", "tasks"] {
      let delete = try statement(
        """
        DELETE FROM \(table) WHERE id IN
          (SELECT id FROM \(table) WHERE id BETWEEN ?1 AND ?2 LIMIT \(StagedBulk.chunk))
        """)
      try delete.bind(1, range.lowerBound)
      try delete.bind(2, range.upperBound)
      try delete.run()
      if delete.changes == StagedBulk.chunk { return false }
    }
    try unmark(range)
    return true
  }

  private func unmark(_ range: ClosedRange<Int64>) throws(StoreError) {
    let delete = try statement("DELETE FROM bulk WHERE first = ?1")
    try delete.bind(1, range.lowerBound)
    try delete.run()
    unstageAfterCommit(range)
  }
}

/// A bulk without keys on its way through several transactions. Confined to the writer's thread
/// once it is queued.
final class StagedBulk: @unchecked Sendable {
  /// Rows per transaction: few milliseconds, so that others wait no longer.
  static let chunk = 750

  let tasks: [TaskInsert]
  let range: ClosedRange<Int64>
  var next = 0
  var stored: [SubmitResult.Stored] = []

  /// Nil unless the batch is long, has no keys, and its ids are consecutive.
  init?(_ tasks: [TaskInsert]) {
    guard tasks.count > Self.chunk, let first = tasks.first, let last = tasks.last,
      last.id.rawValue - first.id.rawValue == Int64(tasks.count) - 1
    else { return nil }
    for (index, insert) in tasks.enumerated() {
      guard insert.task.idempotencyKey == nil, insert.claim == nil,
        insert.id.rawValue == first.id.rawValue + Int64(index)
      else { return nil }
    }
    self.tasks = tasks
    range = first.id.rawValue...last.id.rawValue
    stored.reserveCapacity(tasks.count)
  }
}
