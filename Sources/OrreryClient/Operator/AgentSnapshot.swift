// SPDX-License-Identifier: Apache-2.0
// Agents as an operator sees and registers them.

import Domain
public import Foundation

/// A registered agent at one moment.
public struct AgentSnapshot: Sendable, Identifiable {
  public let id: String
  public let name: String
  /// `http`, `browser`, `cloud` or `wasm`.
  public let type: String
  /// `active`, `draining`, `unhealthy` or `disabled`.
  public let state: String
  /// Push agents have one; pull agents do not.
  public let endpoint: String?
  public let capabilities: [String]
  public let concurrency: Int
  /// Tasks that it holds now.
  public let running: Int
  public let labels: [String: String]
  /// `config`, `api` or `join`.
  public let managedBy: String?
  public let lastSeenAt: Date?
  public let createdAt: Date?
  /// Everything, as the server sent it.
  public let json: JSONText

  init(_ node: JSONNode) throws(OrreryError) {
    id = try node.text("id")
    name = node["name"]?.stringValue ?? id
    type = node["type"]?.stringValue ?? "http"
    state = try node.text("state")
    endpoint = node["endpoint"]?.stringValue
    capabilities = node.strings("capabilities")
    concurrency = node.int("concurrency") ?? 0
    running = node.int("running") ?? 0
    labels = node.stringMap("labels")
    managedBy = node["managedBy"]?.stringValue
    lastSeenAt = node.date("lastSeenAt").map(Date.init)
    createdAt = node.date("createdAt").map(Date.init)
    json = JSONText(node)
  }
}

/// An agent to register.
public struct AgentRegistration: Sendable {
  /// For people; joining again under it keeps the id.
  public var name: String
  /// `http`, `browser`, `cloud` or `wasm`.
  public var type = "http"
  /// Push: where dispatches are sent. Nil: the agent pulls.
  public var endpoint: String?
  /// Push: where cancellations are sent.
  public var cancelEndpoint: String?
  /// Probed at registration and every 15 s.
  public var healthURL: String?
  /// The answer to a dispatch is the result.
  public var answersSynchronously = false
  /// Task types, and whatever tasks may ask for by `requires`.
  public var capabilities: [String]
  /// Tasks at a time; nil is the server's default.
  public var concurrency: Int?
  /// Nil: 30 for pull agents, the task's timeout for push agents.
  public var leaseSeconds: Int?
  public var labels: [String: String] = [:]

  public init(name: String, capabilities: [String]) {
    self.name = name
    self.capabilities = capabilities
  }

  var bytes: [UInt8] {
    var writer = JSONWriter()
    writer.object { writer in
      writer.field("name", name)
      writer.field("type", type)
      writer.field(ifPresent: "endpoint", endpoint)
      writer.field(ifPresent: "cancelEndpoint", cancelEndpoint)
      writer.field(ifPresent: "healthUrl", healthURL)
      if answersSynchronously { writer.field("answers", "sync") }
      writer.field("capabilities", capabilities)
      writer.field(ifPresent: "concurrency", concurrency)
      writer.field(ifPresent: "leaseSeconds", leaseSeconds)
      if !labels.isEmpty { writer.field("labels", labels) }
    }
    return writer.bytes
  }
}

/// An agent's id and secret, shown once.
public struct AgentCredentials: Sendable {
  public let id: String
  /// Keep it: the server never shows it again.
  public let secret: String
  public let json: JSONText

  init(_ node: JSONNode, id: String? = nil) throws(OrreryError) {
    if let id, node["id"] == nil {
      self.id = id
    } else {
      self.id = try node.text("id")
    }
    secret = try node.text("secret")
    json = JSONText(node)
  }
}

extension AgentCredentials: CustomStringConvertible, CustomReflectable {
  public var description: String { "AgentCredentials(\(id), ***)" }
  public var customMirror: Mirror { Mirror(self, children: ["id": id]) }
}

/// What to change of an agent; nil stays as it is.
public struct AgentChange: Sendable {
  /// `active`, `draining` or `disabled`.
  public var state: String?
  public var concurrency: Int?
  public var labels: [String: String]?
  public var capabilities: [String]?

  public init(state: String? = nil, concurrency: Int? = nil) {
    self.state = state
    self.concurrency = concurrency
  }

  var bytes: [UInt8] {
    var writer = JSONWriter()
    writer.object { writer in
      writer.field(ifPresent: "state", state)
      writer.field(ifPresent: "concurrency", concurrency)
      if let labels { writer.field("labels", labels) }
      if let capabilities { writer.field("capabilities", capabilities) }
    }
    return writer.bytes
  }
}
