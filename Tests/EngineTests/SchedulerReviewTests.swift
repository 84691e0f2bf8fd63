// SPDX-License-Identifier: Apache-2.0
// Orders of events that the scheduler once got wrong.
import Domain
import HeapModule
import Testing

@testable import Engine

@Suite struct SchedulerReviewTests {
  // MARK: Deadlines

  @Test func `a deadline that passed during an attempt ends the requeued task`() throws {
    var test = SchedulerCase()
    test.agent("a")
    let id = test.task(deadlineIn: 1_000)
    let task = try #require(test.start().first)
    test.pass(1_000)
    test.release(task)
    #expect(test.pass(1).pastDeadline == [id])
  }

  @Test func `a deadline is kept through restart and release`() throws {
    var test = SchedulerCase()
    test.agent("a")
    let records = test.scheduler.agentRecords
    let id = test.task(deadlineIn: 5_000)
    let task = try #require(test.start().first)
    test.restart(agents: records)
    test.scheduler.probeFailed(task.agent)
    test.release(task)
    #expect(test.pass(5_000).pastDeadline == [id])
  }

  @Test func `requeues add no deadline timers`() {
    var test = SchedulerCase()
    test.agent("a")
    test.task(deadlineIn: 60_000)
    for _ in 0..<10 { test.start().forEach { test.release($0) } }
    #expect(test.scheduler.timers.unordered.filter { $0.kind == .deadline }.count == 1)
  }

  // MARK: Claims that came to nothing

  private func opened(_ test: inout SchedulerCase) -> AgentID {
    let agent = test.agent("a", concurrency: 2)
    for _ in 0..<9 { test.task() }
    for _ in 0..<Limits.breakerFailures {
      for task in test.start(limit: 1) {
        test.answer(agent, .serverError)
        test.settle(task)
      }
    }
    return agent
  }

  @Test func `a trial that was not written is tried again at its time`() {
    var test = SchedulerCase()
    _ = opened(&test)
    test.pass(5_000)
    for claim in test.plan() { test.scheduler.claimFailed(claim.id) }
    #expect(test.plan().isEmpty)
    #expect(test.pass(Limits.pushBackFirst).mayPlan)
    #expect(test.plan().count == 1)
  }

  @Test func `a poll that leaves during a claim leaves nothing behind`() {
    var test = SchedulerCase()
    let agent = test.pullAgent("a")
    test.task()
    test.task()
    test.scheduler.polled(agent, 1)
    let claims = test.plan()
    test.scheduler.polled(agent, -1)
    for claim in claims { test.scheduler.claimFailed(claim.id) }
    #expect(test.plan().isEmpty, "nobody waits any more")
  }

  @Test func `serving a poll keeps the sum of the others`() {
    var test = SchedulerCase()
    let agent = test.pullAgent("a", concurrency: 9)
    for _ in 0..<9 { test.task() }
    test.scheduler.polled(agent, 2)
    let claims = test.plan()
    #expect(claims.count == 2)
    test.scheduler.polled(agent, 3)
    test.scheduler.claimFailed(claims[0].id)
    test.commit([claims[1]])
    // The first poll is served with one task and leaves with one place unused.
    test.scheduler.polled(agent, 1 - 2)
    #expect(test.start().count == 3)
    #expect(test.plan().isEmpty)
  }

  // MARK: Push-back

  @Test(arguments: [0, -1, 999] as [Int64])
  func `a Retry-After of nothing is none`(wait: Int64) {
    var test = SchedulerCase()
    let agent = test.agent("a")
    test.task()
    test.start().forEach { test.release($0) }
    test.answer(agent, .busy(wait))
    test.pass(4_999)
    #expect(test.plan().isEmpty)
    test.pass(1)
    #expect(test.plan().count == 1)
  }

  @Test func `a burst of refusals is one step`() {
    var test = SchedulerCase()
    let agent = test.agent("a", concurrency: 8)
    for _ in 0..<8 { test.task() }
    test.start().forEach { test.release($0) }
    for _ in 0..<8 { test.answer(agent, .busy(nil)) }
    test.pass(5_000)
    #expect(test.plan().count == 8)
  }

  // MARK: Signs of life

  @Test func `a start is no sign of life`() {
    var test = SchedulerCase()
    let before = test.at(-86_400_000)
    let agent = test.pullAgent("a") {
      $0.lastSeen = before
      $0.leaseSeconds = 10
    }
    #expect(test.scheduler.vitals(of: agent)?.lastSeen == before)
    test.scheduler.sweepSilent(now: test.at(30_000))
    #expect(test.scheduler.state(of: agent, now: test.now) == .active)
    test.scheduler.sweepSilent(now: test.at(30_001))
    #expect(test.scheduler.state(of: agent, now: test.now) == .unhealthy)
  }

  @Test func `an accepted dispatch is a sign of life`() {
    var test = SchedulerCase()
    let agent = test.agent("a")
    test.task()
    test.start()
    test.now = test.at(7_000)
    test.answer(agent, .accepted)
    #expect(test.scheduler.vitals(of: agent)?.lastSeen == test.now)
  }

  // MARK: Limits

  @Test func `what runs at the restart takes no tokens`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 50)
    let records = test.scheduler.agentRecords
    for _ in 0..<21 { test.task() }
    test.start(limit: 20)
    var settings = TypeSettings(type: "work")
    settings.limits.ratePerSecond = 1
    test.restart(agents: records, types: [settings])
    #expect(test.start().count == 1)
  }

  @Test func `asking for reasons remembers no keys`() {
    var test = SchedulerCase()
    test.set { $0.perKey.ratePerSecond = 1 }
    test.agent("a") { $0.state = .active }
    for number in 0..<100 { _ = test.reason(test.task(key: "k\(number)")) }
    #expect(test.scheduler.types.map(\.keyCount).reduce(0, +) == 0)
  }

  @Test func `idle keys are swept`() {
    var test = SchedulerCase()
    test.set { $0.perKey.ratePerSecond = 10 }
    test.agent("a", concurrency: 100)
    for number in 0..<100 { test.task(key: "k\(number)") }
    test.start().forEach { test.settle($0) }
    test.scheduler.sweepKeys(now: test.now)
    #expect(test.scheduler.types.map(\.keyCount).reduce(0, +) == 100)
    test.scheduler.sweepKeys(now: test.at(100))
    #expect(test.scheduler.types.map(\.keyCount).reduce(0, +) == 0)
  }

  @Test func `a token wakes only the keys that got one`() {
    var test = SchedulerCase()
    test.set { $0.perKey.ratePerSecond = 1 }
    test.agent("a", concurrency: 100)
    for key in ["x", "x", "y"] { test.task(key: key) }
    #expect(test.start().map(\.key) == ["x", "y"])
    test.pass(600)
    test.task(key: "z")
    test.task(key: "z")
    #expect(test.start().map(\.key) == ["z"])
    test.pass(400)
    #expect(test.start().map(\.key) == ["x"])
    #expect(test.pass(599).mayPlan == false)
    #expect(test.pass(1).mayPlan)
    #expect(test.start().map(\.key) == ["z"])
  }

  // MARK: News in another order

  @Test func `an attempt that is being ended is not renewed`() throws {
    var test = SchedulerCase()
    test.agent("a") { $0.leaseSeconds = 1 }
    test.task()
    let task = try #require(test.start().first)
    #expect(test.pass(1_000).lapsed.count == 1)
    #expect(test.scheduler.renewal(task.id, now: test.now) == nil)
    test.scheduler.lapseFailed(task.id, again: test.at(500))
    #expect(test.scheduler.renewal(task.id, now: test.now) != nil)
  }

  @Test func `a backoff that is ended before it is known here`() throws {
    var test = SchedulerCase()
    test.agent("a")
    test.task()
    let task = try #require(test.start().first)
    test.scheduler.hastened(task.id)
    test.fail(task)
    #expect(test.plan().map(\.id) == [task.id])
  }

  @Test(arguments: [nil, 500] as [Int64?])
  func `a task that was cancelled before it came`(delay: Int64?) {
    var test = SchedulerCase()
    test.agent("a", concurrency: 10)
    let id = TaskID(rawValue: 7)
    _ = test.task()
    test.start()
    _ = test.scheduler.ended(id, .wasQueued(demand: DemandID(rawValue: 0)))
    test.scheduler.enqueue(
      id, demand: DemandID(rawValue: 0), key: nil, priority: 5, notBefore: delay.map(test.at),
      deadline: test.at(1_000), now: test.now)
    #expect(test.scheduler.queued == 0)
    #expect(test.scheduler.deadlines.isEmpty)
    #expect(test.scheduler.dead.isEmpty)
    #expect(test.pass(1_000).pastDeadline.isEmpty)
    #expect(test.plan().isEmpty)
  }

  @Test func `a breaker's wait goes on when the clock is set`() {
    var test = SchedulerCase()
    _ = opened(&test)
    test.now = test.at(3_600_000)
    test.scheduler.shift(by: 3_600_000)
    test.pass(4_999)
    #expect(test.plan().isEmpty)
    test.pass(1)
    #expect(test.plan().count == 1)
  }

  // MARK: Plans

  @Test func `demands of one plan keep the order`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 100) { $0.capabilities = (0..<7).map { "t\($0)" } + ["gpu"] }
    test.agent("b", concurrency: 30) { $0.capabilities = (0..<7).map { "t\($0)" } }
    var expected: [(priority: Int, id: TaskID)] = []
    for number in 0..<90 {
      let priority = (number * 7) % 10
      let id = test.task("t\(number % 7)", priority: priority) {
        if number % 3 == 0 { $0.demand.requires = ["gpu"] }
      }
      expected.append((priority, id))
    }
    let order = expected.sorted {
      $0.priority == $1.priority ? $0.id < $1.id : $0.priority > $1.priority
    }
    #expect(test.plan(limit: 40).map(\.id) == order.prefix(40).map(\.id))
    #expect(test.plan().map(\.id) == order.dropFirst(40).map(\.id))
  }
}
