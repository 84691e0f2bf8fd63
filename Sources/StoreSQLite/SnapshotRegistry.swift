// SPDX-License-Identifier: Apache-2.0
// Reading agents, types, tokens, secrets, counts and the installation's facts.
internal import Domain
internal import Engine

extension Snapshot {
  func agents() throws(StoreError) -> [StoredAgent] {
    try rows(
      """
      SELECT id, name, kind, endpoint, cancel_endpoint, health_url, answers, capabilities,
        concurrency, lease_seconds, labels, state, origin, timeout, options, created_at, last_seen,
        secret, previous_secret, previous_until
      FROM agents ORDER BY id
      """
    ) { row throws(StoreError) in
      StoredAgent(
        record: try row.agentRecord(), secret: row.optionalBytes(17),
        previousSecret: row.optionalBytes(18), previousUntil: row.optionalTime(19))
    }
  }

  func types() throws(StoreError) -> [TypeSettings] {
    try rows(
      """
      SELECT type, paused, concurrency, rate, key_concurrency, key_rate FROM types ORDER BY type
      """
    ) { row in
      var settings = TypeSettings(type: row.text(0))
      settings.paused = row.bool(1)
      settings.limits = TypeLimits(
        concurrency: row.optionalInt64(2).map { Int($0) }, ratePerSecond: row.optionalDouble(3))
      settings.perKey = TypeLimits(
        concurrency: row.optionalInt64(4).map { Int($0) }, ratePerSecond: row.optionalDouble(5))
      return settings
    }
  }

  func tokens() throws(StoreError) -> [StoredToken] {
    try rows("SELECT id, name, role, hash, created_at FROM tokens ORDER BY created_at, id") { row in
      StoredToken(
        id: row.text(0), name: row.text(1), role: row.text(2), hash: row.bytes(3),
        createdAt: row.time(4))
    }
  }

  func secrets() throws(StoreError) -> [StoredSecret] {
    try rows("SELECT name, sealed, created_at, updated_at FROM secrets ORDER BY name") { row in
      StoredSecret(
        name: row.text(0), sealed: row.bytes(1), createdAt: row.time(2), updatedAt: row.time(3))
    }
  }

  func meta(_ name: String) throws(StoreError) -> [UInt8]? {
    let select = try statement("SELECT value FROM meta WHERE name = ?1")
    try select.bind(1, text: name)
    defer { select.reset() }
    return try select.step() ? select.bytes(0) : nil
  }

  func counts() throws(StoreError) -> [String: TypeCounts] {
    let rows = try rows(
      "SELECT type, queued, running, completed, failed, cancelled FROM counters"
    ) { row -> (String, TypeCounts) in
      var counts = TypeCounts()
      for state in TaskState.allCases { counts[state] = row.int64(Int32(state.rawValue) + 1) }
      return (row.text(0), counts)
    }
    return Dictionary(rows) { first, _ in first }
  }

  func lastTaskID() throws(StoreError) -> TaskID? {
    let newest = try rows("SELECT max(id) FROM tasks") { $0.optionalInt64(0) }
    let purged = try meta(Writer.lastIDName).flatMap { Int64(String(decoding: $0, as: UTF8.self)) }
    return (newest + [purged]).compactMap(\.self).max().map(TaskID.init(rawValue:))
  }
}

extension Statement {
  /// Reads the first seventeen columns of an agent.
  fileprivate func agentRecord() throws(StoreError) -> AgentRecord {
    guard let kind = AgentKind(rawValue: text(2)), let answers = AnswerMode(rawValue: text(6)),
      let state = AgentState(rawValue: text(11)), let origin = AgentOrigin(rawValue: int(12))
    else { throw .unavailable("An agent in the database is damaged.") }
    var record = AgentRecord(
      id: AgentID(stored: text(0)), name: text(1), kind: kind,
      capabilities: try Encoding.strings(bytes(7)), createdAt: time(15))
    record.endpoint = optionalText(3)
    record.cancelEndpoint = optionalText(4)
    record.healthUrl = optionalText(5)
    record.answers = answers
    record.concurrency = int(8)
    record.leaseSeconds = optionalInt64(9).map { Int($0) }
    record.labels = try Encoding.labels(bytes(10))
    record.state = state
    record.origin = origin
    record.timeout = optionalInt64(13)
    record.options = optionalBytes(14)
    record.lastSeen = optionalTime(16)
    return record
  }
}
