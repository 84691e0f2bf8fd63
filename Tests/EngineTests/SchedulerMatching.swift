// SPDX-License-Identifier: Apache-2.0
// Which agent gets which task, and in which order.
import Domain
import Testing

@testable import Engine

@Suite struct SchedulerMatching {
  struct Row: Sendable, CustomTestStringConvertible {
    var name: String
    var demand: Demand
    var isMet: Bool
    var testDescription: String { name }
  }

  /// The agent: kind http, can `work` and `gpu`, labels zone=eu and tier=gold.
  static let rows = [
    Row(name: "the type", demand: Demand(type: "work"), isMet: true),
    Row(name: "another type", demand: Demand(type: "other"), isMet: false),
    Row(name: "a capability", demand: Demand(type: "work", requires: ["gpu"]), isMet: true),
    Row(
      name: "one it lacks", demand: Demand(type: "work", requires: ["gpu", "tpu"]), isMet: false),
    Row(name: "its kind", demand: Demand(type: "work", agentType: .http), isMet: true),
    Row(name: "another kind", demand: Demand(type: "work", agentType: .wasm), isMet: false),
    Row(
      name: "its labels",
      demand: Demand(type: "work", selector: [Label("zone", "eu"), Label("tier", "gold")]),
      isMet: true),
    Row(
      name: "another value", demand: Demand(type: "work", selector: [Label("zone", "us")]),
      isMet: false),
    Row(
      name: "a label it lacks", demand: Demand(type: "work", selector: [Label("rack", "1")]),
      isMet: false),
  ]

  @Test(arguments: rows, [false, true])
  func `a task goes to an agent that meets its demand`(row: Row, agentFirst: Bool) {
    var test = SchedulerCase()
    let register = { (test: inout SchedulerCase) in
      _ = test.agent("a") {
        $0.capabilities = ["work", "gpu"]
        $0.labels = [Label("zone", "eu"), Label("tier", "gold")]
      }
    }
    if agentFirst { register(&test) }
    let id = test.task { $0.demand = row.demand }
    if !agentFirst { register(&test) }
    #expect(test.plan().map(\.id) == (row.isMet ? [id] : []))
  }

  @Test func `a changed entry is matched anew`() {
    var test = SchedulerCase()
    test.agent("a")
    let id = test.task { $0.demand.requires = ["gpu"] }
    #expect(test.plan().isEmpty)
    test.agent("a") { $0.capabilities = ["work", "gpu"] }
    #expect(test.plan().map(\.id) == [id])
    test.agent("b", concurrency: 2)
    test.agent("b", concurrency: 2) { $0.capabilities = ["other"] }
    test.task()
    #expect(test.plan().isEmpty)
  }

  @Test func `priority first, then age`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 10) { $0.capabilities = ["work", "other"] }
    let low = test.task(priority: 0)
    let first = test.task("other")
    let second = test.task()
    let high = test.task(priority: 9)
    #expect(test.plan().map(\.id) == [high, first, second, low])
  }

  @Test func `a plan is no longer than asked for`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 10)
    let tasks = (0..<5).map { _ in test.task() }
    #expect(test.plan(limit: 2).map(\.id) == Array(tasks[..<2]))
    #expect(test.plan(limit: 9).map(\.id) == Array(tasks[2...]))
  }

  @Test func `no agent gets more than its concurrency`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 3)
    for _ in 0..<10 { test.task() }
    let running = test.start()
    #expect(running.count == 3)
    #expect(test.plan().isEmpty)
    test.settle(running[0])
    #expect(test.plan().count == 1)
  }

  @Test func `most free slots first`() {
    var test = SchedulerCase()
    let small = test.agent("small", concurrency: 2)
    let big = test.agent("big", concurrency: 4)
    for _ in 0..<6 { test.task() }
    let order = test.plan().map(\.agent)
    #expect(Array(order.prefix(2)) == [big, big])
    #expect(order.filter { $0 == small }.count == 2)
    #expect(order.count == 6)
  }

  @Test func `of equally free agents the faster one`() {
    var test = SchedulerCase()
    test.agent("a")
    test.agent("b")
    test.task()
    test.task()
    let running = test.start()
    for (task, took) in zip(running, [100, 300] as [Int64]) {
      test.now = test.now.adding(milliseconds: took)
      test.settle(task)
    }
    let slow = running[1].agent
    test.task()
    #expect(test.plan().first?.agent != slow)
  }

  @Test(arguments: [AgentState.draining, .disabled])
  func `an agent that is not active gets nothing`(state: AgentState) {
    var test = SchedulerCase()
    test.agent("a") { $0.state = state }
    test.task()
    #expect(test.plan().isEmpty)
    test.agent("a")
    #expect(test.plan().count == 1)
  }

  @Test func `a hundred thousand tasks`() {
    var test = SchedulerCase()
    for number in 0..<10 { test.agent("a\(number)", concurrency: 100) }
    for number in 0..<100_000 { test.task(priority: number % 10) }
    #expect(test.scheduler.queued == 100_000)
    var seen = 0
    for _ in 0..<19 {
      for task in test.start() {
        seen += 1
        #expect(task.priority == 9)
        test.settle(task)
      }
    }
    #expect(seen == 19 * 512)
    #expect(test.scheduler.queued == 100_000 - seen)
  }
}
