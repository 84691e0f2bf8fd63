// SPDX-License-Identifier: Apache-2.0
// The model's attempts: given out, kept alive, put back, ended.
package import Domain
package import Engine

extension StoreModel {
  package mutating func claim(_ claims: [ClaimRequest]) -> [ClaimedTask?] {
    claims.map { claim($0) }
  }

  private mutating func claim(_ request: ClaimRequest) -> ClaimedTask? {
    guard var row = rows[request.id], row.state == .queued else { return nil }
    let timeout = row.task.timeout ?? request.defaultTimeout
    let running = RunningTask(
      id: request.id, demand: row.demand, key: row.task.key, priority: row.task.priority,
      agent: request.agent, attempt: row.attempt + 1, token: request.token,
      failures: row.failures, retry: row.task.retry ?? RetryPolicy(), startedAt: request.now,
      leaseUntil: request.now.adding(milliseconds: request.lease ?? timeout),
      timeoutAt: request.now.adding(milliseconds: timeout), deadline: row.task.deadline,
      trace: row.task.trace, labels: row.task.labels)
    row.attempt = running.attempt
    row.running = running
    row.notBefore = nil
    row.progress = nil
    row.message = nil
    rows[request.id] = row
    move(request.id, to: .running)
    return ClaimedTask(running: running, payload: row.task.payload, timeout: timeout)
  }

  package mutating func settle(_ settlements: [SettleRequest]) -> [SettleResult] {
    settlements.map { settle($0) }
  }

  private mutating func settle(_ request: SettleRequest) -> SettleResult {
    guard var row = current(request.id, request.attempt), let running = row.running else {
      return .stale
    }
    let settlement = request.settlement
    add(request.report.logs, to: &row)
    row.failures = settlement.failures
    row.running = nil
    row.settled.append(
      SettledAttempt(
        attempt: request.attempt, agent: running.agent,
        status: request.reporter == nil ? nil : request.report.status,
        signedID: request.signedID, state: settlement.state))
    if settlement.state == .queued {
      row.lastError = request.report.error ?? row.lastError
      row.notBefore = settlement.notBefore
      row.progress = nil
      row.message = nil
    } else {
      row.end = End(
        at: request.now, agent: running.agent, startedAt: running.startedAt,
        partial: settlement.partial, needsAttention: settlement.needsAttention,
        error: request.report.error, results: request.report.results)
    }
    rows[request.id] = row
    move(request.id, to: settlement.state)
    return .applied
  }

  package mutating func renew(_ renewals: [RenewRequest]) -> [Bool] {
    renewals.map { renewal in
      guard var row = current(renewal.id, renewal.attempt), var running = row.running else {
        return false
      }
      running.leaseUntil = max(running.leaseUntil, renewal.leaseUntil)
      row.running = running
      row.progress = renewal.progress ?? row.progress
      row.message = renewal.message ?? row.message
      add(renewal.logs, to: &row)
      rows[renewal.id] = row
      return true
    }
  }

  package mutating func release(_ releases: [ReleaseRequest]) -> [Bool] {
    releases.map { release in
      guard var row = current(release.id, release.attempt), let running = row.running else {
        return false
      }
      row.settled.append(
        SettledAttempt(
          attempt: release.attempt, agent: running.agent, status: nil, signedID: nil,
          state: .queued))
      row.running = nil
      row.notBefore = release.notBefore
      row.progress = nil
      row.message = nil
      rows[release.id] = row
      move(release.id, to: .queued)
      return true
    }
  }

  package mutating func end(_ ends: [EndRequest]) -> [EndResult] {
    ends.map { end($0) }
  }

  private mutating func end(_ request: EndRequest) -> EndResult {
    guard var row = rows[request.id] else { return .notFound }
    guard !row.state.isEnd else { return .alreadyEnded(row.state) }
    let running = row.running
    row.running = nil
    row.end = End(
      at: request.now, agent: running?.agent, startedAt: running?.startedAt,
      needsAttention: request.state == .failed, error: request.error)
    if let running {
      row.settled.append(
        SettledAttempt(
          attempt: running.attempt, agent: running.agent, status: nil, signedID: nil,
          state: request.state))
    }
    rows[request.id] = row
    move(request.id, to: request.state)
    return running.map(EndResult.wasRunning)
      ?? .wasQueued(demand: row.demand, labels: row.task.labels)
  }

  package mutating func hasten(_ id: TaskID, at now: Timestamp) -> Bool {
    guard let row = rows[id], row.state == .queued else { return false }
    if let notBefore = row.notBefore, notBefore > now { rows[id]?.notBefore = nil }
    return true
  }

  package mutating func acknowledge(_ id: TaskID) -> Bool {
    guard rows[id] != nil else { return false }
    rows[id]?.end?.needsAttention = false
    return true
  }

  package mutating func appendLogs(_ id: TaskID, _ lines: [TaskLog]) {
    guard var row = rows[id] else { return }
    add(lines, to: &row)
    rows[id] = row
  }

  /// The fence: the row only if this very attempt is running.
  private func current(_ id: TaskID, _ attempt: Int) -> Row? {
    guard let row = rows[id], row.state == .running, row.attempt == attempt else { return nil }
    return row
  }

  private func add(_ lines: [TaskLog], to row: inout Row) {
    row.logs += lines.prefix(max(0, limits.logLinesPerTask - row.logs.count))
  }
}
