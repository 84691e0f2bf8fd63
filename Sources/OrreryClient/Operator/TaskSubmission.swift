// SPDX-License-Identifier: Apache-2.0
// A task on its way in: what a caller may say of it.

import Domain
public import Foundation

/// A task to submit. What is nil is left to the server's defaults.
public struct TaskSubmission: Sendable {
  /// What kind of work; an agent must list it among its capabilities.
  public var type: String
  /// Handed to the agent as it is.
  public var payload: JSONText
  /// The kind of agent, as `browser`.
  public var agentType: String?
  /// Capabilities that the agent needs besides `type`.
  public var requires: [String] = []
  /// Labels that the agent must have.
  public var selector: [String: String] = [:]
  /// Labels of the task, for filters and people.
  public var labels: [String: String] = [:]
  public var priority: Priority?
  /// For limits and fairness per tenant, customer or host.
  public var key: String?
  /// One key makes one task, however often it is submitted; it also makes the call safe to repeat
  /// after a lost connection, which this library then does.
  public var idempotencyKey: String?
  /// Not before this time.
  public var runAt: Date?
  /// The task fails if it has not ended by then.
  public var deadline: Date?
  /// Bounds one attempt.
  public var timeout: Duration?
  public var retry: TaskRetry?

  public init(type: String, payload: JSONText = .emptyObject) {
    self.type = type
    self.payload = payload
  }

  /// Encodes the payload; see `JSONText.init(encoding:)`.
  public init(type: String, payload: some Encodable) throws {
    self.init(type: type, payload: try JSONText(encoding: payload))
  }

  /// The task as JSON, as the server reads it.
  public var json: JSONText {
    var writer = JSONWriter()
    write(to: &writer)
    return JSONText(checked: writer.bytes)
  }

  func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.field("type", type)
    writer.field("payload", raw: payload.bytes)
    writer.field(ifPresent: "agentType", agentType)
    if !requires.isEmpty { writer.field("requires", requires) }
    if !selector.isEmpty { writer.field("selector", selector) }
    if !labels.isEmpty { writer.field("labels", labels) }
    writer.field(ifPresent: "priority", priority?.rawValue)
    writer.field(ifPresent: "key", key)
    writer.field(ifPresent: "idempotencyKey", idempotencyKey)
    writer.field(ifPresent: "runAt", runAt.map(Timestamp.init))
    writer.field(ifPresent: "deadline", deadline.map(Timestamp.init))
    if let timeout { writer.field("timeout", timeout.wholeMilliseconds) }
    retry?.write(to: &writer)
    writer.endObject()
  }
}

/// 0 to 9, higher first.
public struct Priority: RawRepresentable, Sendable, Hashable, ExpressibleByIntegerLiteral {
  public let rawValue: Int
  public init(rawValue: Int) { self.rawValue = rawValue }
  public init(integerLiteral value: Int) { rawValue = value }

  public static let critical: Priority = 9
  public static let high: Priority = 7
  public static let medium: Priority = 5
  public static let low: Priority = 2
}

/// When a failed attempt is tried again. What is nil is left to the server's defaults.
public struct TaskRetry: Sendable, Hashable {
  /// How the delays grow.
  public enum Backoff: String, Sendable {
    case exponential
    case fixed
  }

  /// Failed attempts until the task has failed for good.
  public var maxAttempts: Int?
  public var backoff: Backoff?
  /// The first delay.
  public var base: Duration?
  /// Each delay is the last one times this.
  public var factor: Double?
  /// The longest delay.
  public var cap: Duration?
  /// The share by which a delay is spread: 0.2 is ±20 %.
  public var jitter: Double?

  public init(maxAttempts: Int? = nil) {
    self.maxAttempts = maxAttempts
  }

  func write(to writer: inout JSONWriter) {
    writer.key(literal: "retry")
    writer.beginObject()
    writer.field(ifPresent: "maxAttempts", maxAttempts)
    writer.field(ifPresent: "backoff", backoff?.rawValue)
    if let base { writer.field("base", base.wholeMilliseconds) }
    if let factor { writer.field("factor", factor) }
    if let cap { writer.field("cap", cap.wholeMilliseconds) }
    if let jitter { writer.field("jitter", jitter) }
    writer.endObject()
  }
}

/// The answer to a submitted, cancelled, retried or acknowledged task.
public struct TaskReceipt: Sendable {
  public let taskID: String
  public let state: TaskSnapshot.State
  /// False for the repeat of an idempotency key, and for a retry that only ended a backoff.
  public let isNew: Bool
  /// As the server sent it.
  public let json: JSONText

  init(_ answer: Answer) throws(OrreryError) {
    let node = try answer.object()
    taskID = try node.text(node["taskId"] == nil ? "id" : "taskId")
    state = TaskSnapshot.State(rawValue: try node.text("state"))
    isNew = answer.status == 201
    json = JSONText(node)
  }
}
