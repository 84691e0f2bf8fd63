// SPDX-License-Identifier: Apache-2.0
// Every committed change is an event, once, and the last one of a task is its end.
import Domain
import Simulation
import Synchronization
import Testing

@testable import Engine

@Suite(.timeLimit(.minutes(1))) struct AnnouncingTests {
  /// The events since a place, as short texts.
  private func story(_ test: EngineCase, since place: UInt64, of id: TaskID? = nil) -> [String] {
    test.engine.events.read(after: place, limit: .max).events.compactMap { event in
      switch event.body {
      case .task(let change) where id == nil || change.id == id:
        let end = change.end.map { " \($0.status.rawValue)" } ?? ""
        let progress = change.progress.map { " \(Int($0))%" } ?? ""
        return "\(change.state.name) \(change.attempt ?? -1)\(progress)\(end)"
      case .log(let task, let line) where id == nil || task == id: return "log \(line.message)"
      default: return nil
      }
    }
  }

  @Test func `from submit to result`() async throws {
    try await EngineCase.run { test in
      let start = test.engine.events.last
      try await test.agent("a")
      let task = try await test.dispatched { $0.labels = [Label("team", "x")] }.task.running
      let report = try test.progress(
        #"{"progress":40,"message":"m","logs":[{"level":"info","message":"line"}]}"#)
      _ = try await test.engine.progress(of: task.id, by: task.agent, report)
      try await test.report(task) { $0.report.results = Array(#"{"data":1}"#.utf8) }
      #expect(
        story(test, since: start) == [
          "queued 0", "running 1", "log line", "running 1 40%", "completed 1 success",
        ])
      let events = test.engine.events.read(after: start, limit: .max).events
      guard case .task(let first)? = events.first?.body, case .task(let last)? = events.last?.body
      else { return #expect(Bool(false), "events of a task were expected") }
      #expect(first.labels == [Label("team", "x")])
      #expect(last.end?.results == Array(#"{"data":1}"#.utf8) && last.agent == task.agent)
      #expect(last.labels == first.labels)
    }
  }

  @Test func `failures, retries and put back attempts`() async throws {
    try await EngineCase.run { test in
      let start = test.engine.events.last
      try await test.agent("a")
      var retry = RetryPolicy()
      retry.maxAttempts = 2
      let policy = retry
      let task = try await test.dispatched { $0.retry = policy }.task.running
      try await test.report(task, .failure)
      await test.pass(600_000)
      let second = try await test.dispatch(of: task.id, attempt: 2).task.running
      await test.engine.putBack([second])
      let third = try await test.dispatch(of: task.id, attempt: 3).task.running
      try await test.report(third, .failure)
      #expect(
        story(test, since: start) == [
          "queued 0", "running 1", "queued 1", "running 2", "queued 2", "running 3",
          "failed 3 failure",
        ])
    }
  }

  @Test func `cancelled, and late results as a line of the log`() async throws {
    try await EngineCase.run { test in
      let start = test.engine.events.last
      try await test.agent("a")
      let task = try await test.dispatched().task.running
      try await test.engine.cancel(task.id)
      try await test.engine.cancel(task.id)
      _ = try await test.engine.report(test.callback(task))
      let story = story(test, since: start)
      #expect(story.dropLast() == ["queued 0", "running 1", "cancelled 1 cancelled"])
      #expect(story.last?.hasPrefix("log late success") == true)
    }
  }

  @Test func `a cancelled task in the queue`() async throws {
    let test = try await EngineCase.open()
    let start = test.engine.events.last
    let id = try await test.submit()
    try await test.engine.cancel(id)
    #expect(story(test, since: start) == ["queued 0", "cancelled -1 cancelled"])
  }

  @Test func `bulks and repeats`() async throws {
    let test = try await EngineCase.open()
    let start = test.engine.events.last
    var parts = [
      (0..<Engine.bulkPart).map { _ in
        Engine.Submission(
          task: NewTask(demand: Demand(type: "work"), payload: Array("{}".utf8)), bodyHash: nil)
      }
    ][...]
    _ = try await test.engine.submitBulk(ofAtMost: Engine.bulkPart) { parts.popFirst() }
    #expect(story(test, since: start).count == Engine.bulkPart)
    let middle = test.engine.events.last
    var task = NewTask(demand: Demand(type: "work"), payload: Array("{}".utf8))
    task.idempotencyKey = "once"
    let same = Engine.Submission(task: task, bodyHash: [1])
    _ = try await test.engine.submit([same])
    _ = try await test.engine.submit([same])
    #expect(story(test, since: middle) == ["queued 0"])
  }
}
