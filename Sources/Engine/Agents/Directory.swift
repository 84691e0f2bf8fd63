// SPDX-License-Identifier: Apache-2.0
// The agents: registering, changing, draining, removing them.
package import Domain
import Logging
import Synchronization

/// An agent as people see it.
package struct AgentView: Sendable {
  package var record: AgentRecord
  package var state: AgentState
  package var running: Int
  /// Milliseconds, a recent mean.
  package var latency: Double
  package var lastSeen: Timestamp
}

extension Engine {
  package func agents() -> [AgentView] {
    let now = world.now()
    return core.withLock { core in core.agentRecords.compactMap { core.view($0.id, now: now) } }
  }

  package func agent(_ id: AgentID) throws(ControlError) -> AgentView {
    let view = core.withLock { $0.view(id, now: world.now()) }
    guard let view else { throw Engine.noSuchAgent }
    return view
  }

  /// A free id: the name itself where it is a well-formed id, else one made from it.
  package func newAgentID(named name: String) -> AgentID {
    let isFree = { (id: AgentID) in self.core.withLock { $0.agent(id) } == nil }
    let plain = AgentID(name)
    if let plain, isFree(plain) { return plain }
    let stem = name.utf8.map {
      Identifier.isValid(String(UnicodeScalar($0))) ? Character(UnicodeScalar($0)) : "-"
    }
    let suffix = Hex.encode(withUnsafeBytes(of: world.random()) { Array($0.prefix(4)) })
    return AgentID(stored: String(stem.prefix(limits.identifier - 9)) + "-" + suffix)
  }

  static var noSuchAgent: ControlError {
    ControlError(.notFound, "There is no agent with this id.")
  }

  /// Adds an agent and returns its new secret, which is shown this once.
  package func register(_ record: AgentRecord) async throws(ControlError) -> AgentSecret {
    try await check(record)
    let secret = try await registry.hold { () throws(ControlError) in try await add(record) }
    await probe(record)
    return secret
  }

  private func add(_ record: AgentRecord) async throws(ControlError) -> AgentSecret {
    let (isTaken, count) = core.withLock {
      ($0.agent(record.id) != nil, $0.agentRecords.count)
    }
    guard !isTaken else {
      throw ControlError(
        .conflict, "An agent with the id \(record.id) exists already.", path: "name")
    }
    guard count < limits.agents else {
      throw ControlError(.limitReached, "There are \(count) agents; no more fit.")
    }
    let secret = try newSecret()
    try await save(record, secret: secret)
    return secret
  }

  /// A worker that starts by itself: under the name of an agent that joined before, it keeps the id
  /// and gets a new secret.
  package func join(
    _ record: AgentRecord
  ) async throws(ControlError) -> (id: AgentID, secret: AgentSecret) {
    try await check(record)
    let (joined, secret) = try await registry.hold { () throws(ControlError) in
      try await addOrRenew(record)
    }
    await probe(joined)
    return (joined.id, secret)
  }

  private func addOrRenew(
    _ record: AgentRecord
  ) async throws(ControlError) -> (AgentRecord, AgentSecret) {
    var record = record
    record.origin = .joined
    let known = core.withLock { $0.agentRecords }.first {
      $0.name == record.name && $0.origin == .joined
    }
    guard let known else {
      let isTaken = core.withLock { $0.agent(record.id) } != nil
      if isTaken { record.id = newAgentID(named: record.name) }
      return (record, try await add(record))
    }
    record.id = known.id
    record.createdAt = known.createdAt
    let secret = try newSecret()
    try await save(record, secret: secret)
    noteSeen(record.id)
    return (record, secret)
  }

  /// Changes an entry that the configuration does not own.
  package func change(
    _ id: AgentID, _ change: @Sendable (inout AgentRecord) throws(ControlError) -> Void
  ) async throws(ControlError) -> AgentView {
    let draft = try changed(id, change)
    try await check(draft)
    let record = try await registry.hold { () throws(ControlError) in
      let record = try changed(id, change)
      if record.addresses != draft.addresses { try await check(record) }
      try await save(record, secret: nil)
      return record
    }
    await probe(record)
    return try agent(id)
  }

  private func changed(
    _ id: AgentID, _ change: (inout AgentRecord) throws(ControlError) -> Void
  ) throws(ControlError) -> AgentRecord {
    var record = try agent(id).record
    try refuseManaged(record)
    try change(&record)
    return record
  }

  private func refuseManaged(_ record: AgentRecord) throws(ControlError) {
    guard record.origin != .config else {
      throw ControlError(
        .managedByConfig,
        "The agent \(record.id) is managed by the configuration file; change it there and restart.")
    }
  }

  /// Gets no new work, finishes what it has; asked for by the agent itself.
  func drainSelf(_ id: AgentID) {
    core.withLock { $0.setDraining(id, true) }
    while let poll = polls.first(for: id) { dismiss(poll, of: id) }
  }

  /// Revokes the secret at once and puts running tasks back.
  package func removeAgent(_ id: AgentID) async throws(ControlError) {
    try await registry.hold { () throws(ControlError) in
      try refuseManaged(try agent(id).record)
      try await removeAtOnce(id)
    }
  }

  /// Stops it first, so that few claims are under way; those that are go back when they arrive.
  private func removeAtOnce(_ id: AgentID) async throws(ControlError) {
    drainSelf(id)
    do throws(ControlError) {
      _ = try await stored { () throws(StoreError) in try await store.removeAgent(id) }
    } catch {
      core.withLock { $0.setDraining(id, false) }
      kick()
      throw error
    }
    agentSecrets.set(id, nil)
    core.withLock { $0.remove(id) }
    meters.forget(id)
    while let poll = polls.first(for: id) { dismiss(poll, of: id) }
    await putBack(core.withLock { $0.tasks(of: id) })
    kick()
  }

  func removeSilentJoined() async {
    let before = world.now().adding(milliseconds: -Limits.joinedAgentSilence)
    for view in agents() where view.record.origin == .joined && view.lastSeen < before {
      do { try await removeAgent(view.record.id) } catch {
        logger.warning(
          "a silent agent was not removed",
          metadata: ["agentId": "\(view.record.id)", "error": "\(error.message)"])
      }
    }
  }

  // MARK: Parts

  private func check(_ record: AgentRecord) async throws(ControlError) {
    if let endpoint = record.endpoint {
      try await connector.check(url: endpoint, path: "endpoint", isEndpoint: true)
    }
    if let cancel = record.cancelEndpoint {
      try await connector.check(url: cancel, path: "cancelEndpoint", isEndpoint: true)
    }
    if let health = record.healthUrl {
      try await connector.check(url: health, path: "healthUrl", isEndpoint: true)
    }
  }

  /// Stores an entry; with a secret, replaces its secret as well.
  func save(_ record: AgentRecord, secret: AgentSecret?) async throws(ControlError) {
    var entry = agentSecrets.entry(record.id)
    if let secret { entry = AgentSecrets.Entry(current: secret) }
    try await save(record, entry: entry)
  }

  func save(_ record: AgentRecord, entry: AgentSecrets.Entry?) async throws(ControlError) {
    let agent = try seal(record, entry)
    try await stored { () throws(StoreError) in try await store.save(agent) }
    agentSecrets.set(record.id, entry)
    core.withLock { $0.upsert(record, now: world.now()) }
    kick()
  }

  func seal(
    _ record: AgentRecord, _ entry: AgentSecrets.Entry?
  ) throws(ControlError) -> StoredAgent {
    do throws(Vault.Problem) {
      let current = try entry.map { entry throws(Vault.Problem) in
        try vault.seal(Array(entry.current.text.utf8), for: .agent(record.id))
      }
      let previous = try entry?.previous.map { secret throws(Vault.Problem) in
        try vault.seal(Array(secret.text.utf8), for: .previousAgent(record.id))
      }
      return StoredAgent(
        record: record, secret: current, previousSecret: previous,
        previousUntil: entry?.previousUntil)
    } catch {
      throw ControlError(.internalError, "The agent's secret could not be sealed.")
    }
  }

  func newSecret() throws(ControlError) -> AgentSecret {
    var key: [UInt8] = []
    while key.count < AgentSecret.keyLength {
      withUnsafeBytes(of: world.random()) { key.append(contentsOf: $0) }
    }
    do { return try AgentSecret(key: Array(key.prefix(AgentSecret.keyLength))) } catch {
      throw ControlError(.internalError, "A secret could not be made.")
    }
  }
}

extension AgentRecord {
  /// What `check` looks at.
  fileprivate var addresses: [String?] { [endpoint, cancelEndpoint, healthUrl] }
}

extension Scheduler {
  /// What runs under an agent's id, whether the agent is known or not.
  fileprivate func tasks(of agent: AgentID) -> [RunningTask] {
    running.values.map(\.task).filter { $0.agent == agent }.sorted { $0.id < $1.id }
  }

  func view(_ id: AgentID, now: Timestamp) -> AgentView? {
    guard let record = agent(id), let state = state(of: id, now: now), let vitals = vitals(of: id)
    else { return nil }
    return AgentView(
      record: record, state: state, running: vitals.inUse, latency: vitals.latency,
      lastSeen: vitals.lastSeen)
  }
}
