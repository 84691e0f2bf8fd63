// SPDX-License-Identifier: Apache-2.0
// The operator's calls about tasks.

import Domain

extension OrreryClient {
  // MARK: Submitting

  /// Submits a task; returns once it is on the server's disk.
  ///
  /// Without an idempotency key a lost connection is not repeated, since nobody knows whether the
  /// task was stored.
  public func submit(_ task: TaskSubmission) async throws -> TaskReceipt {
    try await submit(task.json, header: nil, isRepeatable: task.idempotencyKey != nil)
  }

  /// Submits a task with a payload that is encoded to JSON.
  public func submit(
    type: String, payload: some Encodable, idempotencyKey: String? = nil
  ) async throws -> TaskReceipt {
    var task = try TaskSubmission(type: type, payload: payload)
    task.idempotencyKey = idempotencyKey
    return try await submit(task)
  }

  /// Submits a task that is JSON already.
  ///
  /// - Parameter idempotencyKey: goes out as a header, so printable ASCII; one in the JSON must be
  ///   equal.
  public func submit(
    json: JSONText, idempotencyKey: String? = nil
  ) async throws -> TaskReceipt {
    try await submit(json, header: idempotencyKey, isRepeatable: idempotencyKey != nil)
  }

  private func submit(
    _ json: JSONText, header key: String?, isRepeatable: Bool
  ) async throws -> TaskReceipt {
    var call = Call(method: "POST", path: ["api", "tasks"], body: json.bytes)
    call.isRepeatable = isRepeatable
    if let key { call.headers = [("idempotency-key", key)] }
    return try TaskReceipt(await send(call))
  }

  /// Submits up to 10,000 tasks, all or none; returns their ids in order.
  public func submit(_ tasks: [TaskSubmission]) async throws -> [String] {
    var writer = JSONWriter(reservingCapacity: 256 * tasks.count)
    for task in tasks {
      task.write(to: &writer)
      writer.newline()
    }
    let isRepeatable = tasks.allSatisfy { $0.idempotencyKey != nil }
    return try await submit(ndjson: writer.bytes, isRepeatable: isRepeatable).taskIDs
  }

  /// Submits up to 10,000 tasks, one in each line, all or none.
  ///
  /// - Parameter isRepeatable: every line has an idempotency key, so that the call may be made
  ///   again after a lost connection.
  public func submit(
    ndjson: [UInt8], isRepeatable: Bool = false
  ) async throws -> (taskIDs: [String], json: JSONText) {
    var call = Call(method: "POST", path: ["api", "tasks", "bulk"], body: ndjson)
    call.contentType = "application/x-ndjson"
    call.isRepeatable = isRepeatable
    let node = try await send(call).object()
    guard node["taskIds"]?.kind == .array else {
      throw OrreryError(.badAnswer, "The server's answer has no \"taskIds\".")
    }
    return (node.strings("taskIds"), JSONText(node))
  }

  // MARK: Reading

  /// The task as it is now.
  public func task(_ id: String) async throws -> TaskSnapshot {
    try TaskSnapshot(await send(Call(path: ["api", "tasks", id])).object())
  }

  /// All tasks that match, newest page first, as many pages as are consumed.
  public func tasks(_ query: TaskQuery = TaskQuery()) -> PagedSequence<TaskSnapshot> {
    PagedSequence { try await taskPage(query, limit: 200, cursor: $0) }
  }

  /// One page of tasks.
  ///
  /// - Parameter limit: at most 200.
  public func taskPage(
    _ query: TaskQuery = TaskQuery(), limit: Int? = nil, cursor: String? = nil
  ) async throws -> Page<TaskSnapshot> {
    let items = query.items(limit: limit, cursor: cursor)
    return try Page(
      await send(Call(path: ["api", "tasks"], query: items)), "tasks", TaskSnapshot.init)
  }

  /// The lines of a task's log, oldest first.
  public func logs(of id: String) -> PagedSequence<TaskLogLine> {
    PagedSequence { try await logPage(of: id, limit: 200, cursor: $0) }
  }

  /// One page of a task's log.
  public func logPage(
    of id: String, limit: Int? = nil, cursor: String? = nil
  ) async throws -> Page<TaskLogLine> {
    var items: [(String, String)] = []
    if let limit { items.append(("limit", String(limit))) }
    if let cursor { items.append(("cursor", cursor)) }
    return try Page(
      await send(Call(path: ["api", "tasks", id, "logs"], query: items)), "logs",
      TaskLogLine.init)
  }

  /// Waits until the task has ended. A server that is away, as in a restart, is waited for, too,
  /// for up to `Options.longestWait`.
  ///
  /// - Parameter longest: nil waits for ever. When it is over, the task is returned as it then is.
  public func wait(for id: String, longest: Duration? = nil) async throws -> TaskSnapshot {
    let end = longest.map { clock.uptime().saturatingAdd($0.wholeMilliseconds) }
    while true {
      let left = end.map { max($0 - clock.uptime(), 0) } ?? 30_000
      let seconds = Int(min((left + 999) / 1_000, 30))
      let task = try await patiently { try await poll(id, seconds: seconds) }
      if task.state.isEnd { return task }
      if let end, clock.uptime() >= end { return task }
    }
  }

  /// One long poll: returns when the task has ended, or as it is after so many seconds (0 to 60).
  public func poll(_ id: String, seconds: Int) async throws -> TaskSnapshot {
    let seconds = min(max(seconds, 0), 60)
    var call = Call(path: ["api", "tasks", id, "wait"])
    call.query = [("timeoutSeconds", String(seconds))]
    call.wait = Int64(seconds) * 1_000
    return try TaskSnapshot(await send(call).object())
  }

  // MARK: Changing

  /// Ends a queued or running task at once; cancelling again is no error.
  ///
  /// - Throws: `taskEnded` if it has completed or failed before.
  @discardableResult
  public func cancel(_ id: String) async throws -> TaskReceipt {
    try TaskReceipt(await send(Call(method: "POST", path: ["api", "tasks", id, "cancel"])))
  }

  /// Of an ended task makes a new one; a task in backoff runs now. `isNew` tells which.
  @discardableResult
  public func retry(_ id: String) async throws -> TaskReceipt {
    var call = Call(method: "POST", path: ["api", "tasks", id, "retry"])
    call.isRepeatable = false
    return try TaskReceipt(await send(call))
  }

  /// Clears `needsAttention`.
  @discardableResult
  public func acknowledge(_ id: String) async throws -> TaskReceipt {
    try TaskReceipt(await send(Call(method: "POST", path: ["api", "tasks", id, "acknowledge"])))
  }
}

extension Int64 {
  func saturatingAdd(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other < 0 ? .min : .max) : sum
  }
}
