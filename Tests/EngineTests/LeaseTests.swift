// SPDX-License-Identifier: Apache-2.0
// Pull agents: lease requests that wait, heartbeats, draining.
import Domain
import Simulation
import Synchronization
import Testing

@testable import Engine

@Suite(.timeLimit(.minutes(1))) struct LeaseTests {
  @Test func `a lease request takes what is queued`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.pullAgent("p")
      for _ in 0..<6 { try await test.submit() }
      let first = await test.engine.lease(agent, max: 3, wait: 30_000)
      #expect(first.count == 3 && first.allSatisfy { $0.type == "work" })
      #expect(await test.engine.lease(agent, max: 3, wait: 30_000).count == 1, "concurrency 4")
      #expect(test.connector.started.isEmpty)
      for dispatch in first { #expect(try await test.report(dispatch.task.running).isAcknowledged) }
      #expect(await test.engine.lease(agent, max: 3, wait: 30_000).count == 2)
    }
  }

  @Test func `a lease request waits for work`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.pullAgent("p")
      async let leased = test.engine.lease(agent, max: 3, wait: 30_000)
      try await test.until("it waits") { !test.engine.polls.isEmpty }
      let id = try await test.submit()
      #expect(await leased.map(\.task.running.id) == [id])
      #expect(test.engine.polls.isEmpty)
    }
  }

  @Test func `a lease request ends with its wait`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.pullAgent("p")
      async let leased = test.engine.lease(agent, max: 3, wait: 30_000)
      try await test.until("it waits") { !test.engine.polls.isEmpty }
      await test.pass(29_999)
      #expect(!test.engine.polls.isEmpty)
      await test.pass(1)
      #expect(await leased.isEmpty)
      let id = try await test.submit()
      await test.pass(1_000)
      #expect(try await test.record(id).state == .queued, "nobody waits for it")
      #expect(try await test.record(id).attempt == 0)
    }
  }

  @Test(arguments: 0..<20) func `no wait takes what is queued`(round: Int) async throws {
    try await EngineCase.run { test in
      let agent = try await test.pullAgent("p")
      let id = try await test.submit()
      #expect(await test.engine.lease(agent, max: 1, wait: 0).map(\.task.running.id) == [id])
    }
  }

  @Test func `no wait and nothing queued`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.pullAgent("p")
      async let leased = test.engine.lease(agent, max: 1, wait: 0)
      try await test.until("it is there") { !test.engine.polls.isEmpty }
      await test.pass(20)
      #expect(await leased.isEmpty)
    }
  }

  @Test func `two lease requests share`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.pullAgent("p")
      async let one = test.engine.lease(agent, max: 1, wait: 30_000)
      async let two = test.engine.lease(agent, max: 1, wait: 30_000)
      try await test.until("both wait") {
        test.engine.core.withLock { $0.agents.compactMap { $0?.polled } } == [2]
      }
      let tasks = [try await test.submit(), try await test.submit()]
      let got = (await one + two).map(\.task.running.id)
      #expect(got.sorted() == tasks)
    }
  }

  @Test func `a lease request that was dropped takes nothing`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.pullAgent("p")
      let dropped = Task { await test.engine.lease(agent, max: 1, wait: 30_000) }
      try await test.until("it waits") { !test.engine.polls.isEmpty }
      dropped.cancel()
      #expect(await dropped.value.isEmpty)
      let id = try await test.submit()
      #expect(await test.engine.lease(agent, max: 1, wait: 0).map(\.task.running.id) == [id])
    }
  }

  @Test func `a lease request ends with the time that passed`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.pullAgent("p")
      let leasing = Task { await test.engine.lease(agent, max: 1, wait: 5_000) }
      try await test.until("it waits") { !test.engine.polls.isEmpty }
      try await test.until("the loops sleep") { test.world.sleeping >= 3 }
      test.world.setClock(by: -3_600_000)
      for _ in 0..<8 {
        try await test.until("the loops sleep") { test.world.sleeping >= 3 }
        await test.pass(1_000)
      }
      #expect(test.engine.polls.isEmpty)
      leasing.cancel()
      _ = await leasing.value
    }
  }

  @Test func `an agent with short leases may wait long`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.pullAgent("p") { $0.leaseSeconds = 2 }
      test.engine.noteSeen(agent)
      let leasing = Task { await test.engine.lease(agent, max: 1, wait: 30_000) }
      try await test.until("it waits") { !test.engine.polls.isEmpty }
      for _ in 0..<20 {
        try await test.until("the loops sleep") { test.world.sleeping >= 3 }
        await test.pass(1_000)
      }
      #expect(try test.engine.agent(agent).state == .active)
      let id = try await test.submit()
      try await test.until("leased") { test.engine.polls.isEmpty }
      #expect(await leasing.value.map(\.task.running.id) == [id])
    }
  }

  @Test func `a lease request is answered once`() async throws {
    let test = try await EngineCase.open()
    let agent = AgentID(stored: "p")
    let first = Engine.SignedIn(agent: agent, signedID: "one", mustNameItself: false)
    try test.engine.refuseReplay(first)
    #expect(throws: ControlError.self) { try test.engine.refuseReplay(first) }
    var other = first
    other.signedID = "two"
    try test.engine.refuseReplay(other)
    other = first
    other.agent = AgentID(stored: "q")
    try test.engine.refuseReplay(other)
    test.world.advance(Limits.replayMemory)
    #expect(throws: ControlError.self) { try test.engine.refuseReplay(first) }
    test.world.advance(1)
    try test.engine.refuseReplay(first)
  }

  // MARK: Heartbeats

  @Test func `a heartbeat renews what is held, and names what is not`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.pullAgent("p")
      for _ in 0..<4 { try await test.submit() }
      let held = await test.engine.lease(agent, max: 4, wait: 30_000).map(\.task.running)
      try #require(held.count == 4)
      try await test.engine.cancel(held[1].id)
      try await test.report(held[2])
      await test.pass(20_000)
      var running = held.map { (task: $0.id, leaseToken: Optional(LeaseToken.text($0.token))) }
      running[3].leaseToken = "0000000000000000"
      running.append((task: TaskID(rawValue: 77), leaseToken: nil))
      let answer = try await test.engine.heartbeat(agent, isDraining: false, running: running)
      #expect(answer.cancelled == [held[1].id])
      #expect(answer.lost == [held[2].id, held[3].id, TaskID(rawValue: 77)])
      await test.pass(10_000)
      try await test.until("the lease not renewed ended") {
        try await test.record(held[3].id).state == .queued
      }
      #expect(try await test.record(held[0].id).state == .running)
      await test.pass(20_000)
      try await test.until("and the other one") {
        try await test.record(held[0].id).state == .queued
      }
    }
  }

  @Test func `an agent that drains is let go`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.pullAgent("p")
      async let leased = test.engine.lease(agent, max: 1, wait: 30_000)
      try await test.until("it waits") { !test.engine.polls.isEmpty }
      _ = try await test.engine.heartbeat(agent, isDraining: true, running: [])
      #expect(await leased.isEmpty)
      #expect(try test.engine.agent(agent).state == .draining)
      let id = try await test.submit()
      #expect(await test.engine.lease(agent, max: 1, wait: 0).map(\.task.running.id) == [id])
      #expect(try test.engine.agent(agent).state == .active)
    }
  }
}
