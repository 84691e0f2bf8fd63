// SPDX-License-Identifier: Apache-2.0
// Looking at the model: nothing depends on the order of a dictionary.
package import Domain
package import Engine

extension StoreModel {
  package func task(_ id: TaskID) -> TaskRecord? {
    guard let row = rows[id] else { return nil }
    var record = record(id, row)
    record.payload = row.task.payload
    record.results = row.end?.results
    record.trace = row.task.trace
    return record
  }

  /// Without payload and results.
  private func record(_ id: TaskID, _ row: Row) -> TaskRecord {
    var record = TaskRecord(
      id: id, demand: row.task.demand, priority: row.task.priority,
      retry: row.task.retry ?? RetryPolicy(), state: row.state, attempt: row.attempt,
      failures: row.failures)
    record.key = row.task.key
    record.labels = row.task.labels
    record.runAt = row.task.runAt
    record.deadline = row.task.deadline
    record.timeout = row.task.timeout
    record.idempotencyKey = row.task.idempotencyKey
    record.retryOf = row.task.retryOf
    record.agent = row.end?.agent ?? row.running?.agent
    record.progress = row.progress
    record.message = row.message
    record.startedAt = row.end?.startedAt ?? row.running?.startedAt
    record.notBefore = row.state == .queued ? row.notBefore : nil
    record.completedAt = row.end?.at
    record.partial = row.end?.partial ?? false
    record.needsAttention = row.end?.needsAttention ?? false
    if let end = row.end {
      record.error = end.error
    } else if row.failures > 0 {
      record.error = row.lastError
    }
    return record
  }

  package func running(_ id: TaskID) -> RunningTask? { rows[id]?.running }

  package func settledAttempts(_ id: TaskID) -> [SettledAttempt] { rows[id]?.settled ?? [] }

  package func list(_ query: TaskQuery) -> TaskPage {
    var page = TaskPage(tasks: [], next: nil)
    var looked = 0
    for id in rows.keys.sorted(by: >) where id < query.before ?? TaskID(rawValue: .max) {
      if page.tasks.count >= query.limit || looked >= limits.pageScan { return page }
      looked += 1
      page.next = id
      guard let row = rows[id] else { continue }
      let record = record(id, row)
      if query.accepts(record) { page.tasks.append(record) }
    }
    page.next = nil
    return page
  }

  package func logs(_ id: TaskID, after line: Int64, limit: Int) -> LogPage {
    let all = rows[id]?.logs ?? []
    let first = Int(min(max(line, 0), Int64(all.count)))
    let end = min(all.count, first + max(0, limit))
    return LogPage(lines: Array(all[first..<end]), next: end < all.count ? Int64(end) : nil)
  }

  /// Every unfinished task, oldest first.
  package var unfinished: [UnfinishedTask] {
    rows.keys.sorted().compactMap { id in
      guard let row = rows[id], !row.state.isEnd else { return nil }
      return UnfinishedTask(
        id: id, demand: row.demand, key: row.task.key, priority: row.task.priority,
        failures: row.failures, notBefore: row.notBefore, deadline: row.task.deadline,
        running: row.running)
    }
  }

  package var demands: [(id: DemandID, demand: Demand)] {
    demandList.enumerated().map { (DemandID(rawValue: Int32($0.offset) + 1), $0.element) }
  }

  package var counts: [String: TypeCounts] { typeCounts }
  package var lastTaskID: TaskID? { newestID }
}

extension TaskQuery {
  /// The filter as one sentence of code: what every store's lists must agree with. The times are
  /// `since` ≤ created < `until`.
  package func accepts(_ task: TaskRecord) -> Bool {
    (states.isEmpty || states.contains(task.state))
      && (type == nil || task.demand.type == type)
      && (agent == nil || task.agent == agent)
      && labels.allSatisfy(task.labels.contains)
      && (since.map { task.createdAt >= $0 } ?? true)
      && (until.map { task.createdAt < $0 } ?? true)
      && (needsAttention.map { task.needsAttention == $0 } ?? true)
  }
}
