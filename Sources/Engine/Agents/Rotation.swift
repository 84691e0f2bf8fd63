// SPDX-License-Identifier: Apache-2.0
// New secrets: an agent's, and the master key that seals them all.
package import Domain
import Synchronization

extension Engine {
  /// Gives an agent a new secret; the old one stays valid for the grace (0: is revoked at once).
  package func rotateSecret(
    of id: AgentID, graceSeconds: Int
  ) async throws(ControlError) -> AgentSecret {
    try await registry.hold { () throws(ControlError) in
      let record = try agent(id).record
      let secret = try newSecret()
      var entry = AgentSecrets.Entry(current: secret)
      if let old = agentSecrets.entry(id), graceSeconds > 0 {
        entry.previous = old.current
        entry.isPreviousShared = old.isShared
        entry.previousUntil = world.now().adding(milliseconds: Int64(graceSeconds) * 1_000)
      }
      try await save(record, entry: entry)
      return secret
    }
  }

  /// Seals everything under a new master key in one transaction.
  ///
  /// - Parameter next: the vault of the new key; its key must be kept safe before this is called.
  package func rotateMasterKey(to next: Vault) async throws(ControlError) {
    try await registry.hold { () throws(ControlError) in try await resealAll(under: next) }
  }

  private func resealAll(under next: Vault) async throws(ControlError) {
    let agents = try await stored { () throws(StoreError) in try await store.agents() }
    let secrets = try await stored { () throws(StoreError) in try await store.secrets() }
    do {
      let resealedAgents = try agents.map { try reseal($0, next) }
      let resealedSecrets = try secrets.map { secret in
        var secret = secret
        secret.sealed = try next.seal(
          vault.open(secret.sealed, for: .secret(secret.name)), for: .secret(secret.name))
        return secret
      }
      let check = try next.seal(KeyCheck.text, for: .check)
      try await store.reseal(
        agents: resealedAgents, secrets: resealedSecrets, meta: [KeyCheck.name: check])
    } catch let error as StoreError {
      throw error.asControlError
    } catch {
      throw ControlError(
        .internalError, "Some secret could not be sealed anew; nothing was changed.")
    }
    vault.replaceKey(by: next)
  }

  private func reseal(_ agent: StoredAgent, _ next: Vault) throws -> StoredAgent {
    var agent = agent
    let id = agent.record.id
    agent.secret = try agent.secret.map {
      try next.seal(vault.open($0, for: .agent(id)), for: .agent(id))
    }
    agent.previousSecret = try agent.previousSecret.map {
      try next.seal(vault.open($0, for: .previousAgent(id)), for: .previousAgent(id))
    }
    return agent
  }
}

/// A known text sealed under the master key: by it a wrong key is noticed at the start.
package enum KeyCheck {
  package static let name = "key-check"
  package static let text = Array("orrery".utf8)

  /// Whether the vault's key is the one that the store was sealed under; a new store takes it.
  package static func accepts(
    _ vault: Vault, store: any Store
  ) async throws(StoreError) -> Bool {
    guard let sealed = try await store.meta(name) else {
      let check: [UInt8]
      do { check = try vault.seal(text, for: .check) } catch { return false }
      try await store.setMeta(name, check)
      return true
    }
    do { return try vault.open(sealed, for: .check) == text } catch { return false }
  }
}
