// SPDX-License-Identifier: Apache-2.0
// Agents of the configuration file: the file wins at each start.
package import Domain
import Logging
import Synchronization

/// An entry of the configuration with the secret that it names.
package struct ConfiguredAgent: Sendable {
  package var record: AgentRecord
  /// From a variable or named secret; nil: one is made.
  package var secret: AgentSecret?
  /// The shared secret of `callbacks.authentication`.
  package var isShared: Bool

  package init(record: AgentRecord, secret: AgentSecret?, isShared: Bool) {
    self.record = record
    self.secret = secret
    self.isShared = isShared
  }
}

extension Engine {
  /// Takes over the entries of the file; drains and disables those that are gone from it. Returns
  /// each entry's secret, for agents that the server starts itself.
  package func adopt(
    _ configured: [ConfiguredAgent]
  ) async throws(ControlError) -> [AgentID: AgentSecret] {
    var secrets: [AgentID: AgentSecret] = [:]
    for agent in configured {
      var record = agent.record
      record.origin = .config
      if let known = core.withLock({ $0.agent(record.id) }) {
        record.createdAt = known.createdAt
        record.lastSeen = known.lastSeen
      }
      let kept = agentSecrets.entry(record.id)
      var entry: AgentSecrets.Entry
      if let kept, agent.secret.map({ $0 == kept.current }) ?? true {
        entry = kept
      } else if let secret = agent.secret {
        entry = AgentSecrets.Entry(current: secret)
      } else {
        entry = AgentSecrets.Entry(current: try newSecret())
      }
      entry.isShared = agent.isShared
      try await save(record, entry: entry)
      secrets[record.id] = entry.current
    }
    try await disableGone(keeping: Set(configured.map(\.record.id)))
    return secrets
  }

  private func disableGone(keeping: Set<AgentID>) async throws(ControlError) {
    let gone = core.withLock { $0.agentRecords }.filter {
      $0.origin == .config && !keeping.contains($0.id) && $0.state != .disabled
    }
    for var record in gone {
      record.state = .disabled
      logger.notice(
        "an agent is gone from the configuration; disabled", metadata: ["agent": "\(record.id)"])
      try await save(record, entry: agentSecrets.entry(record.id))
    }
  }
}
