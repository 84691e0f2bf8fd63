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
  /// Takes over the entries of the file; drains those that are gone from it, and disables them once
  /// nothing runs there. Returns each entry's secret.
  @discardableResult
  package func adopt(
    _ configured: [ConfiguredAgent]
  ) async throws(ControlError) -> [AgentID: AgentSecret] {
    try await registry.hold { () throws(ControlError) in try await takeOver(configured) }
  }

  /// The secret that an agent signs with now, for processes that the server starts itself.
  package func currentSecret(of id: AgentID) -> AgentSecret? { agentSecrets.entry(id)?.current }

  private func takeOver(
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
    let kept = Set(configured.map(\.record.id))
    let left = core.withLock { $0.agentRecords }.filter {
      $0.origin == .config && !kept.contains($0.id) && $0.state != .disabled
    }
    for record in left { try await retire(record) }
    return secrets
  }

  /// An agent that is gone from the configuration gets nothing new; it is disabled once what runs
  /// there is over, so that its reports are still taken.
  private func retire(_ record: AgentRecord) async throws(ControlError) {
    var record = record
    let isBusy = core.withLock { ($0.vitals(of: record.id)?.inUse ?? 0) > 0 }
    let state: AgentState = isBusy ? .draining : .disabled
    retiring.withLock { if isBusy { $0.insert(record.id) } else { $0.remove(record.id) } }
    guard record.state != state else { return }
    record.state = state
    logger.notice(
      "an agent is gone from the configuration",
      metadata: ["agentId": "\(record.id)", "state": "\(state.rawValue)"])
    try await save(record, entry: agentSecrets.entry(record.id))
  }

  /// Disables the agents that are gone from the configuration and have finished.
  func disableRetired() async {
    for id in retiring.withLock({ $0 }).sorted() {
      do throws(ControlError) {
        try await registry.hold { () throws(ControlError) in
          try await retire(try agent(id).record)
        }
      } catch {
        logger.warning(
          "an agent that is gone from the configuration was not disabled yet",
          metadata: ["agentId": "\(id)", "error": "\(error.message)"])
      }
    }
  }
}
