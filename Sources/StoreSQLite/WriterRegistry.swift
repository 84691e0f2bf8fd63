// SPDX-License-Identifier: Apache-2.0
// Writes about agents, types, tokens, secrets and the installation.
internal import Domain
internal import Engine

extension Writer {
  func save(_ agent: StoredAgent) throws(StoreError) {
    let record = agent.record
    let row = try statement(
      """
      INSERT OR REPLACE INTO agents (id, name, kind, endpoint, cancel_endpoint, health_url, answers,
        capabilities, concurrency, lease_seconds, labels, state, origin, timeout, options,
        created_at, last_seen, secret, previous_secret, previous_until)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
        ?20)
      """)
    try row.bind(1, text: record.id.text)
    try row.bind(2, text: record.name)
    try row.bind(3, text: record.kind.rawValue)
    try row.bind(4, text: record.endpoint)
    try row.bind(5, text: record.cancelEndpoint)
    try row.bind(6, text: record.healthUrl)
    try row.bind(7, text: record.answers.rawValue)
    try row.bind(8, utf8: Encoding.text(record.capabilities))
    try row.bind(9, Int64(record.concurrency))
    try row.bind(10, record.leaseSeconds.map(Int64.init))
    try row.bind(11, utf8: Encoding.text(record.labels))
    try row.bind(12, text: record.state.rawValue)
    try row.bind(13, Int64(record.origin.rawValue))
    try row.bind(14, record.timeout)
    try row.bind(15, utf8: record.options)
    try row.bind(16, record.createdAt.milliseconds)
    try row.bind(17, record.lastSeen)
    try row.bind(18, blob: agent.secret)
    try row.bind(19, blob: agent.previousSecret)
    try row.bind(20, agent.previousUntil)
    try row.run()
  }

  func touch(_ seen: [AgentID: Timestamp]) throws(StoreError) {
    let update = try statement(
      "UPDATE agents SET last_seen = max(coalesce(last_seen, ?2), ?2) WHERE id = ?1")
    for (agent, time) in seen {
      try update.bind(1, text: agent.text)
      try update.bind(2, time.milliseconds)
      try update.run()
    }
  }

  func save(_ settings: TypeSettings) throws(StoreError) {
    let row = try statement(
      """
      INSERT OR REPLACE INTO types (type, paused, concurrency, rate, key_concurrency, key_rate)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6)
      """)
    try row.bind(1, text: settings.type)
    try row.bind(2, settings.paused)
    try row.bind(3, settings.limits.concurrency.map(Int64.init))
    try row.bind(4, settings.limits.ratePerSecond)
    try row.bind(5, settings.perKey.concurrency.map(Int64.init))
    try row.bind(6, settings.perKey.ratePerSecond)
    try row.run()
  }

  func save(_ token: StoredToken) throws(StoreError) {
    let row = try statement(
      """
      INSERT OR REPLACE INTO tokens (id, name, role, hash, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
      """)
    try row.bind(1, text: token.id)
    try row.bind(2, text: token.name)
    try row.bind(3, text: token.role)
    try row.bind(4, blob: token.hash)
    try row.bind(5, token.createdAt.milliseconds)
    try row.run()
  }

  func save(_ secret: StoredSecret) throws(StoreError) {
    let row = try statement(
      """
      INSERT OR REPLACE INTO secrets (name, sealed, created_at, updated_at)
      VALUES (?1, ?2, ?3, ?4)
      """)
    try row.bind(1, text: secret.name)
    try row.bind(2, blob: secret.sealed)
    try row.bind(3, secret.createdAt.milliseconds)
    try row.bind(4, secret.updatedAt.milliseconds)
    try row.run()
  }

  func setMeta(_ name: String, _ value: [UInt8]) throws(StoreError) {
    let row = try statement("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")
    try row.bind(1, text: name)
    try row.bind(2, blob: value)
    try row.run()
  }

  func reseal(agents: [StoredAgent], secrets: [StoredSecret], meta: [String: [UInt8]])
    throws(StoreError)
  {
    let agentRow = try statement(
      "UPDATE agents SET secret = ?2, previous_secret = ?3, previous_until = ?4 WHERE id = ?1")
    for agent in agents {
      try agentRow.bind(1, text: agent.record.id.text)
      try agentRow.bind(2, blob: agent.secret)
      try agentRow.bind(3, blob: agent.previousSecret)
      try agentRow.bind(4, agent.previousUntil)
      try agentRow.run()
    }
    let secretRow = try statement("UPDATE secrets SET sealed = ?2 WHERE name = ?1")
    for secret in secrets {
      try secretRow.bind(1, text: secret.name)
      try secretRow.bind(2, blob: secret.sealed)
      try secretRow.run()
    }
    for (name, value) in meta { try setMeta(name, value) }
  }

  enum Registry: String {
    case agents, tokens, secrets

    var key: String { self == .secrets ? "name" : "id" }
  }

  /// False if there is no such row.
  func remove(_ key: String, from table: Registry) throws(StoreError) -> Bool {
    let delete = try statement("DELETE FROM \(table.rawValue) WHERE \(table.key) = ?1")
    try delete.bind(1, text: key)
    try delete.run()
    return delete.changes > 0
  }
}
