// SPDX-License-Identifier: Apache-2.0
// How tasks come in: one by one, given out at once where somebody is free, and by the thousand.
import Domain
import Simulation
import Synchronization
import Testing

@testable import Engine

@Suite(.timeLimit(.minutes(1))) struct SubmissionTests {
  @Test func `an idempotency key is one task`() async throws {
    let test = try await EngineCase.open()
    var task = NewTask(demand: Demand(type: "work"), payload: Array("{}".utf8))
    task.idempotencyKey = "once"
    let same = Engine.Submission(task: task, bodyHash: [1])
    let first = try await test.engine.submit([same])
    let second = try await test.engine.submit([same])
    #expect(first.map(\.isNew) == [true] && second.map(\.isNew) == [false])
    #expect(first.map(\.id) == second.map(\.id))
    let other = Engine.Submission(task: task, bodyHash: [2])
    #expect(
      await refusal { () throws(ControlError) in try await test.engine.submit([other]) }
        == .idempotencyConflict)
    #expect(test.engine.core.withLock { $0.queued } == 1)
  }

  @Test func `a task for a free agent needs one commit`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      // Not always: what an earlier task has freed is looked at first.
      try await test.until("one was given out with its submission") {
        let claims = test.store.calls(.claim)
        let task = try await test.dispatched().task.running
        let isAhead = test.store.calls(.claim) == claims
        try await test.report(task)
        return isAhead
      }
    }
  }

  @Test func `a task for a waiting pull agent needs one commit`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.pullAgent("p")
      let first = try await test.submit()
      #expect(await test.engine.lease(agent, max: 1, wait: 1_000).map(\.task.running.id) == [first])
      try await test.until("one was given out with its submission") {
        let claims = test.store.calls(.claim)
        async let leased = test.engine.lease(agent, max: 1, wait: 50_000)
        try await test.until("it waits") { !test.engine.polls.isEmpty }
        let next = try await test.submit()
        let tasks = await leased.map(\.task.running)
        #expect(tasks.map(\.id) == [next])
        for task in tasks { try await test.report(task) }
        return test.store.calls(.claim) == claims
      }
    }
  }

  // MARK: Bulks

  private func work(key: String? = nil) -> Engine.Submission {
    var task = NewTask(demand: Demand(type: "work"), payload: Array("{}".utf8))
    task.idempotencyKey = key
    return Engine.Submission(task: task, bodyHash: key.map { _ in [1] })
  }

  /// Submits parts one after another; nil throws.
  private func bulk(
    _ test: EngineCase, _ parts: [[Engine.Submission]?]
  ) async throws(ControlError) -> [Engine.Submitted] {
    var parts = parts[...]
    let count = parts.reduce(0) { $0 + ($1?.count ?? 1) }
    return try await test.engine.submitBulk(ofAtMost: count) { () throws(ControlError) in
      guard let part = parts.popFirst() else { return nil }
      guard let part else { throw ControlError(.invalidField, "test") }
      return part
    }
  }

  private func full(key: String? = nil) -> [Engine.Submission] {
    Array(repeating: work(key: key), count: Engine.bulkPart)
  }

  @Test func `a bulk is stored in parts and shown at once`() async throws {
    let test = try await EngineCase.open()
    let submitted = try await bulk(test, [full(), full(), [work()]])
    #expect(submitted.count == 2 * Engine.bulkPart + 1 && submitted.allSatisfy(\.isNew))
    #expect(test.store.calls(.stage) == 3 && test.store.calls(.publish) == 1)
    #expect(test.engine.core.withLock { $0.queued } == submitted.count)
    let last = try #require(submitted.last).id
    #expect(try await test.record(last).state == .queued)
  }

  @Test func `a bulk that is wrong at its end leaves nothing`() async throws {
    try await EngineCase.run { test in
      let refused = await refusal { () throws(ControlError) in
        try await bulk(test, [full(), full(), nil])
      }
      #expect(refused == .invalidField)
      try await test.until("it is discarded") { test.store.calls(.discard) == 1 }
      #expect(test.engine.core.withLock { $0.queued } == 0)
      #expect(test.store.calls(.publish) == 0)
    }
  }

  @Test func `a key in a later part makes it one commit`() async throws {
    let test = try await EngineCase.open()
    let submitted = try await bulk(test, [full(), [work(key: "k"), work(key: "k")]])
    #expect(submitted.map(\.isNew).suffix(2) == [true, false])
    #expect(test.store.calls(.publish) == 0)
    #expect(test.engine.core.withLock { $0.queued } == Engine.bulkPart + 1)
  }

  @Test(arguments: [FaultyStore.Call.stage, .publish])
  func `a bulk that cannot be written is refused whole`(call: FaultyStore.Call) async throws {
    try await EngineCase.run { test in
      test.store.fail(call, .diskFull)
      let refused = await refusal { () throws(ControlError) in
        try await bulk(test, [full(), full()])
      }
      #expect(refused == .diskFull)
      try await test.until("it is discarded") { test.store.calls(.discard) == 1 }
      #expect(test.engine.core.withLock { $0.queued } == 0)
    }
  }

  @Test func `the queue has an end`() async throws {
    let test = try await EngineCase.open { $0.limits.queuedTasks = 2 }
    try await test.submit()
    try await test.submit()
    let task = NewTask(demand: Demand(type: "work"), payload: [])
    let refused = await refusal { () throws(ControlError) in
      try await test.engine.submit([Engine.Submission(task: task, bodyHash: nil)])
    }
    #expect(refused == .limitReached)
  }

  @Test func `as many demands fit as the limit says`() async throws {
    let test = try await EngineCase.open { $0.limits.demands = 2 }
    try await test.submit("one")
    try await test.submit("two")
    let task = NewTask(demand: Demand(type: "three"), payload: [])
    let refused = await refusal { () throws(ControlError) in
      try await test.engine.submit([Engine.Submission(task: task, bodyHash: nil)])
    }
    #expect(refused == .limitReached)
  }

  @Test func `at the limit of demands the known ones go on`() async throws {
    let test = try await EngineCase.open { $0.limits.demands = 1 }
    try await test.submit("one")
    try await test.submit("one")
    #expect(test.engine.core.withLock { $0.queued } == 2)
  }

  @Test func `a retry by hand is a new task`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      let task = try await test.dispatched { $0.key = "k" }.task.running
      try await test.report(task)
      guard case .newTask(let id) = try await test.engine.retry(task.id) else {
        Issue.record("no new task")
        return
      }
      let record = try await test.record(id)
      #expect(record.retryOf == task.id && record.key == "k")
      _ = try await test.dispatch(of: id)
      let refused = await refusal { () throws(ControlError) in try await test.engine.retry(id) }
      #expect(refused == .conflict)
    }
  }

  @Test func `a retry by hand ends a backoff`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      let task = try await test.dispatched().task.running
      try await test.report(task, .failure)
      guard case .hastened = try await test.engine.retry(task.id) else {
        Issue.record("not hastened")
        return
      }
      _ = try await test.dispatch(of: task.id, attempt: 2)
    }
  }

  @Test func `what was unfinished goes on after a restart`() async throws {
    let store = FaultyStore()
    var running: RunningTask?
    var queued: TaskID?
    try await EngineCase.run(store: store) { test in
      try await test.agent("a", concurrency: 1)
      running = try await test.dispatched().task.running
      queued = try await test.submit()
    }
    let task = try #require(running)
    let waiting = try #require(queued)
    try await EngineCase.run(store: store) { test in
      #expect(try await test.report(task).isAcknowledged)
      _ = try await test.dispatch(of: waiting)
      #expect(test.connector.started.count == 1)
    }
  }

  @Test func `a synchronous attempt starts anew after a restart`() async throws {
    let store = FaultyStore()
    var running: RunningTask?
    try await EngineCase.run(store: store) { test in
      try await test.agent("a") { $0.answers = .sync }
      test.connector.answers { _ in
        do { try await test.world.world.sleep(60_000) } catch {
          // The server stops in the middle of the request.
          return .failed(code: "NO_ANSWER", message: "test", countsForBreaker: true)
        }
        return .report(Report(status: .success))
      }
      running = try await test.dispatched().task.running
    }
    let task = try #require(running)
    #expect(try await store.task(task.id)?.state == .running)
    try await EngineCase.run(store: store) { test in
      let again = try await test.dispatch(of: task.id, attempt: 2).task.running
      #expect(again.failures == 0)
    }
  }
}
