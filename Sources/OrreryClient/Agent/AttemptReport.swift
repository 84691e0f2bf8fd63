// SPDX-License-Identifier: Apache-2.0
// The report of an attempt: the body of a callback, and what the control plane says to it.

import Domain

/// How an attempt ended.
public struct AttemptReport: Sendable {
  /// The result, or why there is none.
  public enum Outcome: Sendable {
    case result(TaskResult)
    case failure(TaskFailure)
  }

  public var outcome: Outcome
  /// How long the work took.
  public var duration: Duration?

  public init(_ outcome: Outcome, duration: Duration? = nil) {
    self.outcome = outcome
    self.duration = duration
  }

  var isFailure: Bool {
    if case .failure = outcome { true } else { false }
  }

  func body(for dispatch: Dispatch, agentID: String, at time: Timestamp) -> [UInt8] {
    var writer = JSONWriter()
    writer.object { writer in
      writer.field("taskId", dispatch.taskID)
      writer.field("agentId", agentID)
      writer.field("attempt", dispatch.attempt)
      writer.field("leaseToken", dispatch.leaseToken)
      writer.field("status", status)
      writer.field("timestamp", time)
      if let duration { writer.field("duration", max(duration.wholeMilliseconds, 0)) }
      switch outcome {
      case .result(let result):
        result.write(to: &writer)
        result.shortfall?.write(to: &writer)
      case .failure(let failure): failure.write(to: &writer)
      }
    }
    return writer.bytes
  }

  private var status: String {
    switch outcome {
    case .result(let result): result.shortfall == nil ? "success" : "partial"
    case .failure: "failure"
    }
  }
}

/// What the control plane answered to a report.
public struct ReportReceipt: Sendable {
  /// False if the report came too late and changed nothing.
  public let isAcknowledged: Bool
  /// `none`, `retry` or `escalate`.
  public let nextAction: String
  /// The task's state, if it was told.
  public let state: TaskSnapshot.State?

  init(_ node: JSONNode) {
    isAcknowledged = node["acknowledged"]?.boolValue ?? false
    nextAction = node["nextAction"]?.stringValue ?? "none"
    state = node["metadata"]?["state"]?.stringValue.map(TaskSnapshot.State.init)
  }
}
