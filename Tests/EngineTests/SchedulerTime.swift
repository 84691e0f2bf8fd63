// SPDX-License-Identifier: Apache-2.0
// Leases, timeouts, deadlines, delayed tasks, a clock that is set.
import Domain
import HeapModule
import Testing

@testable import Engine

@Suite struct SchedulerTime {
  /// One running task.
  private func running(
    _ test: inout SchedulerCase, timeout: Int64? = nil, deadline: Int64? = nil
  ) throws -> RunningTask {
    test.task(deadlineIn: deadline) { $0.timeout = timeout }
    return try #require(test.start().first)
  }

  @Test func `a push agent's lease is the attempt's timeout`() throws {
    var test = SchedulerCase()
    test.agent("a")
    let task = try running(&test, timeout: 50_000)
    #expect(test.pass(49_999).lapsed.isEmpty)
    let lapsed = test.pass(1).lapsed
    #expect(lapsed.map(\.task.id) == [task.id])
    #expect(lapsed.map(\.why) == [.timeout])
    #expect(test.pass(1_000).lapsed.isEmpty, "told once")
  }

  @Test func `a pull agent's lease is half a minute`() throws {
    var test = SchedulerCase()
    let agent = test.pullAgent("a")
    test.scheduler.polled(agent, 1)
    _ = try running(&test)
    #expect(test.pass(29_999).lapsed.isEmpty)
    #expect(test.pass(1).lapsed.map(\.why) == [.lease])
  }

  @Test func `the agent's own lease and timeout`() throws {
    var test = SchedulerCase()
    test.agent("a") {
      $0.leaseSeconds = 7
      $0.timeout = 10_000
    }
    let task = try running(&test)
    #expect(task.leaseUntil == test.at(7_000))
    #expect(task.timeoutAt == test.at(10_000))
  }

  @Test func `a renewal moves the lease, never beyond the end`() throws {
    var test = SchedulerCase()
    test.agent("a") { $0.leaseSeconds = 10 }
    let task = try running(&test, timeout: 25_000)
    test.pass(8_000)
    let until = try #require(test.scheduler.renewal(task.id, now: test.now))
    #expect(until == test.at(10_000))
    test.scheduler.renewed(task.id, attempt: 1, until: until)
    #expect(test.pass(9_999).lapsed.isEmpty)
    let last = try #require(test.scheduler.renewal(task.id, now: test.now))
    #expect(last == task.timeoutAt)
    test.scheduler.renewed(task.id, attempt: 1, until: last)
    #expect(test.pass(7_000).lapsed.isEmpty)
    #expect(test.pass(1).lapsed.map(\.why) == [.timeout])
    test.scheduler.renewed(task.id, attempt: 2, until: test.at(1_000_000))
    #expect(test.scheduler.runningTask(task.id)?.leaseUntil == task.timeoutAt)
  }

  @Test func `a renewal stops at the task's deadline`() throws {
    var test = SchedulerCase()
    test.agent("a") { $0.leaseSeconds = 60 }
    let task = try running(&test, deadline: 20_000)
    #expect(test.scheduler.renewal(task.id, now: test.now) == test.at(20_000))
    #expect(test.scheduler.renewal(TaskID(rawValue: 1), now: test.now) == nil)
  }

  @Test func `an end by time that was not written is tried again`() throws {
    var test = SchedulerCase()
    test.agent("a")
    let task = try running(&test, timeout: 1_000)
    #expect(test.pass(1_000).lapsed.count == 1)
    test.scheduler.lapseFailed(task.id, again: test.at(500))
    #expect(test.pass(499).lapsed.isEmpty)
    #expect(test.pass(1).lapsed.count == 1)
  }

  // MARK: Deadlines

  @Test func `a deadline ends a queued task`() {
    var test = SchedulerCase()
    let id = test.task(deadlineIn: 1_000)
    #expect(test.pass(999).pastDeadline.isEmpty)
    #expect(test.pass(1).pastDeadline == [id])
    test.scheduler.deadlineFailed(id, again: test.at(500))
    #expect(test.pass(500).pastDeadline == [id])
    test.end(id, .failed)
    #expect(test.scheduler.queued == 0)
    test.agent("a")
    #expect(test.plan().isEmpty)
  }

  @Test func `a deadline ends a running task`() throws {
    var test = SchedulerCase()
    test.agent("a")
    _ = try running(&test, deadline: 1_000)
    let due = test.pass(1_000)
    #expect(due.lapsed.map(\.why) == [.deadline])
    #expect(due.pastDeadline.isEmpty)
  }

  @Test func `a deadline ends a task in backoff`() throws {
    var test = SchedulerCase()
    test.agent("a")
    let task = try running(&test, deadline: 3_000)
    test.fail(task)
    #expect(test.pass(2_999).pastDeadline.isEmpty)
    #expect(test.pass(1).pastDeadline == [task.id])
  }

  @Test func `a failure that comes just after the deadline leaves no task behind`() throws {
    var test = SchedulerCase()
    test.agent("a")
    let task = try running(&test, deadline: 1_000)
    #expect(test.pass(1_000).lapsed.count == 1)
    test.fail(task)
    #expect(test.pass(1_000).pastDeadline == [task.id])
  }

  @Test func `a deadline is kept by a task that ran at the restart`() throws {
    var test = SchedulerCase()
    test.agent("a")
    let task = try running(&test, deadline: 20_000)
    test.restart(agents: [])
    test.fail(task)
    #expect(test.pass(20_000).pastDeadline == [task.id])
  }

  @Test func `a deadline is kept by a task queued at the restart`() {
    var test = SchedulerCase()
    let id = test.task(deadlineIn: 1_000)
    test.restart(agents: [])
    #expect(test.pass(1_000).pastDeadline == [id])
  }

  // MARK: Delays

  @Test func `a task waits for its time`() {
    var test = SchedulerCase()
    test.agent("a")
    let id = test.task(runIn: 5_000)
    #expect(test.plan().isEmpty)
    #expect(test.scheduler.queued == 1)
    #expect(test.pass(4_999).mayPlan == false)
    #expect(test.pass(1).mayPlan)
    #expect(test.plan().map(\.id) == [id])
  }

  @Test func `a task in backoff may be hastened`() throws {
    var test = SchedulerCase()
    test.agent("a")
    let task = try running(&test)
    test.fail(task)
    #expect(test.plan().isEmpty)
    test.scheduler.hastened(task.id)
    #expect(test.start().map(\.attempt) == [2])
    #expect(test.pass(60_000).lapsed.isEmpty)
    #expect(test.plan().isEmpty, "its timer makes no second one")
  }

  @Test func `the next moment that matters`() {
    var test = SchedulerCase()
    #expect(test.scheduler.nextDue == nil)
    test.task(runIn: 5_000)
    test.task(deadlineIn: 3_000)
    #expect(test.scheduler.nextDue == test.at(3_000))
  }

  // MARK: The clock is set

  @Test(arguments: [3_600_000, -3_600_000] as [Int64])
  func `what runs keeps the time that it had left`(jump: Int64) throws {
    var test = SchedulerCase()
    test.agent("a")
    _ = try running(&test, timeout: 10_000)
    test.pass(4_000)
    test.now = test.at(jump)
    test.scheduler.shift(by: jump)
    #expect(test.pass(5_999).lapsed.isEmpty)
    #expect(test.pass(1).lapsed.map(\.why) == [.timeout])
  }

  @Test func `an agent's pause ends when it would have`() {
    var test = SchedulerCase()
    let agent = test.agent("a")
    test.task()
    test.start().forEach { test.release($0) }
    test.answer(agent, .busy(5_000))
    #expect(test.plan().isEmpty)
    test.now = test.at(-3_600_000)
    test.scheduler.shift(by: -3_600_000)
    test.pass(5_000)
    #expect(test.plan().count == 1)
  }

  @Test func `an open breaker is tried when it would have been`() {
    var test = SchedulerCase()
    let agent = test.agent("a")
    for _ in 0..<10 { test.task() }
    for _ in 0..<Limits.breakerFailures {
      for task in test.start() {
        test.answer(agent, .serverError)
        test.settle(task)
      }
    }
    #expect(test.plan().isEmpty)
    test.now = test.at(-3_600_000)
    test.scheduler.shift(by: -3_600_000)
    test.pass(5_000)
    #expect(test.plan().count == 1)
  }

  @Test func `a rate goes on after the clock was set back`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 10)
    test.set { $0.limits.ratePerSecond = 1 }
    test.task()
    test.task()
    #expect(test.start().count == 1)
    test.now = test.at(-3_600_000)
    test.scheduler.shift(by: -3_600_000)
    var started = 0
    for _ in 0..<20 {
      test.pass(100)
      test.scheduler.polled(AgentID(stored: "a"), 1)
      started += test.start().count
    }
    #expect(started == 1)
  }

  // MARK: Memory

  @Test func `timers of what is over are dropped`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 512)
    for _ in 0..<40 {
      for _ in 0..<512 { test.task(deadlineIn: 86_400_000) }
      for task in test.start() { test.settle(task) }
    }
    #expect(test.scheduler.runningCount == 0)
    #expect(test.scheduler.timers.count < 3 * 4_096)
    #expect(test.scheduler.deadlines.isEmpty)
  }

  @Test func `tasks that were cancelled while queued are dropped`() {
    var test = SchedulerCase()
    let tasks = (0..<3_000).map { test.task(key: "k\($0 % 7)") }
    for id in tasks.dropFirst(10) { test.end(id) }
    #expect(test.scheduler.queued == 10)
    #expect(test.scheduler.dead.count <= 1_001)
    test.agent("a", concurrency: 100)
    #expect(Set(test.plan().map(\.id)) == Set(tasks.prefix(10)))
    #expect(test.scheduler.queued == 10)
  }
}
