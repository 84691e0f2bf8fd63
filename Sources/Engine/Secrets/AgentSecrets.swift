// SPDX-License-Identifier: Apache-2.0
// The agents' secrets, opened and ready for signing.
import Domain
import Synchronization

/// Up to two secrets per agent; the previous one until its grace is over.
final class AgentSecrets: Sendable {
  struct Entry {
    var current: AgentSecret
    var previous: AgentSecret?
    var previousUntil: Timestamp?
    /// Shared with other agents by the configuration: bodies must name the agent.
    var isShared = false
    /// Whether the previous secret was.
    var isPreviousShared = false

    /// The secrets that are valid now, newest first.
    func active(now: Timestamp) -> [AgentSecret] {
      guard let previous, let previousUntil, now < previousUntil else { return [current] }
      return [current, previous]
    }
  }

  private let entries = Mutex<[AgentID: Entry]>([:])

  func load(_ agent: StoredAgent, vault: Vault) throws {
    guard let sealed = agent.secret else { return }
    let current = try Self.open(sealed, .agent(agent.record.id), vault)
    var entry = Entry(current: current)
    if let previous = agent.previousSecret {
      entry.previous = try Self.open(previous, .previousAgent(agent.record.id), vault)
      entry.previousUntil = agent.previousUntil
    }
    set(agent.record.id, entry)
  }

  private static func open(
    _ sealed: [UInt8], _ place: Vault.Place, _ vault: Vault
  ) throws -> AgentSecret {
    try AgentSecret(String(decoding: try vault.open(sealed, for: place), as: UTF8.self))
  }

  func set(_ agent: AgentID, _ entry: Entry?) { entries.withLock { $0[agent] = entry } }

  func entry(_ agent: AgentID) -> Entry? { entries.withLock { $0[agent] } }

  /// The secrets that are valid now, newest first; empty for an unknown agent.
  func active(_ agent: AgentID, now: Timestamp) -> [AgentSecret] {
    entry(agent)?.active(now: now) ?? []
  }
}
