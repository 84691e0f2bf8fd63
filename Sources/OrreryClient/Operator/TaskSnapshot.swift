// SPDX-License-Identifier: Apache-2.0
// A task as it was when the server was asked.

import Domain
public import Foundation

/// A task at one moment. Lists leave `payload` and `results` out.
public struct TaskSnapshot: Sendable, Identifiable {
  /// Where a task is in its life. States that this version does not know are kept as text.
  public struct State: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    public static let queued = State(rawValue: "queued")
    public static let running = State(rawValue: "running")
    public static let completed = State(rawValue: "completed")
    public static let failed = State(rawValue: "failed")
    public static let cancelled = State(rawValue: "cancelled")

    /// An end is final.
    public var isEnd: Bool { self == .completed || self == .failed || self == .cancelled }
  }

  /// Why an attempt failed.
  public struct Failure: Sendable {
    /// The agent's code, or one of the control plane's, as `TIMEOUT`.
    public let code: String
    public let message: String?
    public let json: JSONText
  }

  public let id: String
  public let type: String
  public let state: State
  public let priority: Int
  /// Rises with every claim; 0 before the first.
  public let attempt: Int
  /// Failed attempts.
  public let failures: Int
  /// The agent that holds or held the last attempt.
  public let agentID: String?
  /// 0 to 100, as last reported.
  public let progress: Double?
  /// As last reported.
  public let message: String?
  public let payload: JSONText?
  public let results: JSONText?
  /// The agent did part of the work; results and error are both kept.
  public let isPartial: Bool
  public let error: Failure?
  /// Why a queued task is not running yet, as `no_agent`.
  public let waitingFor: String?
  /// Failed for good and not acknowledged by a person yet.
  public let needsAttention: Bool
  /// The task that this one repeats.
  public let retryOf: String?
  public let labels: [String: String]
  public let key: String?
  public let idempotencyKey: String?
  public let runAt: Date?
  public let deadline: Date?
  public let createdAt: Date?
  public let startedAt: Date?
  public let completedAt: Date?
  /// Everything, as the server sent it.
  public let json: JSONText

  /// The `data` of the results.
  public var data: JSONText? {
    do {
      guard let results else { return nil }
      return try JSONText.scan(results.bytes).root["data"].map(JSONText.init)
    } catch {
      return nil  // Cannot be: the results were part of a scanned document.
    }
  }

  init(_ node: JSONNode) throws(OrreryError) {
    id = try node.text("id")
    type = try node.text("type")
    state = State(rawValue: try node.text("state"))
    priority = node.int("priority") ?? 5
    attempt = node.int("attempt") ?? 0
    failures = node.int("failures") ?? 0
    agentID = node["agentId"]?.stringValue
    progress = node["progress"]?.doubleValue
    message = node["message"]?.stringValue
    payload = node["payload"].map(JSONText.init)
    results = node.present("results").map(JSONText.init)
    isPartial = node["partial"]?.boolValue ?? false
    error = node.present("error").map(Failure.init)
    waitingFor = node["waitingFor"]?.stringValue
    needsAttention = node["needsAttention"]?.boolValue ?? false
    retryOf = node["retryOf"]?.stringValue
    labels = node.stringMap("labels")
    key = node["key"]?.stringValue
    idempotencyKey = node["idempotencyKey"]?.stringValue
    runAt = node.date("runAt").map(Date.init)
    deadline = node.date("deadline").map(Date.init)
    createdAt = node.date("createdAt").map(Date.init)
    startedAt = node.date("startedAt").map(Date.init)
    completedAt = node.date("completedAt").map(Date.init)
    json = JSONText(node)
  }
}

extension TaskSnapshot.Failure {
  init(_ node: JSONNode) {
    code = node["code"]?.stringValue ?? "UNKNOWN"
    message = node["message"]?.stringValue
    json = JSONText(node)
  }
}

/// One line of a task's log.
public struct TaskLogLine: Sendable {
  public let timestamp: Date?
  /// `debug`, `info`, `warning` or `error`.
  public let level: String
  public let message: String
  public let metadata: JSONText?
  public let json: JSONText

  init(_ node: JSONNode) throws(OrreryError) {
    timestamp = node.date("timestamp").map(Date.init)
    level = node["level"]?.stringValue ?? "info"
    message = try node.text("message")
    metadata = node.present("metadata").map(JSONText.init)
    json = JSONText(node)
  }
}
