// SPDX-License-Identifier: Apache-2.0
// From submit to the end by push: every answer of an agent, and who hears of the end.
import Domain
import Simulation
import Synchronization
import Testing

@testable import Engine

@Suite(.timeLimit(.minutes(1))) struct DispatchTests {
  @Test func `submit, push, callback`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.agent("a")
      let dispatch = try await test.dispatched { $0.payload = Array(#"{"n":1}"#.utf8) }
      let task = dispatch.task.running
      #expect(dispatch.type == "work" && dispatch.task.payload == Array(#"{"n":1}"#.utf8))
      #expect(task.agent == agent && task.attempt == 1)
      let running = try await test.record(task.id)
      #expect(running.state == .running && running.agent == agent && running.attempt == 1)
      #expect(try test.engine.agent(agent).running == 1)
      let answer = try await test.report(task)
      #expect(
        answer
          == CallbackAnswer(
            isAcknowledged: true, nextAction: .none, state: .completed, attempt: 1))
      #expect(try await test.record(task.id).state == .completed)
      #expect(try test.engine.agent(agent).running == 0)
    }
  }

  @Test func `a synchronous answer is the result`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      test.connector.answers { _ in
        var report = Report(status: .partial)
        report.results = Array(#"{"data":1}"#.utf8)
        return .report(report)
      }
      let id = try await test.submit()
      try await test.untilState(id, .completed)
      let record = try await test.record(id)
      #expect(record.partial && record.results == Array(#"{"data":1}"#.utf8))
    }
  }

  @Test func `what was not delivered goes back without a failure`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.agent("a")
      test.connector.answers { $0.task.running.attempt == 1 ? .refused : .accepted }
      let id = try await test.submit()
      try await test.until("put back") {
        let record = try await test.record(id)
        return record.state == .queued && record.attempt == 1
      }
      let record = try await test.record(id)
      #expect(record.failures == 0 && record.error == nil && record.notBefore == nil)
      #expect(test.engine.reason(record) == .agentsUnhealthy)
      await test.pass(5_000)
      let again = try await test.dispatch(of: id, attempt: 2).task.running
      #expect(again.failures == 0)
      #expect(try test.engine.agent(agent).running == 1)
    }
  }

  @Test func `an answer that sends the agent away makes it unhealthy`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.agent("a")
      test.connector.answers { _ in
        .undelivered(message: "404", countsForBreaker: true, retryAfter: nil, unhealthy: true)
      }
      let id = try await test.submit()
      try await test.until("unhealthy") { try test.engine.agent(agent).state == .unhealthy }
      await test.pass(600_000)
      test.connector.answers { _ in .accepted }
      #expect(test.connector.started.count == 1)
      test.engine.noteSeen(agent)
      _ = try await test.dispatch(of: id, attempt: 2)
    }
  }

  @Test(arguments: [true, false])
  func `an answer that fails the attempt`(counts: Bool) async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      test.connector.answers { _ in
        .failed(code: "BAD_ANSWER", message: "no", countsForBreaker: counts)
      }
      let id = try await test.submit { $0.retry = RetryPolicy() }
      try await test.until("failed once") { try await test.record(id).failures == 1 }
      let record = try await test.record(id)
      #expect(record.state == .queued && record.notBefore.map { $0 > test.world.now } == true)
      #expect(String(decoding: record.error ?? [], as: UTF8.self).contains("BAD_ANSWER"))
      #expect(test.engine.reason(record) == .backoff)
    }
  }

  @Test func `an attempt that failed for the last time`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      test.connector.answers { _ in .serverError }
      let id = try await test.submit {
        var retry = RetryPolicy()
        retry.maxAttempts = 1
        $0.retry = retry
      }
      try await test.untilState(id, .failed)
      #expect(try await test.record(id).needsAttention)
      try await test.engine.acknowledge(id)
      #expect(try await test.record(id).needsAttention == false)
    }
  }

  @Test(arguments: [DispatchAnswer.accepted, .refused, .serverError])
  func `a callback before the answer wins`(answer: DispatchAnswer) async throws {
    let gate = Gate()
    try await EngineCase.run { test in
      try await test.agent("a")
      test.connector.answers { _ in
        await gate.pass()
        return answer
      }
      let task = try await test.dispatched().task.running
      #expect(try await test.report(task).isAcknowledged)
      gate.open()
      let second = try await test.submit()
      await test.pass(5_000)
      _ = try await test.dispatch(of: second)
      let record = try await test.record(task.id)
      #expect(record.state == .completed && record.failures == 0 && record.attempt == 1)
    }
  }

  @Test func `a timeout tells the agent, and the attempt counts`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.agent("a") { $0.cancelEndpoint = "http://agent.example/cancel" }
      let task = try await test.dispatched { $0.timeout = 1_000 }.task.running
      await test.pass(1_000)
      try await test.until("counted") { try await test.record(task.id).failures == 1 }
      try await test.until("told") { !test.connector.cancelled.isEmpty }
      #expect(
        test.connector.cancelled
          == [.init(task: task.id, attempt: 1, reason: .timeout, agent: agent)])
    }
  }

  @Test func `a lease that ends is queued again at once`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a") { $0.leaseSeconds = 1 }
      let task = try await test.dispatched().task.running
      await test.pass(1_000)
      let again = try await test.dispatch(of: task.id, attempt: 2).task.running
      #expect(again.failures == 1 && again.startedAt == test.world.now)
    }
  }

  @Test func `a deadline ends queued and running tasks`() async throws {
    try await EngineCase.run { test in
      let queued = try await test.submit("other") {
        $0.deadline = test.world.now.adding(milliseconds: 2_000)
      }
      try await test.agent("a")
      let running = try await test.dispatched {
        $0.deadline = test.world.now.adding(milliseconds: 2_000)
      }.task.running
      await test.pass(2_000)
      for id in [queued, running.id] {
        try await test.untilState(id, .failed)
        let record = try await test.record(id)
        #expect(record.needsAttention)
        let error = String(decoding: record.error ?? [], as: UTF8.self)
        #expect(error.contains("DEADLINE_EXCEEDED"))
      }
    }
  }

  // MARK: Waiting for the end

  @Test func `wait wakes at the end`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      let task = try await test.dispatched().task.running
      async let waited = test.engine.wait(task.id, milliseconds: 30_000)
      try await test.until("somebody waits") { !test.engine.waiters.isEmpty }
      try await test.report(task)
      #expect(try await waited.state == .completed)
      #expect(test.engine.waiters.isEmpty)
      #expect(try await test.engine.wait(task.id, milliseconds: 30_000).state == .completed)
    }
  }

  @Test func `wait ends with its time`() async throws {
    try await EngineCase.run { test in
      let id = try await test.submit()
      async let waited = test.engine.wait(id, milliseconds: 5_000)
      try await test.until("somebody waits") { !test.engine.waiters.isEmpty }
      await test.pass(5_000)
      #expect(try await waited.state == .queued)
      #expect(try await test.engine.wait(id, milliseconds: 0).state == .queued)
    }
  }

  @Test func `wait ends with the time that passed, whatever the clock says`() async throws {
    try await EngineCase.run { test in
      let id = try await test.submit()
      let waiting = Task { try await test.engine.wait(id, milliseconds: 5_000) }
      try await test.until("somebody waits") { !test.engine.waiters.isEmpty }
      try await test.until("the loops sleep") { test.world.sleeping >= 3 }
      test.world.setClock(by: -3_600_000)
      for _ in 0..<8 {
        try await test.until("the loops sleep") { test.world.sleeping >= 3 }
        await test.pass(1_000)
      }
      #expect(test.engine.waiters.isEmpty)
      waiting.cancel()
      _ = try await waiting.value
    }
  }

  @Test func `close lets nobody wait`() async throws {
    try await EngineCase.run { test in
      let id = try await test.submit()
      let agent = try await test.pullAgent("p") { $0.capabilities = ["other"] }
      async let waited = test.engine.wait(id, milliseconds: 50_000)
      async let leased = test.engine.lease(agent, max: 1, wait: 50_000)
      try await test.until("both wait") {
        !test.engine.waiters.isEmpty && !test.engine.polls.isEmpty
      }
      test.engine.close()
      #expect(try await waited.state == .queued)
      #expect(await leased.isEmpty)
      #expect(await test.engine.lease(agent, max: 1, wait: 50_000).isEmpty)
    }
  }
}
