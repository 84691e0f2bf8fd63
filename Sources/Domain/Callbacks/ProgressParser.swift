// SPDX-License-Identifier: Apache-2.0
// Reads a progress report.

/// A progress report of a running attempt.
package struct ProgressReport: Sendable {
  /// Nil if the body leaves it out; the path has it then.
  package var taskID: TaskID?
  package var agentID: String?
  package var attempt: Int?
  /// As written; see `LeaseToken.matches`.
  package var leaseToken: String?
  /// 0 … 100.
  package var progress: Double?
  package var message: String?
  package var logs: [TaskLog]
}

/// Checks the body of the agent protocol, §5. Unknown fields are ignored.
package struct ProgressParser: Sendable {
  private let limits: Limits

  package init(limits: Limits) {
    self.limits = limits
  }

  /// - Parameter receivedAt: The time of log lines that give none.
  package func parse(
    _ body: [UInt8], receivedAt: Timestamp
  ) throws(ControlError) -> ProgressReport {
    let root = try JSONDocument(body, limits: limits).root
    let fields = try ControlError.field { () throws(FieldError) in
      try JSONFields(root, allowed: [], unknown: .ignore)
    }
    let taskID = try AttemptReference.taskID(of: fields, isRequired: false)
    return try ControlError.field { () throws(FieldError) in
      let attempt = try AttemptReference(fields)
      return ProgressReport(
        taskID: taskID, agentID: attempt.agentID, attempt: attempt.attempt,
        leaseToken: attempt.leaseToken,
        progress: try fields.optionalDouble("progress", in: 0...100),
        message: try fields.optionalString("message", bytes: 0...limits.message),
        logs: try LogLines.parse(fields, limits: limits, receivedAt: receivedAt))
    }
  }
}
