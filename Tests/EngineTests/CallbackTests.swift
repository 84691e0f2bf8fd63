// SPDX-License-Identifier: Apache-2.0
// Callbacks: applied once, repeated answers, late ones, and the race with cancelling.
import Domain
import Simulation
import Testing

@testable import Engine

@Suite(.timeLimit(.minutes(1))) struct CallbackTests {
  @Test(arguments: [ReportStatus.success, .failure])
  func `a hundred duplicates at once are applied once`(status: ReportStatus) async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      let task = try await test.dispatched().task.running
      let callback = test.callback(task, status)
      let answers = try await withThrowingTaskGroup(of: CallbackAnswer.self) { group in
        for _ in 0..<100 { group.addTask { try await test.engine.report(callback) } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(answers.count == 100)
      #expect(answers.allSatisfy { $0 == answers[0] && $0.isAcknowledged })
      #expect(answers[0].nextAction == (status == .failure ? .retry : .none))
      let record = try await test.record(task.id)
      #expect(record.failures == (status == .failure ? 1 : 0) && record.attempt == 1)
      #expect(test.store.inner.settledAttempts(task.id).count == 1)
    }
  }

  @Test func `another status after the end is late`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      let task = try await test.dispatched().task.running
      try await test.report(task)
      let late = try await test.report(task, .failure, signedID: "other")
      #expect(
        late
          == CallbackAnswer(
            isAcknowledged: false, nextAction: .none, state: .completed, attempt: 1))
      let logs = try await test.engine.logs(task.id, after: 0, limit: 10).lines
      #expect(logs.count == 1 && logs[0].message.contains("late failure"))
      #expect(logs[0].level == .warning)
    }
  }

  @Test func `another agent's task does not exist`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      let other = try await test.agent("b") { $0.capabilities = ["other"] }
      let task = try await test.dispatched().task.running
      let callback = test.callback(task) { $0.agent = other }
      let refused = await refusal { () throws(ControlError) in
        try await test.engine.report(callback)
      }
      #expect(refused == .notFound)
      #expect(try await test.record(task.id).state == .running)
      let unknown = test.callback(task) { $0.task = TaskID(rawValue: 1 << 30) }
      #expect(
        await refusal { () throws(ControlError) in try await test.engine.report(unknown) }
          == .notFound)
    }
  }

  @Test(arguments: ["0000000000000000", "", "FFFFFFFFFFFFFFFF"])
  func `another token is stale`(token: String) async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      let task = try await test.dispatched().task.running
      let answer = try await test.report(task) { $0.leaseToken = token }
      #expect(!answer.isAcknowledged && answer.state == .running)
      #expect(try await test.report(task, signedID: "right").isAcknowledged)
    }
  }

  @Test func `without attempt and token it counts for what the agent holds`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      let task = try await test.dispatched().task.running
      let answer = try await test.report(task) {
        $0.attempt = nil
        $0.leaseToken = nil
      }
      #expect(answer.isAcknowledged && answer.state == .completed)
    }
  }

  @Test func `a repeat without attempt never counts for a newer attempt`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      let task = try await test.dispatched { $0.retry = Self.eager }.task.running
      let bare = test.callback(task, .failure, signedID: "bare") {
        $0.attempt = nil
        $0.leaseToken = nil
      }
      #expect(try await test.engine.report(bare).nextAction == .retry)
      await test.pass(1)
      _ = try await test.dispatch(of: task.id, attempt: 2)
      let again = try await test.engine.report(bare)
      #expect(again.isAcknowledged && again.nextAction == .retry && again.attempt == 1)
      let record = try await test.record(task.id)
      #expect(record.state == .running && record.attempt == 2 && record.failures == 1)
    }
  }

  @Test func `a repeated failure is told to retry while a newer attempt runs`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      let task = try await test.dispatched { $0.retry = Self.eager }.task.running
      let first = try await test.report(task, .failure)
      await test.pass(1)
      let second = try await test.dispatch(of: task.id, attempt: 2).task.running
      #expect(try await test.report(task, .failure) == first)
      #expect(try await test.report(task, .failure, signedID: "sent anew") == first)
      #expect(first.nextAction == .retry && first.state == .queued)
      #expect(try await test.report(task, .success, signedID: "x").isAcknowledged == false)
      #expect(try await test.report(second).state == .completed)
      #expect(try await test.report(task, .failure) == first, "even after the end")
    }
  }

  private static var eager: RetryPolicy {
    var retry = RetryPolicy()
    retry.base = 0
    return retry
  }

  // MARK: Progress

  @Test func `progress renews the lease and is kept`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.agent("a") { $0.leaseSeconds = 10 }
      let task = try await test.dispatched().task.running
      await test.pass(8_000)
      let report = try test.progress(
        #"{"attempt":1,"progress":40,"message":"on it","logs":[{"message":"line"}]}"#)
      let answer = try await test.engine.progress(of: task.id, by: agent, report)
      #expect(answer.isAcknowledged && !answer.isCancelled)
      #expect(answer.leaseExpiresAt == test.world.now.adding(milliseconds: 10_000))
      await test.pass(9_000)
      let record = try await test.record(task.id)
      #expect(record.state == .running && record.progress == 40 && record.message == "on it")
      #expect(try await test.engine.logs(task.id, after: 0, limit: 10).lines.count == 1)
    }
  }

  @Test func `progress of what is not current`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.agent("a")
      let other = try await test.agent("b") { $0.capabilities = ["other"] }
      let task = try await test.dispatched().task.running
      let report = { (attempt: Int, agent: AgentID) async in
        await refusal { () throws(ControlError) in
          try await test.engine.progress(
            of: task.id, by: agent, test.progress(#"{"attempt":\#(attempt)}"#))
        }
      }
      #expect(await report(2, agent) == .staleAttempt)
      #expect(await report(1, other) == .notFound)
      try await test.report(task)
      #expect(await report(1, agent) == .staleAttempt)
    }
  }

  // MARK: Cancelling

  @Test func `a cancelled task's agent is told, and its slot stays taken`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.agent("a", concurrency: 1) {
        $0.cancelEndpoint = "http://agent.example/cancel"
      }
      let task = try await test.dispatched().task.running
      let next = try await test.submit()
      try await test.engine.cancel(task.id)
      try await test.engine.cancel(task.id)
      #expect(try await test.record(task.id).state == .cancelled)
      try await test.until("told") { !test.connector.cancelled.isEmpty }
      #expect(
        test.connector.cancelled
          == [.init(task: task.id, attempt: 1, reason: .cancelled, agent: agent)])
      #expect(try test.engine.agent(agent).running == 1)
      let progress = try await test.engine.progress(
        of: task.id, by: agent, try test.progress(#"{"attempt":1}"#))
      #expect(progress.isCancelled)
      let late = try await test.report(task)
      #expect(!late.isAcknowledged && late.state == .cancelled && late.nextAction == .none)
      _ = try await test.dispatch(of: next)
    }
  }

  @Test func `what has ended cannot be cancelled`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      let task = try await test.dispatched().task.running
      try await test.report(task)
      let refused = { (id: TaskID) async in
        await refusal { () throws(ControlError) in try await test.engine.cancel(id) }
      }
      #expect(await refused(task.id) == .taskEnded)
      #expect(await refused(TaskID(rawValue: 5)) == .notFound)
    }
  }

  @Test(arguments: 0..<20) func `cancel and result: one wins`(round: Int) async throws {
    try await EngineCase.run { test in
      let agent = try await test.agent("a")
      let task = try await test.dispatched().task.running
      async let cancelled = refusal { () throws(ControlError) in
        if round % 2 == 0 { await Task.yield() }
        try await test.engine.cancel(task.id)
      }
      let answer = try await test.report(task)
      let refused = await cancelled
      let state = try await test.record(task.id).state
      #expect(state == (answer.isAcknowledged ? .completed : .cancelled))
      #expect(refused == (answer.isAcknowledged ? .taskEnded : nil))
      #expect(answer.state == state)
      try await test.until("its slot is free") { try test.engine.agent(agent).running == 0 }
    }
  }

  @Test func `a queued task is cancelled and never sent`() async throws {
    try await EngineCase.run { test in
      let id = try await test.submit()
      try await test.engine.cancel(id)
      try await test.agent("a")
      let other = try await test.submit()
      _ = try await test.dispatch(of: other)
      #expect(test.connector.started.map(\.task.running.id) == [other])
    }
  }
}
