// SPDX-License-Identifier: Apache-2.0
// A new task may be given out by the commit that stores it, but only where nobody stands before it.
import Domain
import Testing

@testable import Engine

@Suite struct SchedulerClaimsAhead {
  private func ahead(
    _ test: inout SchedulerCase, _ change: (inout NewTask) -> Void = { _ in }
  ) -> ClaimRequest? {
    var task = NewTask(demand: Demand(type: "work"), payload: [])
    change(&task)
    let insert = TaskInsert(id: TaskID(rawValue: .max - 1), task: task)
    return test.scheduler.claimAhead(insert, now: test.now) { 7 }
  }

  /// A scheduler that knows the demand and has nothing to do.
  private func ready(concurrency: Int = 1) -> SchedulerCase {
    var test = SchedulerCase()
    test.agent("a", concurrency: concurrency)
    test.task()
    for task in test.start() { test.settle(task, Report(status: .success)) }
    _ = test.plan()
    return test
  }

  @Test func `a free agent gets it`() {
    var test = ready()
    let claim = ahead(&test)
    #expect(claim?.agent.text == "a")
    #expect(test.scheduler.queued == 1)
    // Its slot is taken.
    #expect(ahead(&test) == nil)
  }

  @Test func `what is not stored gives its slot back`() throws {
    var test = ready()
    let claim = try #require(ahead(&test))
    test.scheduler.claimAheadFailed(claim.id)
    #expect(test.scheduler.queued == 0)
    let next = test.task()
    #expect(test.plan().map(\.id) == [next])
  }

  @Test func `a queue is not passed`() {
    var test = ready()
    test.task()
    #expect(ahead(&test) == nil)
    #expect(ahead(&test) { $0.priority = 9 } == nil)
  }

  @Test func `a slot that has just come free belongs to those who wait`() {
    var test = ready()
    test.task()
    let running = test.start()
    let waiting = test.task()
    _ = test.plan()
    for task in running { test.settle(task, Report(status: .success)) }
    #expect(ahead(&test) == nil)
    #expect(test.plan().map(\.id) == [waiting])
  }

  @Test func `a pause, a limit, a later time and an unknown demand are kept`() {
    var test = ready(concurrency: 4)
    let later = test.at(1_000)
    #expect(ahead(&test) { $0.runAt = later } == nil)
    #expect(ahead(&test) { $0.demand = Demand(type: "other") } == nil)
    test.set { $0.paused = true }
    _ = test.plan()
    #expect(ahead(&test) == nil)
    test.set {
      $0.paused = false
      $0.perKey.concurrency = 1
    }
    _ = test.plan()
    #expect(ahead(&test) { $0.key = "k" } != nil)
    let second = TaskInsert(
      id: TaskID(rawValue: .max - 2),
      task: {
        var task = NewTask(demand: Demand(type: "work"), payload: [])
        task.key = "k"
        return task
      }())
    #expect(test.scheduler.claimAhead(second, now: test.now) { 8 } == nil)
  }

  @Test func `a drained agent gets nothing`() {
    var test = ready()
    test.scheduler.setDraining(AgentID(stored: "a"), true)
    #expect(ahead(&test) == nil)
  }
}
