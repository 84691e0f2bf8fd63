// SPDX-License-Identifier: Apache-2.0
// Attempts: given out, kept alive, put back, ended.
internal import Domain
internal import Engine

extension Writer {
  // MARK: Claiming

  func claim(_ request: ClaimRequest) throws(StoreError) -> ClaimedTask? {
    guard !staged.contains(request.id) else { return nil }
    let select = statements.selectForClaim
    try select.bind(1, request.id.rawValue)
    defer { select.reset() }
    guard try select.step(), try select.state(0) == .queued else { return nil }
    let timeout = select.optionalInt64(7) ?? request.defaultTimeout
    let running = RunningTask(
      id: request.id, demand: select.demand(1), key: select.optionalText(2),
      priority: select.int(3), agent: request.agent, attempt: select.int(4) + 1,
      token: request.token, failures: select.int(5),
      retry: try Encoding.retry(select.optionalText(8)), startedAt: request.now,
      leaseUntil: request.now.adding(milliseconds: request.lease ?? timeout),
      timeoutAt: request.now.adding(milliseconds: timeout), deadline: select.optionalTime(6),
      trace: select.trace(10), labels: try select.labels(11))
    try setRunning(running)
    counters.move(running.demand, from: .queued, to: .running)
    return ClaimedTask(running: running, payload: select.bytes(9), timeout: timeout)
  }

  private func setRunning(_ running: RunningTask) throws(StoreError) {
    let update = statements.setRunning
    try update.bind(1, running.id.rawValue)
    try update.bind(2, Int64(running.attempt))
    try update.bind(3, text: running.agent.text)
    try update.bind(4, running.token)
    try update.bind(5, running.startedAt.milliseconds)
    try update.bind(6, running.leaseUntil.milliseconds)
    try update.bind(7, running.timeoutAt.milliseconds)
    try update.run()
  }

  // MARK: Settling

  func settle(_ request: SettleRequest) throws(StoreError) -> SettleResult {
    guard let row = try current(request.id, attempt: request.attempt), let agent = row.agent else {
      return .stale
    }
    let settlement = request.settlement
    precondition(TaskState.running.mayBecome(settlement.state), "not a settlement")
    let logCount = try append(request.report.logs, to: request.id, after: row.logCount)
    if settlement.state == .queued {
      try insertAttempt(
        row, of: request.id, agent: agent, endedAt: request.now, status: request.status,
        signedID: request.signedID, error: request.report.error)
      try requeue(
        request.id, failures: settlement.failures, notBefore: settlement.notBefore,
        logCount: logCount)
    } else {
      var end = End(id: request.id, state: settlement.state, row: row, at: request.now)
      end.failures = settlement.failures
      end.partial = settlement.partial
      end.needsAttention = settlement.needsAttention
      end.status = request.status
      end.signedID = request.signedID
      end.logCount = logCount
      end.error = request.report.error
      end.results = request.report.results
      try write(end)
    }
    counters.move(row.demand, from: .running, to: settlement.state)
    return .applied
  }

  func release(_ request: ReleaseRequest) throws(StoreError) -> Bool {
    guard let row = try current(request.id, attempt: request.attempt), let agent = row.agent else {
      return false
    }
    try insertAttempt(
      row, of: request.id, agent: agent, endedAt: nil, status: nil, signedID: nil, error: nil)
    try requeue(
      request.id, failures: row.failures, notBefore: request.notBefore, logCount: row.logCount)
    counters.move(row.demand, from: .running, to: .queued)
    return true
  }

  func renew(_ request: RenewRequest) throws(StoreError) -> Bool {
    guard let row = try current(request.id, attempt: request.attempt) else { return false }
    let logCount = try append(request.logs, to: request.id, after: row.logCount)
    let update = statements.renew
    try update.bind(1, request.id.rawValue)
    try update.bind(2, request.leaseUntil.milliseconds)
    try update.bind(3, request.progress)
    try update.bind(4, text: request.message)
    try update.bind(5, Int64(logCount))
    try update.run()
    return true
  }

  // MARK: Ending without a report

  func end(_ request: EndRequest) throws(StoreError) -> EndResult {
    guard !staged.contains(request.id) else { return .notFound }
    guard let row = try queued(request.id) else { return try ended(request.id) }
    let running = row.state == .running ? try running(request.id) : nil
    var end = End(id: request.id, state: request.state, row: row, at: request.now)
    end.needsAttention = request.state == .failed
    end.error = request.error
    try write(end)
    counters.move(row.demand, from: row.state, to: request.state)
    if let running { return .wasRunning(running) }
    return .wasQueued(demand: row.demand, labels: try labels(of: request.id))
  }

  private func labels(of id: TaskID) throws(StoreError) -> [Label] {
    let select = try statement("SELECT labels FROM tasks WHERE id = ?1")
    try select.bind(1, id.rawValue)
    defer { select.reset() }
    return try select.step() ? try select.labels(0) : []
  }

  private func ended(_ id: TaskID) throws(StoreError) -> EndResult {
    let select = try statement("SELECT state FROM ends WHERE id = ?1")
    try select.bind(1, id.rawValue)
    defer { select.reset() }
    return try select.step() ? .alreadyEnded(try select.state(0)) : .notFound
  }

  private func running(_ id: TaskID) throws(StoreError) -> RunningTask? {
    let select = try statement(SQL.selectRunning)
    try select.bind(1, id.rawValue)
    defer { select.reset() }
    return try select.step() ? try select.runningTask(id) : nil
  }

  // MARK: Rows

  /// A row of the queue, as far as writes need it.
  struct QueueRow {
    var state: TaskState
    var demand: DemandID
    var attempt: Int
    var failures: Int
    var agent: AgentID?
    var startedAt: Timestamp?
    var progress: Double?
    var message: String?
    var logCount: Int
  }

  func queued(_ id: TaskID) throws(StoreError) -> QueueRow? {
    let select = statements.selectQueued
    try select.bind(1, id.rawValue)
    defer { select.reset() }
    guard try select.step() else { return nil }
    return QueueRow(
      state: try select.state(0), demand: select.demand(1), attempt: select.int(2),
      failures: select.int(3), agent: select.optionalAgent(4), startedAt: select.optionalTime(5),
      progress: select.optionalDouble(6), message: select.optionalText(7),
      logCount: select.int(8))
  }

  /// The fence: the row only if this very attempt is running.
  private func current(_ id: TaskID, attempt: Int) throws(StoreError) -> QueueRow? {
    guard let row = try queued(id), row.state == .running, row.attempt == attempt else {
      return nil
    }
    return row
  }

  private func requeue(_ id: TaskID, failures: Int, notBefore: Timestamp?, logCount: Int)
    throws(StoreError)
  {
    let update = statements.requeue
    try update.bind(1, id.rawValue)
    try update.bind(2, Int64(failures))
    try update.bind(3, notBefore)
    try update.bind(4, Int64(logCount))
    try update.run()
  }

  private func insertAttempt(
    _ row: QueueRow, of id: TaskID, agent: AgentID, endedAt: Timestamp?, status: ReportStatus?,
    signedID: String?, error: [UInt8]?
  ) throws(StoreError) {
    let insert = statements.insertAttempt
    try insert.bind(1, id.rawValue)
    try insert.bind(2, Int64(row.attempt))
    try insert.bind(3, text: agent.text)
    try insert.bind(4, row.startedAt)
    try insert.bind(5, endedAt)
    try insert.bind(6, status.map { Int64($0.rawValue) })
    try insert.bind(7, text: signedID)
    try insert.bind(8, utf8: error)
    try insert.run()
  }
}

extension SettleRequest {
  /// What the attempt was settled by: nil if the control plane ended it.
  fileprivate var status: ReportStatus? { reporter == nil ? nil : report.status }
}

extension Statement {
  /// Reads the columns of `SQL.selectRunning`; nil if the task is not running.
  func runningTask(_ id: TaskID) throws(StoreError) -> RunningTask? {
    guard try state(0) == .running, let agent = optionalAgent(4) else { return nil }
    return RunningTask(
      id: id, demand: demand(1), key: optionalText(2), priority: int(3), agent: agent,
      attempt: int(5), token: int64(6), failures: int(7),
      retry: try Encoding.retry(optionalText(8)), startedAt: time(9), leaseUntil: time(10),
      timeoutAt: time(11), deadline: optionalTime(12), trace: trace(13),
      labels: try labels(14))
  }
}
