// SPDX-License-Identifier: Apache-2.0
// Ends, log lines, and the small changes that an operator makes to a task.
internal import Domain
internal import Engine

/// A task that leaves the queue.
struct End {
  var id: TaskID
  var state: TaskState
  var row: Writer.QueueRow
  var at: Timestamp
  var failures: Int
  var partial = false
  var needsAttention = false
  var status: ReportStatus?
  var signedID: String?
  var logCount: Int
  var error: [UInt8]?
  var results: [UInt8]?

  init(id: TaskID, state: TaskState, row: Writer.QueueRow, at: Timestamp) {
    self.id = id
    self.state = state
    self.row = row
    self.at = at
    failures = row.failures
    logCount = row.logCount
  }
}

extension Writer {
  /// Moves a task from the queue to the ends.
  func write(_ end: End) throws(StoreError) {
    try statements.deleteQueued.bind(1, end.id.rawValue)
    try statements.deleteQueued.run()
    let insert = statements.insertEnd
    try insert.bind(1, end.id.rawValue)
    try insert.bind(2, Int64(end.state.rawValue))
    try insert.bind(3, Int64(end.row.demand.rawValue))
    try insert.bind(4, Int64(end.row.attempt))
    try insert.bind(5, Int64(end.failures))
    try insert.bind(6, text: end.row.agent?.text)
    try insert.bind(7, end.row.startedAt)
    try insert.bind(8, end.at.milliseconds)
    try insert.bind(9, end.row.progress)
    try insert.bind(10, text: end.row.message)
    try insert.bind(11, end.partial)
    try insert.bind(12, end.needsAttention)
    try insert.bind(13, end.status.map { Int64($0.rawValue) })
    try insert.bind(14, text: end.signedID)
    try insert.bind(15, Int64(end.logCount))
    try insert.bind(16, utf8: end.error)
    guard let results = end.results else {
      try insert.bindNull(17)
      return try insert.run()
    }
    try insert.run(bindingInPlace: results, to: 17)
  }

  // MARK: Logs

  /// Writes the lines that still fit the task's limit; returns how many it has then.
  func append(_ lines: [TaskLog], to id: TaskID, after count: Int) throws(StoreError) -> Int {
    var count = count
    let insert = statements.insertLog
    for line in lines.prefix(max(0, limits.logLinesPerTask - count)) {
      count += 1
      try insert.bind(1, id.rawValue)
      try insert.bind(2, Int64(count))
      try insert.bind(3, line.time.milliseconds)
      try insert.bind(4, text: line.level.rawValue)
      try insert.bind(5, text: line.message)
      try insert.bind(6, utf8: line.metadata)
      try insert.run()
    }
    return count
  }

  /// Adds lines to a task whatever its state; nothing if there is no such task.
  func appendLogs(_ id: TaskID, _ lines: [TaskLog]) throws(StoreError) {
    for table in ["queue", "ends"] {
      let select = try statement("SELECT log_count FROM \(table) WHERE id = ?1")
      try select.bind(1, id.rawValue)
      let count = try select.step() ? select.int(0) : nil
      select.reset()
      guard let count else { continue }
      let update = try statement("UPDATE \(table) SET log_count = ?2 WHERE id = ?1")
      try update.bind(1, id.rawValue)
      try update.bind(2, Int64(try append(lines, to: id, after: count)))
      return try update.run()
    }
  }

  // MARK: Operators

  func hasten(_ id: TaskID, at now: Timestamp) throws(StoreError) -> Bool {
    guard !staged.contains(id), try queued(id)?.state == .queued else { return false }
    let update = try statement(
      "UPDATE queue SET not_before = NULL WHERE id = ?1 AND not_before > ?2")
    try update.bind(1, id.rawValue)
    try update.bind(2, now.milliseconds)
    try update.run()
    return true
  }

  func acknowledge(_ id: TaskID) throws(StoreError) -> Bool {
    let update = try statement("UPDATE ends SET needs_attention = 0 WHERE id = ?1")
    try update.bind(1, id.rawValue)
    try update.run()
    if update.changes > 0 { return true }
    return staged.contains(id) ? false : try queued(id) != nil
  }
}
