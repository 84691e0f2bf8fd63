// SPDX-License-Identifier: Apache-2.0
// Reads a report: the body of a callback, or the answer of a synchronous agent.

/// A report and what it says of the attempt that it is about.
package struct ParsedReport: Sendable {
  /// Nil only where the parser was told that the task is known.
  package var taskID: TaskID?
  /// As written; not checked against anything.
  package var agentID: String?
  package var attempt: Int?
  /// As written; see `LeaseToken.matches`.
  package var leaseToken: String?
  package var report: Report
}

/// Checks a report against the agent protocol, §4, and brings it into the form that is stored.
/// Unknown fields are ignored.
package struct ReportParser: Sendable {
  private let limits: Limits

  package init(limits: Limits) {
    self.limits = limits
  }

  /// - Parameters:
  ///   - receivedAt: The time of log lines that give none.
  ///   - isTaskKnown: True for an answer to a dispatch, which may leave `taskId` out.
  package func parse(
    _ body: [UInt8], receivedAt: Timestamp, isTaskKnown: Bool = false
  ) throws(ControlError) -> ParsedReport {
    try parse(
      JSONDocument(body, limits: limits).root, receivedAt: receivedAt, isTaskKnown: isTaskKnown)
  }

  /// The same, of a body that was scanned already.
  package func parse(
    _ root: JSONNode, receivedAt: Timestamp, isTaskKnown: Bool = false
  ) throws(ControlError) -> ParsedReport {
    let fields = try ControlError.field { () throws(FieldError) in
      try JSONFields(root, allowed: [], unknown: .ignore)
    }
    let taskID = try AttemptReference.taskID(of: fields, isRequired: !isTaskKnown)
    let attempt = try ControlError.field { () throws(FieldError) in
      try AttemptReference(fields)
    }
    return ParsedReport(
      taskID: taskID, agentID: attempt.agentID, attempt: attempt.attempt,
      leaseToken: attempt.leaseToken, report: try report(fields, receivedAt: receivedAt))
  }

  private func report(
    _ fields: JSONFields, receivedAt: Timestamp
  ) throws(ControlError) -> Report {
    var report = try ControlError.field { () throws(FieldError) in
      var report = Report(status: try Self.status(fields))
      report.duration = try fields.optionalInt("duration", in: 0...Int.max).map(Int64.init)
      _ = try fields.optionalTimestamp("timestamp")
      return report
    }
    if let results = fields.optional("results") {
      let parsed = try ResultsParser(limits: limits).parse(
        results, path: fields.path("results"), receivedAt: receivedAt)
      report.results = parsed.results
      report.logs = parsed.logs
    }
    try ControlError.field { () throws(FieldError) in
      try readError(fields, into: &report)
    }
    return report
  }

  private static func status(_ fields: JSONFields) throws(FieldError) -> ReportStatus {
    let name = try fields.string("status")
    guard let status = ReportStatus(name: name) else {
      let known = ReportStatus.allCases.map(\.name).joined(separator: ", ")
      throw fields.error("status", .invalid, "Must be one of: \(known).")
    }
    return status
  }

  // MARK: Errors

  private static let defaultCode = "AGENT_ERROR"

  /// A success keeps no error; a failure always has one.
  private func readError(_ fields: JSONFields, into report: inout Report) throws(FieldError) {
    let given = try fields.optionalFields("error", allowed: [], unknown: .ignore)
    guard report.status != .success, given != nil || report.status == .failure else { return }
    let code = try given?.optionalString("code", bytes: 0...limits.identifier)
    let message = try given?.optionalString("message")
    let stack = try given?.optionalString("stack")
    report.retryable = try given?.optionalBool("retryable")
    report.retryAfter = try given?.optionalInt("retryAfter", in: 0...Int.max).map {
      min(Int64($0), Limits.delayRange.upperBound)
    }
    let chosen = code.flatMap { $0.isEmpty ? nil : $0 } ?? Self.defaultCode
    var writer = JSONWriter()
    writer.beginObject()
    writer.field("code", chosen)
    writer.field(
      "message",
      message.map { $0.cut(toUTF8: limits.message) } ?? "The agent gave no message.")
    writer.field(ifPresent: "stack", stack?.cut(toUTF8: limits.message * 4))
    if let retryable = report.retryable { writer.field("retryable", retryable) }
    if let retryAfter = report.retryAfter { writer.field("retryAfter", retryAfter) }
    writer.endObject()
    report.errorCode = chosen
    report.error = writer.bytes
  }
}

extension String {
  /// The longest start of the text that has at most `count` bytes of UTF-8.
  func cut(toUTF8 count: Int) -> String {
    guard utf8.count > count else { return self }
    var end = utf8.index(utf8.startIndex, offsetBy: max(count, 0))
    while end > utf8.startIndex, UTF8.isContinuation(utf8[end]) { end = utf8.index(before: end) }
    return String(self[..<end])
  }
}
