// SPDX-License-Identifier: Apache-2.0
// Reading tasks: records, running attempts, what settled earlier ones, logs.
internal import Domain
internal import Engine

extension Snapshot {
  // MARK: Records

  func task(_ id: TaskID) throws(StoreError) -> TaskRecord? {
    if try staged().contains(where: { $0.contains(id.rawValue) }) { return nil }
    return try record(id, full: true)
  }

  /// A task's record, with payload and results if `full`.
  func record(_ id: TaskID, full: Bool) throws(StoreError) -> TaskRecord? {
    let more = full ? ", payload, trace" : ""
    let select = try statement(Self.taskColumns + more + Self.taskSource)
    try select.bind(1, id.rawValue)
    defer { select.reset() }
    guard try select.step() else { return nil }
    var record = TaskRecord(
      id: id, demand: try demand(select.demand(0)), priority: select.int(2),
      retry: try Encoding.retry(select.optionalText(7)), state: .queued, attempt: 0, failures: 0)
    record.key = select.optionalText(1)
    if let labels = select.optionalBytes(3) { record.labels = try Encoding.labels(labels) }
    record.runAt = select.optionalTime(4)
    record.deadline = select.optionalTime(5)
    record.timeout = select.optionalInt64(6)
    record.idempotencyKey = select.optionalText(8)
    record.retryOf = select.optionalInt64(9).map(TaskID.init(rawValue:))
    if full {
      record.payload = select.bytes(10)
      record.trace = select.trace(11)
    }
    if try addQueue(to: &record) { return record }
    return try addEnd(to: &record, full: full) ? record : nil
  }

  private static let taskColumns = """
    SELECT demand, task_key, priority, labels, run_at, deadline, timeout, retry, idempotency_key,
      retry_of
    """
  private static let taskSource = " FROM tasks WHERE id = ?1"

  private func addQueue(to record: inout TaskRecord) throws(StoreError) -> Bool {
    let select = try statement(
      """
      SELECT state, attempt, failures, agent, progress, message, started_at, not_before
      FROM queue WHERE id = ?1
      """)
    try select.bind(1, record.id.rawValue)
    defer { select.reset() }
    guard try select.step() else { return false }
    try record.setState(from: select)
    record.notBefore = select.optionalTime(7)
    if record.failures > 0 { record.error = try lastError(of: record.id) }
    return true
  }

  private func addEnd(to record: inout TaskRecord, full: Bool) throws(StoreError) -> Bool {
    let select = try statement(
      """
      SELECT state, attempt, failures, agent, progress, message, started_at, completed_at, partial,
        needs_attention, error\(full ? ", results" : "")
      FROM ends WHERE id = ?1
      """)
    try select.bind(1, record.id.rawValue)
    defer { select.reset() }
    guard try select.step() else { return false }
    try record.setState(from: select)
    record.completedAt = select.optionalTime(7)
    record.partial = select.bool(8)
    record.needsAttention = select.bool(9)
    record.error = select.optionalBytes(10)
    if full { record.results = select.optionalBytes(11) }
    return true
  }

  private func lastError(of id: TaskID) throws(StoreError) -> [UInt8]? {
    let select = try statement(
      """
      SELECT error FROM attempts WHERE task = ?1 AND error IS NOT NULL
      ORDER BY attempt DESC LIMIT 1
      """)
    try select.bind(1, id.rawValue)
    defer { select.reset() }
    return try select.step() ? select.optionalBytes(0) : nil
  }

  // MARK: Attempts

  func running(_ id: TaskID) throws(StoreError) -> RunningTask? {
    let select = try statement(SQL.selectRunning)
    try select.bind(1, id.rawValue)
    defer { select.reset() }
    return try select.step() ? try select.runningTask(id) : nil
  }

  func settledAttempts(_ id: TaskID) throws(StoreError) -> [SettledAttempt] {
    let select = try statement(
      """
      SELECT attempt, agent, status, signed_id, 0 FROM attempts WHERE task = ?1
      UNION ALL
      SELECT attempt, agent, report_status, signed_id, state FROM ends
      WHERE id = ?1 AND agent IS NOT NULL
      ORDER BY 1
      """)
    try select.bind(1, id.rawValue)
    defer { select.reset() }
    var settled: [SettledAttempt] = []
    while try select.step() {
      settled.append(
        SettledAttempt(
          attempt: select.int(0), agent: AgentID(stored: select.text(1)),
          status: try select.status(2), signedID: select.optionalText(3),
          state: try select.state(4)))
    }
    return settled
  }

  // MARK: Logs

  func logs(_ id: TaskID, after line: Int64, limit: Int) throws(StoreError) -> LogPage {
    let select = try statement(
      """
      SELECT line, time, level, message, metadata FROM task_logs
      WHERE task = ?1 AND line > ?2 ORDER BY line LIMIT ?3
      """)
    try select.bind(1, id.rawValue)
    try select.bind(2, line)
    try select.bind(3, Int64(max(0, limit)) + 1)
    defer { select.reset() }
    var lines: [TaskLog] = []
    var last = line
    while try select.step() {
      if lines.count == limit { return LogPage(lines: lines, next: last) }
      last = select.int64(0)
      guard let level = LogLevel(rawValue: select.text(2)) else {
        throw .unavailable("A log line in the database has an unknown level.")
      }
      lines.append(
        TaskLog(
          time: select.time(1), level: level, message: select.text(3),
          metadata: select.optionalBytes(4)))
    }
    return LogPage(lines: lines, next: nil)
  }

  // MARK: The start

  /// The next batch of the queue, oldest first, after a task; nil at the end.
  func unfinished(after last: Int64) throws(StoreError) -> UnfinishedBatch? {
    let hidden = try staged()
    let select = try statement(
      """
      SELECT id, state, demand, task_key, priority, failures, not_before, deadline
      FROM queue WHERE id > ?1 ORDER BY id LIMIT \(UnfinishedBatch.most)
      """)
    try select.bind(1, last)
    defer { select.reset() }
    var batch: UnfinishedBatch?
    while try select.step() {
      let id = TaskID(rawValue: select.int64(0))
      if batch == nil {
        batch = UnfinishedBatch()
        batch?.tasks.reserveCapacity(UnfinishedBatch.most)
      }
      batch?.last = id.rawValue
      if hidden.contains(where: { $0.contains(id.rawValue) }) { continue }
      let isRunning = try select.state(1) == .running
      batch?.tasks.append(
        UnfinishedTask(
          id: id, demand: select.demand(2), key: select.optionalText(3), priority: select.int(4),
          failures: select.int(5), notBefore: select.optionalTime(6),
          deadline: select.optionalTime(7), running: isRunning ? try running(id) : nil))
    }
    return batch
  }
}

/// Part of the queue, in order.
struct UnfinishedBatch: Sendable {
  static let most = 4_000

  var tasks: [UnfinishedTask] = []
  /// The last id that was looked at.
  var last: Int64 = 0
}

extension TaskRecord {
  /// Reads the columns that the queue and the ends share.
  fileprivate mutating func setState(from select: Statement) throws(StoreError) {
    state = try select.state(0)
    attempt = select.int(1)
    failures = select.int(2)
    agent = select.optionalAgent(3)
    progress = select.optionalDouble(4)
    message = select.optionalText(5)
    startedAt = select.optionalTime(6)
  }
}

extension Statement {
  fileprivate func status(_ column: Int32) throws(StoreError) -> ReportStatus? {
    guard let number = optionalInt64(column) else { return nil }
    guard let status = ReportStatus(rawValue: Int(number)) else {
      throw .unavailable("An attempt in the database has an unknown status.")
    }
    return status
  }
}
