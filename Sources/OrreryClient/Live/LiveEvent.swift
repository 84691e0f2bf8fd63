// SPDX-License-Identifier: Apache-2.0
// What happened to a task or an agent, as the server tells it while it happens.

import Domain
public import Foundation

/// One event. Of two events of one thing the one with the higher `sequence` is the newer.
public struct LiveEvent: Sendable {
  /// What it is about. Kinds that this version does not know are kept as text.
  public struct Kind: RawRepresentable, Sendable, Hashable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    public static let task = Kind(rawValue: "task")
    public static let agent = Kind(rawValue: "agent")
    public static let log = Kind(rawValue: "log")
    public static let overview = Kind(rawValue: "overview")
    /// Events were lost to this client: ask again for what you show.
    public static let resync = Kind(rawValue: "resync")
  }

  public let kind: Kind
  /// The task's or agent's id.
  public let id: String
  /// Rises over all events; nil where the server was asked instead of listened to.
  public let sequence: Int64?
  public let at: Date?
  /// The task's type or the agent's.
  public let type: String?
  /// The task's or the agent's state.
  public let state: String?
  public let attempt: Int?
  public let agentID: String?
  /// 0 to 100.
  public let progress: Double?
  public let message: String?
  /// Once a task has ended: `success`, `partial`, `failure` or `cancelled`.
  public let status: String?
  /// Everything, as the server sent it; `{"k":"resync","cursor":…}` for that kind.
  public let json: JSONText

  init(_ message: StreamMessage) throws {
    let node = try JSONText.scan(Array(message.data.utf8)).root
    let data = node["d"]
    kind = Kind(rawValue: node["k"]?.stringValue ?? message.event)
    id = node["id"]?.stringValue ?? ""
    sequence = node["v"]?.int64Value
    at = node.date("at").map(Date.init)
    type = data?["type"]?.stringValue
    state = data?["state"]?.stringValue
    attempt = data?.int("attempt")
    agentID = data?["agentId"]?.stringValue
    progress = data?["progress"]?.doubleValue
    self.message = data?["message"]?.stringValue
    status = data?["status"]?.stringValue
    json = node["k"] == nil ? Self.named(message.event, message.id) : JSONText(node)
  }

  /// `resync`, which says its kind in the stream only.
  private static func named(_ kind: String, _ cursor: String?) -> JSONText {
    var writer = JSONWriter()
    writer.object {
      $0.field("k", kind)
      $0.field(ifPresent: "cursor", cursor)
    }
    return JSONText(checked: writer.bytes)
  }

  /// What a server without live events was asked for, in the form of an event.
  init(_ task: TaskSnapshot) throws {
    var writer = JSONWriter()
    writer.object {
      $0.field("k", "task")
      $0.field("id", task.id)
      $0.key(literal: "d")
      $0.object {
        $0.field("type", task.type)
        $0.field("state", task.state.rawValue)
        $0.field("attempt", task.attempt)
        $0.field(ifPresent: "agentId", task.agentID)
        if let progress = task.progress { $0.field("progress", progress) }
        $0.field(ifPresent: "message", task.message)
      }
    }
    try self.init(StreamMessage(event: "task", data: String(decoding: writer.bytes, as: UTF8.self)))
  }
}

/// Names of what can be watched.
public enum LiveTopic {
  public static let overview = "overview"
  public static let agents = "agents"

  public static func task(_ id: String) -> String { "task:\(id)" }
  public static func logs(_ id: String) -> String { "logs:\(id)" }

  /// Every task, or those that match: values of one kind are alternatives, labels must all be
  /// there.
  public static func tasks(
    states: [TaskSnapshot.State] = [], types: [String] = [], agentIDs: [String] = [],
    labels: [String: String] = [:]
  ) -> String {
    let pairs =
      states.map { ("state", $0.rawValue) } + types.map { ("type", $0) }
      + agentIDs.map { ("agent", $0) }
      + labels.sorted { $0.key < $1.key }.map { ("label", "\($0.key):\($0.value)") }
    guard !pairs.isEmpty else { return "tasks" }
    return "tasks?"
      + pairs.map { "\($0)=\(ServerAddress.encoded($1))" }.joined(separator: "&")
  }
}
