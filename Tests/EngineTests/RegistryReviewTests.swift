// SPDX-License-Identifier: Apache-2.0
// Changes that meet each other, the start of a server, and its end.
import Domain
import Simulation
import Testing

@testable import Engine

@Suite struct RegistryReviewTests {
  private func work(_ type: String) -> Engine.Submission {
    Engine.Submission(
      task: NewTask(demand: Demand(type: type), payload: Array("{}".utf8)), bodyHash: nil)
  }

  @Test func `a full table of demands refuses only new ones`() async throws {
    let test = try await EngineCase.open { $0.limits.demands = 2 }
    let engine = test.engine
    _ = try await engine.submit([work("a"), work("a"), work("a"), work("b")])
    #expect(
      await refusal { () throws(ControlError) in
        try await engine.submit([work("a"), work("c")])
      } == .limitReached)
    #expect(try await engine.submit([work("a"), work("b")]).count == 2)
    let again = try await EngineCase.open(store: test.store, world: test.world) {
      $0.limits.demands = 2
    }
    #expect(try await again.engine.submit([work("b"), work("a")]).count == 2)
  }

  // MARK: Changes at once

  @Test func `of two registrations of one name one is refused`() async throws {
    let test = try await EngineCase.open()
    let gate = Gate()
    test.store.hold(.saveAgent, at: gate)
    let record = EngineCase.record("a", now: test.world.now)
    let engine = test.engine
    let both = (0..<2).map { _ in
      Task { await refusal { () throws(ControlError) in try await engine.register(record) } }
    }
    try await test.until("one is being saved") { gate.waiting == 1 }
    gate.open()
    let results = [await both[0].value, await both[1].value]
    #expect(results.contains(nil) && results.contains(.conflict))
    #expect(test.store.calls(.saveAgent) == 1)
  }

  @Test func `two changes of one agent are both kept`() async throws {
    let test = try await EngineCase.open()
    let id = try await test.agent("a")
    let gate = Gate()
    test.store.hold(.saveAgent, at: gate)
    let engine = test.engine
    let first = Task {
      try await engine.change(id) { record throws(ControlError) in record.concurrency = 9 }
    }
    try await test.until("the first is being saved") { gate.waiting == 1 }
    let second = Task {
      try await engine.change(id) { record throws(ControlError) in record.name = "new" }
    }
    let third = Task { try await engine.rotateSecret(of: id, graceSeconds: 0) }
    gate.open()
    _ = try await (first.value, second.value)
    let secret = try await third.value
    let record = try engine.agent(id).record
    #expect(record.concurrency == 9 && record.name == "new")
    #expect(engine.currentSecret(of: id) == secret)
  }

  @Test func `what is claimed for an agent while it is removed goes back`() async throws {
    try await EngineCase.run { test in
      let id = try await test.agent("a")
      let gate = Gate()
      test.store.hold(.claim, at: gate)
      let task = try await test.submit()
      try await test.until("claimed") { gate.waiting == 1 }
      try await test.engine.removeAgent(id)
      test.store.hold(.claim, at: nil)
      gate.open()
      try await test.untilState(task, .queued)
      try await test.agent("b")
      let dispatch = try await test.dispatch(of: task, attempt: 2)
      #expect(dispatch.task.running.agent.text == "b")
    }
  }

  // MARK: Shared secrets

  @Test func `a shared secret asks for the agent's name until its grace is over`() async throws {
    let test = try await EngineCase.open()
    let shared = try AgentSecret("the secret of them all")
    let record = EngineCase.record("a", now: test.world.now)
    try await test.engine.adopt([
      ConfiguredAgent(record: record, secret: shared, isShared: true)
    ])
    #expect(try signIn(test, record.id, shared).mustNameItself)
    let own = try await test.engine.rotateSecret(of: record.id, graceSeconds: 60)
    #expect(try signIn(test, record.id, shared).mustNameItself)
    #expect(try !signIn(test, record.id, own).mustNameItself)
  }

  private func signIn(
    _ test: EngineCase, _ agent: AgentID, _ secret: AgentSecret
  ) throws(ControlError) -> Engine.SignedIn {
    let body = Array("{}".utf8)
    let lines = Signature.standardHeaders(
      agentID: agent, id: "msg", timestampSeconds: test.world.now.milliseconds / 1_000,
      body: body, secrets: [secret])
    return try test.engine.verify(body: body, allowCompat: false) { header in
      lines.filter { $0.header == header }.map(\.value)
    }
  }

  // MARK: Configuration

  @Test func `an agent gone from the file finishes before it is disabled`() async throws {
    try await EngineCase.run { test in
      let record = EngineCase.record("a", now: test.world.now)
      try await test.engine.adopt([ConfiguredAgent(record: record, secret: nil, isShared: false)])
      let task = try await test.dispatched().task.running
      try await test.engine.adopt([])
      #expect(try test.engine.agent(record.id).state == .draining)
      await test.engine.disableRetired()
      #expect(try test.engine.agent(record.id).state == .draining)
      #expect(try await test.report(task).isAcknowledged)
      await test.engine.disableRetired()
      #expect(try test.engine.agent(record.id).state == .disabled)
    }
  }

  // MARK: Start and end

  @Test func `nothing is handed out before the server listens`() async throws {
    let gate = Gate()
    try await EngineCase.run(
      { $0.ready = { await gate.pass() } },
      { test in
        try await test.agent("a")
        let id = try await test.submit()
        try await test.until("the engine waits") { gate.waiting == 1 }
        #expect(try await test.record(id).state == .queued)
        gate.open()
        _ = try await test.dispatch(of: id)
      })
  }

  /// Until the server stops and gives the request up.
  private func neverAnswers(_ connector: ScriptedConnector) {
    connector.answers { _ in
      let gate = Gate()
      await withTaskCancellationHandler {
        await gate.pass()
      } onCancel: {
        gate.open()
      }
      return .failed(code: "NO_ANSWER", message: "given up", countsForBreaker: true)
    }
  }

  @Test func `what was accepted is not handed over again`() async throws {
    let first = try await EngineCase.open()
    var id: TaskID?
    try await first.whileRunning {
      try await first.agent("a")
      let task = try await first.dispatched().task.running.id
      try await first.until("accepted") { first.engine.acceptances.count == 1 }
      id = task
    }
    let second = try await EngineCase.open(store: first.store, world: first.world)
    try await second.whileRunning {
      let marked = try await second.record(#require(id))
      #expect(marked.state == .running && marked.progress == 0)
      _ = try await second.dispatched()
      #expect(second.connector.started(try #require(id), attempt: 1) == nil)
    }
  }

  @Test func `a start hands over again what may not have arrived`() async throws {
    let first = try await EngineCase.open()
    var tasks: [RunningTask] = []
    neverAnswers(first.connector)
    try await first.whileRunning {
      try await first.agent("a")
      for _ in 0..<2 { tasks.append(try await first.dispatched().task.running) }
      _ = try await first.engine.progress(
        of: tasks[0].id, by: tasks[0].agent, try first.progress(#"{"progress": 5}"#))
    }
    let second = try await EngineCase.open(store: first.store, world: first.world)
    try await second.whileRunning {
      let again = try await second.dispatch(of: tasks[1].id).task
      #expect(again.running.token == tasks[1].token)
      #expect(again.timeout == tasks[1].timeoutAt.milliseconds(since: tasks[1].startedAt))
      #expect(try await second.report(tasks[1]).isAcknowledged)
      #expect(second.connector.started(tasks[0].id, attempt: 1) == nil)
    }
  }

  @Test func `a repeat that is not delivered puts the task back`() async throws {
    let first = try await EngineCase.open()
    var id: TaskID?
    neverAnswers(first.connector)
    try await first.whileRunning {
      try await first.agent("a")
      id = try await first.dispatched().task.running.id
    }
    let second = try await EngineCase.open(store: first.store, world: first.world)
    second.connector.answers { dispatch in
      dispatch.task.running.attempt > 1
        ? .accepted
        : .undelivered(
          message: "test", countsForBreaker: false, retryAfter: nil, unhealthy: false)
    }
    try await second.whileRunning {
      let id = try #require(id)
      try await second.untilState(id, .queued)
      await second.pass(Limits.pushBackMost)
      _ = try await second.dispatch(of: id, attempt: 2)
      #expect(try await second.record(id).failures == 0)
    }
  }

  @Test func `an end that overtakes the dispatch is told again`() async throws {
    try await EngineCase.run { test in
      let gate = Gate()
      test.connector.answers { _ in
        await gate.pass()
        return .accepted
      }
      try await test.agent("a") { $0.cancelEndpoint = "http://agent.example/cancel" }
      let id = try await test.dispatched().task.running.id
      try await test.engine.cancel(id)
      try await test.until("told once") { test.connector.cancelled.count == 1 }
      gate.open()
      try await test.until("told again") { test.connector.cancelled.count == 2 }
      #expect(test.connector.cancelled.allSatisfy { $0.task == id && $0.reason == .cancelled })
    }
  }

  @Test func `a stopping engine refuses polls and is not ready`() async throws {
    let test = try await EngineCase.open()
    #expect(await test.engine.notReady() == nil)
    try test.engine.admitLease()
    test.engine.close()
    #expect(await test.engine.notReady() != nil)
    #expect(
      await refusal { () throws(ControlError) in try test.engine.admitLease() }
        == .storeUnavailable)
  }
}
