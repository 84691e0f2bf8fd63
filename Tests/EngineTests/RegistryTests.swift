// SPDX-License-Identifier: Apache-2.0
// Agents: registered, joined, taken over from the configuration, removed; their secrets.
import Domain
import Simulation
import Synchronization
import Testing

@testable import Engine

@Suite(.timeLimit(.minutes(1))) struct RegistryTests {
  @Test func `a registered agent`() async throws {
    let test = try await EngineCase.open()
    let record = EngineCase.record("a", now: test.world.now)
    let secret = try await test.engine.register(record)
    #expect(secret.text.hasPrefix("whsec_") && secret.standardKey.count == 32)
    #expect(try test.engine.agent(record.id).record == record)
    #expect(
      await refusal { () throws(ControlError) in try await test.engine.register(record) }
        == .conflict)
    let stored = try #require(test.store.inner.agents().first)
    let sealed = try #require(stored.secret)
    #expect(!sealed.contains(secret.text.utf8), "sealed")
    #expect(throws: ControlError.self) { try test.engine.agent(AgentID(stored: "b")) }
  }

  @Test func `an address that may not be reached is refused`() async throws {
    let test = try await EngineCase.open()
    test.connector.refuses(url: "http://10.0.0.1/health")
    let record = EngineCase.record("a", now: test.world.now) {
      $0.healthUrl = "http://10.0.0.1/health"
    }
    #expect(
      await refusal { () throws(ControlError) in try await test.engine.register(record) }
        == .addressNotAllowed)
    #expect(test.engine.agents().isEmpty && test.store.inner.agents().isEmpty)
  }

  @Test func `there is a limit`() async throws {
    let test = try await EngineCase.open { $0.limits.agents = 1 }
    try await test.agent("a")
    let record = EngineCase.record("b", now: test.world.now)
    #expect(
      await refusal { () throws(ControlError) in try await test.engine.register(record) }
        == .limitReached)
  }

  @Test(arguments: ["plain", "taken", "two words", "ünï", "", String(repeating: "x", count: 500)])
  func `a new id is well formed and free`(name: String) async throws {
    let test = try await EngineCase.open()
    try await test.agent("taken")
    let id = test.engine.newAgentID(named: name)
    #expect(Identifier.isValid(id.text), "\(id)")
    #expect((id.text == name) == (name == "plain"))
  }

  @Test func `a changed entry, and one that does not change`() async throws {
    let test = try await EngineCase.open()
    let agent = try await test.agent("a")
    let before = test.engine.agentSecrets.entry(agent)?.current
    let view = try await test.engine.change(agent) { record throws(ControlError) in
      record.concurrency = 9
      record.state = .draining
    }
    #expect(view.record.concurrency == 9 && view.state == .draining)
    #expect(test.engine.agentSecrets.entry(agent)?.current == before)
    #expect(
      await refusal { () throws(ControlError) in
        try await test.engine.change(agent) { _ throws(ControlError) in
          throw ControlError(.invalidField, "no")
        }
      } == .invalidField)
  }

  @Test func `joining again keeps the id and gives a new secret`() async throws {
    let test = try await EngineCase.open()
    let record = EngineCase.record("worker", now: test.world.now) { $0.endpoint = nil }
    let first = try await test.engine.join(record)
    var again = record
    again.id = AgentID(stored: "worker-2")
    again.capabilities = ["other"]
    test.world.advance(60_000)
    let second = try await test.engine.join(again)
    #expect(second.id == first.id)
    #expect(second.secret != first.secret)
    let view = try test.engine.agent(first.id)
    #expect(view.record.origin == .joined && view.record.capabilities == ["other"])
    #expect(view.record.createdAt == record.createdAt)
    #expect(test.engine.agents().count == 1)
    #expect(
      test.engine.agentSecrets.active(first.id, now: test.world.now) == [second.secret])
  }

  @Test func `joining is a sign of life`() async throws {
    let test = try await EngineCase.open()
    let record = EngineCase.record("worker", now: test.world.now) { $0.endpoint = nil }
    let agent = try await test.engine.join(record).id
    test.world.advance(Limits.joinedAgentSilence + 1)
    _ = try await test.engine.join(record)
    await test.engine.removeSilentJoined()
    #expect(test.engine.agents().map(\.record.id) == [agent])
  }

  @Test func `joined agents that are silent for a day are removed`() async throws {
    let test = try await EngineCase.open()
    let joined = { (name: String) in
      EngineCase.record(name, now: test.world.now) { $0.endpoint = nil }
    }
    let silent = try await test.engine.join(joined("silent")).id
    let lively = try await test.engine.join(joined("lively")).id
    let registered = try await test.pullAgent("registered")
    test.world.advance(Limits.joinedAgentSilence)
    await test.engine.removeSilentJoined()
    #expect(test.engine.agents().count == 3)
    test.engine.noteSeen(lively)
    test.world.advance(1)
    await test.engine.removeSilentJoined()
    #expect(Set(test.engine.agents().map(\.record.id)) == [lively, registered])
    #expect(test.store.inner.agents().contains { $0.record.id == silent } == false)
  }

  @Test func `deleting an agent puts its tasks back`() async throws {
    try await EngineCase.run { test in
      let gone = try await test.agent("gone")
      let task = try await test.dispatched().task.running
      try await test.engine.removeAgent(gone)
      try await test.until("put back") { try await test.record(task.id).state == .queued }
      #expect(try await test.record(task.id).failures == 0)
      #expect(test.engine.agentSecrets.active(gone, now: test.world.now).isEmpty)
      try await test.agent("new")
      let again = try await test.dispatch(of: task.id, attempt: 2).task.running
      #expect(again.agent == AgentID(stored: "new"))
      #expect(try await test.report(task).isAcknowledged == false)
      #expect(try await test.report(again).state == .completed)
    }
  }

  @Test func `a deleted agent's lease requests end`() async throws {
    try await EngineCase.run { test in
      let gone = try await test.pullAgent("gone")
      let leasing = Task { await test.engine.lease(gone, max: 1, wait: 60_000) }
      try await test.until("it waits") { !test.engine.polls.isEmpty }
      try await test.engine.removeAgent(gone)
      #expect(test.engine.polls.isEmpty)
      leasing.cancel()
      #expect(await leasing.value.isEmpty)
    }
  }

  @Test func `a claim on its way does not go to a deleted agent`() async throws {
    let gate = Gate()
    try await EngineCase.run { test in
      let gone = try await test.pullAgent("gone")
      let leasing = Task { await test.engine.lease(gone, max: 1, wait: 60_000) }
      try await test.until("it waits") { !test.engine.polls.isEmpty }
      test.store.hold(.claim, at: gate)
      let id = try await test.submit()
      try await test.until("claimed") { gate.waiting == 1 }
      try await test.engine.removeAgent(gone)
      gate.open()
      try await test.until("written") {
        test.store.inner.task(id)?.attempt == 1
          && !test.engine.core.withLock { core in
            core.claiming[id] != nil
          }
      }
      try await test.until("settled down") {
        test.engine.polls.isEmpty || test.store.inner.task(id)?.state == .queued
      }
      leasing.cancel()
      #expect(await leasing.value.isEmpty)
      try await test.until("put back") { try await test.record(id).state == .queued }
    }
  }

  // MARK: Configuration

  private func configured(
    _ name: String, _ now: Timestamp, secret: AgentSecret? = nil, capabilities: [String] = ["work"]
  ) -> ConfiguredAgent {
    let record = EngineCase.record(name, now: now) { $0.capabilities = capabilities }
    return ConfiguredAgent(record: record, secret: secret, isShared: false)
  }

  @Test func `the configuration adds, changes and disables`() async throws {
    let test = try await EngineCase.open()
    let now = test.world.now
    let own = try AgentSecret("a secret of the file")
    let first = try await test.engine.adopt([
      configured("a", now, secret: own), configured("b", now), configured("c", now),
    ])
    #expect(first[AgentID(stored: "a")] == own)
    #expect(first[AgentID(stored: "b")]?.text.hasPrefix("whsec_") == true)
    let api = try await test.agent("api")
    test.world.advance(1_000)
    let second = try await test.engine.adopt([
      configured("a", test.world.now, secret: own, capabilities: ["new"]),
      configured("b", test.world.now),
    ])
    #expect(second == first.filter { $0.key.text != "c" }, "secrets that were made are kept")
    let a = try test.engine.agent(AgentID(stored: "a")).record
    #expect(a.capabilities == ["new"] && a.createdAt == now && a.origin == .config)
    #expect(try test.engine.agent(AgentID(stored: "c")).state == .disabled)
    #expect(try test.engine.agent(api).state == .active)
    _ = try await test.engine.adopt([configured("c", now)])
    #expect(try test.engine.agent(AgentID(stored: "c")).state == .active)
    #expect(try test.engine.agent(AgentID(stored: "a")).state == .disabled)
  }

  @Test func `a changed secret of the file replaces the old one`() async throws {
    let test = try await EngineCase.open()
    let old = try AgentSecret("the old secret text")
    let new = try AgentSecret("the new secret text")
    let id = AgentID(stored: "a")
    _ = try await test.engine.adopt([configured("a", test.world.now, secret: old)])
    _ = try await test.engine.adopt([configured("a", test.world.now, secret: new)])
    #expect(test.engine.agentSecrets.active(id, now: test.world.now) == [new])
  }

  @Test func `what the configuration owns is changed there`() async throws {
    let test = try await EngineCase.open()
    let id = AgentID(stored: "a")
    _ = try await test.engine.adopt([configured("a", test.world.now)])
    #expect(
      await refusal { () throws(ControlError) in
        try await test.engine.change(id) { _ throws(ControlError) in }
      } == .managedByConfig)
    #expect(
      await refusal { () throws(ControlError) in try await test.engine.removeAgent(id) }
        == .managedByConfig)
  }

  // MARK: Health

  @Test func `probes`() async throws {
    try await EngineCase.run { test in
      test.connector.isHealthy(false)
      let agent = try await test.agent("a") { $0.healthUrl = "http://agent.example/health" }
      #expect(try test.engine.agent(agent).state == .unhealthy)
      let id = try await test.submit()
      #expect(test.engine.reason(try await test.record(id)) == .agentsUnhealthy)
      test.connector.isHealthy(true)
      await test.engine.probeAll()
      #expect(try test.engine.agent(agent).state == .active)
      _ = try await test.dispatch(of: id)
    }
  }

  @Test func `when an agent was last seen is kept`() async throws {
    let store = FaultyStore()
    let world = ManualWorld()
    let test = try await EngineCase.open(store: store, world: world)
    let agent = try await test.agent("a")
    world.advance(5_000)
    test.engine.noteSeen(agent)
    store.fail(.touch)
    await test.engine.flushSeen()
    test.engine.noteSeen(agent)
    await test.engine.flushSeen()
    #expect(store.inner.agents().first?.record.lastSeen == world.now)
  }
}
