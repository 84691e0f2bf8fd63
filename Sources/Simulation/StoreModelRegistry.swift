// SPDX-License-Identifier: Apache-2.0
// The model's agents, types, tokens, secrets and retention.
package import Domain
package import Engine

extension StoreModel {
  package var agents: [StoredAgent] {
    agentEntries.keys.sorted().compactMap { agentEntries[$0] }
  }

  package mutating func save(_ agent: StoredAgent) { agentEntries[agent.record.id] = agent }

  package mutating func touch(_ seen: [AgentID: Timestamp]) {
    for (agent, time) in seen {
      guard let old = agentEntries[agent]?.record.lastSeen else {
        agentEntries[agent]?.record.lastSeen = time
        continue
      }
      agentEntries[agent]?.record.lastSeen = max(old, time)
    }
  }

  package mutating func removeAgent(_ id: AgentID) -> Bool {
    agentEntries.removeValue(forKey: id) != nil
  }

  package var types: [TypeSettings] {
    typeEntries.keys.sorted(by: Self.precedes).compactMap { typeEntries[$0] }
  }

  package mutating func save(_ settings: TypeSettings) { typeEntries[settings.type] = settings }

  package var tokens: [StoredToken] {
    tokenEntries.values.sorted {
      $0.createdAt == $1.createdAt ? Self.precedes($0.id, $1.id) : $0.createdAt < $1.createdAt
    }
  }

  package mutating func save(_ token: StoredToken) { tokenEntries[token.id] = token }

  package mutating func removeToken(_ id: String) -> Bool {
    tokenEntries.removeValue(forKey: id) != nil
  }

  package var secrets: [StoredSecret] {
    secretEntries.keys.sorted(by: Self.precedes).compactMap { secretEntries[$0] }
  }

  package mutating func save(_ secret: StoredSecret) { secretEntries[secret.name] = secret }

  package mutating func removeSecret(_ name: String) -> Bool {
    secretEntries.removeValue(forKey: name) != nil
  }

  /// Replaces sealed values only; entries that are gone stay gone.
  package mutating func reseal(
    agents: [StoredAgent], secrets: [StoredSecret], meta: [String: [UInt8]]
  ) {
    for agent in agents {
      agentEntries[agent.record.id]?.secret = agent.secret
      agentEntries[agent.record.id]?.previousSecret = agent.previousSecret
      agentEntries[agent.record.id]?.previousUntil = agent.previousUntil
    }
    for secret in secrets { secretEntries[secret.name]?.sealed = secret.sealed }
    facts.merge(meta) { _, new in new }
  }

  package func meta(_ name: String) -> [UInt8]? { facts[name] }

  package mutating func setMeta(_ name: String, _ value: [UInt8]) { facts[name] = value }

  /// Deletes finished tasks that ended before `time`, lowest ids first; returns how many.
  package mutating func purge(endedBefore time: Timestamp, limit: Int) -> Int {
    let longAgo = time.adding(milliseconds: -Limits.idempotencyMemory)
    keys = keys.filter { key in key.value.endedAt.map { $0 > longAgo } ?? true }
    let ended = rows.filter { row in row.value.end.map { $0.at < time } ?? false }
    let victims = ended.keys.sorted().prefix(max(0, limit))
    for id in victims {
      guard let row = rows.removeValue(forKey: id), let end = row.end else { continue }
      typeCounts[type(of: row.demand), default: TypeCounts()][row.state] -= 1
      guard let key = row.task.idempotencyKey else { continue }
      if end.at <= longAgo { keys[key] = nil } else { keys[key]?.endedAt = end.at }
    }
    return victims.count
  }

  /// Names are compared as bytes, as databases do.
  private static func precedes(_ a: String, _ b: String) -> Bool {
    a.utf8.lexicographicallyPrecedes(b.utf8)
  }
}
