// SPDX-License-Identifier: Apache-2.0
// One attempt of a task as the control plane hands it to an agent.

import Domain
public import Foundation

/// A task to execute.
public struct Dispatch: Sendable {
  public let taskID: String
  /// Rises with every try of the task; a dispatch of the same task and attempt is the same one.
  public let attempt: Int
  /// Proves that the attempt is ours; goes into every report.
  public let leaseToken: String
  public let type: String
  public let payload: JSONText
  public let priority: Int
  /// How long this attempt may take.
  public let timeout: Duration?
  /// When this attempt must have ended.
  public let deadline: Date?
  /// Where its result goes.
  public let callbackURL: String?
  /// Where its progress goes.
  public let progressURL: String?
  /// W3C trace context.
  public let traceparent: String?
  public let json: JSONText

  /// Reads a dispatch that has been verified.
  public init(json: JSONText) throws {
    try self.init(JSONText.scan(json.bytes).root)
  }

  init(_ node: JSONNode) throws(OrreryError) {
    taskID = try node.text("taskId")
    leaseToken = try node.text("leaseToken")
    type = try node.text("type")
    guard let attempt = node.int("attempt"), attempt > 0 else {
      throw OrreryError(.badAnswer, "The dispatch has no attempt.")
    }
    self.attempt = attempt
    payload = node["payload"].map(JSONText.init) ?? .emptyObject
    priority = node.int("priority") ?? 5
    timeout = node["timeout"]?.int64Value.map { .milliseconds($0) }
    deadline = node.date("deadline").map(Date.init)
    callbackURL = node["callbackUrl"]?.stringValue
    progressURL = node["progressUrl"]?.stringValue
    traceparent = node["traceparent"]?.stringValue
    json = JSONText(node)
  }

  /// Whether it is the same attempt.
  var key: AttemptKey { AttemptKey(taskID: taskID, attempt: attempt) }
}

/// What tells attempts apart.
struct AttemptKey: Hashable, Sendable {
  let taskID: String
  let attempt: Int
}

/// A push agent is told to stop an attempt.
public struct DispatchCancellation: Sendable {
  public let taskID: String
  public let attempt: Int
  public let leaseToken: String
  /// `cancelled` or `timeout`.
  public let reason: String

  init(_ node: JSONNode) throws(OrreryError) {
    taskID = try node.text("taskId")
    leaseToken = try node.text("leaseToken")
    attempt = node.int("attempt") ?? 0
    reason = node["reason"]?.stringValue ?? "cancelled"
  }
}
