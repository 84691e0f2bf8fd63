// SPDX-License-Identifier: Apache-2.0
// A store that fails: nothing is lost, and everything goes on when it works again.
import Domain
import Simulation
import Synchronization
import Testing

@testable import Engine

@Suite(.timeLimit(.minutes(1))) struct StoreFailureTests {
  @Test(arguments: [
    (StoreError.diskFull, ControlError.Code.diskFull),
    (.unavailable("I/O"), .storeUnavailable), (.overloaded, .limitReached),
  ])
  func `a submission that was not stored`(
    error: StoreError, code: ControlError.Code
  ) async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      test.store.fail(.submit, error)
      let task = NewTask(demand: Demand(type: "work"), payload: Array("{}".utf8))
      let refused = await refusal { () throws(ControlError) in
        try await test.engine.submit([Engine.Submission(task: task, bodyHash: nil)])
      }
      #expect(refused == code)
      #expect(test.engine.core.withLock { $0.queued } == 0)
      _ = try await test.dispatched()
    }
  }

  @Test(arguments: [StoreError.diskFull, .unavailable("I/O")])
  func `claims that were not written go back to the queue`(error: StoreError) async throws {
    try await EngineCase.run { test in
      test.store.fail(.claim, error, times: 3)
      // Nobody is there who could get it with its submission.
      let id = try await test.submit()
      let agent = try await test.agent("a")
      try await test.until("handed over") {
        await test.pass(500)
        return test.connector.started(id, attempt: 1) != nil
      }
      #expect(test.store.calls(.claim) == 4)
      let task = try await test.dispatch(of: id).task.running
      #expect(task.failures == 0)
      #expect(try test.engine.agent(agent).running == 1)
    }
  }

  @Test func `a lease request outlives a claim that was not written`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.pullAgent("p")
      test.store.fail(.claim)
      let id = try await test.submit()
      let leasing = Task { await test.engine.lease(agent, max: 1, wait: 60_000) }
      try await test.until("it waits") { !test.engine.polls.isEmpty }
      try await test.until("tried") { test.store.calls(.claim) >= 1 }
      for _ in 0..<10 {
        try await test.until("the loops sleep") { test.world.sleeping >= 3 }
        await test.pass(500)
      }
      #expect(try await test.record(id).state == .running)
      leasing.cancel()
      _ = await leasing.value
    }
  }

  @Test func `a callback that was not stored may be sent again`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      let task = try await test.dispatched().task.running
      test.store.fail(.settle, .diskFull)
      let callback = test.callback(task)
      #expect(
        await refusal { () throws(ControlError) in try await test.engine.report(callback) }
          == .diskFull)
      #expect(try await test.record(task.id).state == .running)
      #expect(try await test.engine.report(callback).state == .completed)
    }
  }

  @Test func `a synchronous result is stored when the store works again`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      test.connector.answers { _ in .report(Report(status: .success)) }
      test.store.fail(.settle, .unavailable("I/O"), times: 4)
      let id = try await test.submit()
      for count in 1...4 {
        try await test.until("tried \(count) times") { test.store.calls(.settle) >= count }
        try await test.until("it waits to try again") { test.world.sleeping >= 4 }
        await test.pass(5_000)
      }
      try await test.untilState(id, .completed)
      #expect(test.connector.started.count == 1)
    }
  }

  @Test func `a lease's end is written when the store works again`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      let task = try await test.dispatched { $0.timeout = 1_000 }.task.running
      test.store.fail(.settle)
      await test.pass(1_000)
      try await test.until("tried") { test.store.calls(.settle) == 1 }
      #expect(try await test.record(task.id).state == .running)
      try await test.until("written") {
        await test.pass(500)
        return try await test.record(task.id).failures == 1
      }
    }
  }

  @Test func `a deadline is written when the store works again`() async throws {
    try await EngineCase.run { test in
      let id = try await test.submit {
        $0.deadline = test.world.now.adding(milliseconds: 1_000)
      }
      test.store.fail(.end)
      await test.pass(1_000)
      try await test.until("tried") { test.store.calls(.end) == 1 }
      try await test.until("written") {
        await test.pass(500)
        return try await test.record(id).state == .failed
      }
    }
  }

  @Test func `an attempt that could not be put back is put back a little later`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      test.connector.answers { $0.task.running.attempt == 1 ? .refused : .accepted }
      test.store.fail(.release, times: 2)
      let id = try await test.submit()
      try await test.until("put back") {
        await test.pass(100)
        return test.store.calls(.release) == 3
      }
      try await test.until("handed over again") {
        await test.pass(1_000)
        return test.connector.started(id, attempt: 2) != nil
      }
    }
  }

  @Test func `what was not stored did not happen`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.agent("a")
      let task = try await test.dispatched().task.running
      test.store.fail(.end)
      #expect(
        await refusal { () throws(ControlError) in try await test.engine.cancel(task.id) }
          == .storeUnavailable)
      test.store.fail(.renew)
      let progress = try test.progress("{}")
      #expect(
        await refusal { () throws(ControlError) in
          try await test.engine.progress(of: task.id, by: agent, progress)
        } == .storeUnavailable)
      test.store.fail(.saveAgent)
      let before = test.engine.agentSecrets.entry(agent)?.current
      #expect(
        await refusal { () throws(ControlError) in
          try await test.engine.rotateSecret(of: agent, graceSeconds: 0)
        } == .storeUnavailable)
      #expect(test.engine.agentSecrets.entry(agent)?.current == before)
      test.store.fail(.saveType)
      #expect(
        await refusal { () throws(ControlError) in
          try await test.engine.set("work") { $0.paused = true }
        } == .storeUnavailable)
      #expect(test.engine.core.withLock { $0.settings(of: "work")?.paused } == false)
      test.store.fail(.removeAgent)
      #expect(
        await refusal { () throws(ControlError) in try await test.engine.removeAgent(agent) }
          == .storeUnavailable)
      #expect(try test.engine.agent(agent).running == 1)
      #expect(try await test.report(task).state == .completed)
    }
  }

  @Test func `a late result that cannot be logged is answered all the same`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      let task = try await test.dispatched().task.running
      try await test.engine.cancel(task.id)
      test.store.fail(.appendLogs)
      #expect(try await test.report(task).isAcknowledged == false)
    }
  }

  // MARK: Retention

  @Test func `finished tasks are kept for as long as was asked`() async throws {
    try await EngineCase.run {
      $0.retention = 10_000
    } _: { test in
      try await test.agent("a", concurrency: 100)
      var ended: [TaskID] = []
      for _ in 0..<30 {
        let task = try await test.dispatched().task.running
        try await test.report(task)
        ended.append(task.id)
      }
      let live = try await test.dispatched().task.running.id
      await test.pass(9_999)
      #expect(try await test.engine.purge() == 0)
      test.world.advance(2)
      #expect(try await test.engine.purge() == 30)
      for id in ended { #expect(try await test.store.task(id) == nil) }
      #expect(try await test.record(live).state == .running)
    }
  }

  @Test func `retention runs by itself, and goes on after a failure`() async throws {
    try await EngineCase.run {
      $0.retention = 1_000
    } _: { test in
      try await test.agent("a")
      let task = try await test.dispatched().task.running
      try await test.report(task)
      test.store.fail(.purge)
      try await test.until("purged") {
        try await test.until("the loops sleep") { test.world.sleeping >= 3 }
        test.world.advance(1_000)
        return test.store.calls(.purge) >= 2 && test.store.inner.task(task.id) == nil
      }
    }
  }
}
