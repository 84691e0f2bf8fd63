// SPDX-License-Identifier: Apache-2.0
// Tokens, secrets, keys, backups and figures: what an administrator asks for.

import Domain
public import Foundation

/// What a token may do.
public enum TokenRole: String, Sendable, CaseIterable {
  /// Reads.
  case viewer
  /// Also submits, cancels, retries, pauses and manages agents.
  case `operator`
  /// Also tokens, secrets, keys and backups.
  case admin
  /// Registers agents by joining, nothing else.
  case join
}

/// A bearer token without its text.
public struct TokenSnapshot: Sendable, Identifiable {
  public let id: String
  public let name: String
  public let role: String
  public let createdAt: Date?
  public let lastUsedAt: Date?
  public let json: JSONText

  init(_ node: JSONNode) throws(OrreryError) {
    id = try node.text("id")
    name = try node.text("name")
    role = try node.text("role")
    createdAt = node.date("createdAt").map(Date.init)
    lastUsedAt = node.date("lastUsedAt").map(Date.init)
    json = JSONText(node)
  }
}

/// A new token, shown once.
public struct IssuedToken: Sendable, Identifiable {
  public let id: String
  public let name: String
  public let role: String
  /// Keep it: the server never shows it again.
  public let token: String
  public let json: JSONText

  init(_ node: JSONNode) throws(OrreryError) {
    id = try node.text("id")
    name = try node.text("name")
    role = try node.text("role")
    token = try node.text("token")
    json = JSONText(node)
  }
}

extension IssuedToken: CustomStringConvertible, CustomReflectable {
  public var description: String { "IssuedToken(\(id), \(name), \(role), ***)" }
  public var customMirror: Mirror { Mirror(self, children: ["id": id, "name": name]) }
}

/// A named secret without its value, which the server never shows.
public struct SecretSnapshot: Sendable {
  public let name: String
  public let createdAt: Date?
  public let updatedAt: Date?
  public let json: JSONText

  init(_ node: JSONNode) throws(OrreryError) {
    name = try node.text("name")
    createdAt = node.date("createdAt").map(Date.init)
    updatedAt = node.date("updatedAt").map(Date.init)
    json = JSONText(node)
  }
}

/// Figures of a running server.
public struct ServerStats: Sendable {
  public let version: String
  public let uptimeSeconds: Double
  public let tasks: TaskCounts
  public let types: [String: TaskCounts]
  /// Agents by state.
  public let agents: [String: Int]
  public let storeBytes: Int
  public let json: JSONText

  init(_ node: JSONNode) throws(OrreryError) {
    version = node["version"]?.stringValue ?? "unknown"
    uptimeSeconds = node["uptimeSeconds"]?.doubleValue ?? 0
    tasks = TaskCounts(node["tasks"])
    var types: [String: TaskCounts] = [:]
    if let members = node["types"]?.members {
      for member in members { types[member.key] = TaskCounts(member.value) }
    }
    self.types = types
    var agents: [String: Int] = [:]
    if let members = node["agents"]?.members {
      for member in members {
        agents[member.key] = member.value.int64Value.flatMap(Int.init(exactly:))
      }
    }
    self.agents = agents
    storeBytes = node.int("storeBytes") ?? 0
    json = JSONText(node)
  }
}

/// Where a backup is.
public struct BackupReceipt: Sendable {
  public let path: String
  public let bytes: Int
  public let json: JSONText

  init(_ node: JSONNode) throws(OrreryError) {
    path = try node.text("path")
    bytes = node.int("bytes") ?? 0
    json = JSONText(node)
  }
}

/// The answer of the open calls `/healthz` and `/readyz`.
public struct ServerHealth: Sendable {
  public let isGood: Bool
  /// What the server says of itself, as `ok`, or why it is not ready.
  public let status: String
  /// The server's clock, to the second, if it told.
  public let date: Date?
}
