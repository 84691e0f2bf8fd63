// SPDX-License-Identifier: Apache-2.0
// Tasks that end wherever they stand, and what their agents still hold.
import Domain
import Simulation
import Testing

@testable import Engine

@Suite struct SchedulerEnds {
  @Test func `ended while ready`() {
    var test = SchedulerCase()
    let first = test.task()
    let second = test.task()
    test.end(first)
    #expect(test.scheduler.queued == 1)
    test.agent("a", concurrency: 4)
    #expect(test.plan().map(\.id) == [second])
  }

  @Test func `ended while delayed`() {
    var test = SchedulerCase()
    test.agent("a")
    let id = test.task(runIn: 1_000)
    test.end(id)
    #expect(test.scheduler.queued == 0)
    test.pass(1_000)
    #expect(test.plan().isEmpty)
  }

  @Test func `ended before its claim was written`() {
    var test = SchedulerCase()
    let agent = test.agent("a")
    let id = test.task()
    let claims = test.plan()
    test.end(id)
    #expect(test.commit(claims).isEmpty)
    #expect(test.scheduler.queued == 0)
    #expect(test.scheduler.vitals(of: agent)?.inUse == 0)
  }

  @Test func `ended before its claim, and the news comes after`() {
    var test = SchedulerCase()
    let agent = test.agent("a")
    let id = test.task()
    let claims = test.plan()
    let ends = test.store.end([EndRequest(id: id, state: .cancelled, now: test.now)])
    #expect(test.commit(claims).isEmpty)
    #expect(test.scheduler.ended(id, ends[0]) == nil)
    #expect(test.scheduler.queued == 0)
    #expect(test.scheduler.vitals(of: agent)?.inUse == 0)
    #expect(test.scheduler.missed.isEmpty)
  }

  @Test func `ended after its claim, and the news comes before`() {
    var test = SchedulerCase()
    let agent = test.agent("a")
    let id = test.task()
    let claims = test.plan()
    let claimed = test.store.claim(claims)
    #expect(test.end(id) == nil, "its agent was not told of it")
    #expect(test.scheduler.claimed(id, claimed[0]) == nil)
    #expect(test.scheduler.queued == 0)
    #expect(test.scheduler.vitals(of: agent)?.inUse == 0)
    #expect(test.scheduler.runningTask(id) == nil)
  }

  @Test func `ended and the claim could not be written`() {
    var test = SchedulerCase()
    test.agent("a")
    let id = test.task()
    let claims = test.plan()
    test.end(id)
    for claim in claims { test.scheduler.claimFailed(claim.id) }
    #expect(test.scheduler.queued == 0)
    #expect(test.plan().isEmpty)
  }

  @Test func `ended between a report's commit and its news`() throws {
    var test = SchedulerCase()
    let agent = test.agent("a")
    let id = test.task()
    let task = try #require(test.start().first)
    let settlement = Settlement.decide(
      status: .failure, retryable: nil, retryAfter: nil, failures: 0, retry: task.retry,
      now: test.now, chance: 0)
    let request = SettleRequest(
      id: id, attempt: 1, settlement: settlement, report: Report(status: .failure),
      reporter: agent, signedID: nil, now: test.now)
    #expect(test.store.settle([request]) == [.applied])
    #expect(test.end(id) == nil)
    test.scheduler.settled(id, attempt: 1, settlement, now: test.now)
    #expect(test.scheduler.queued == 0)
    test.pass(600_000)
    #expect(test.plan().isEmpty)
    #expect(test.scheduler.vitals(of: agent)?.inUse == 0)
  }

  // MARK: Ghosts

  @Test func `a cancelled attempt keeps its slot until its agent reports`() throws {
    var test = SchedulerCase()
    let agent = test.agent("a")
    let other = test.agent("b") { $0.capabilities = ["other"] }
    let id = test.task()
    test.task()
    test.start()
    let told = test.end(id)
    #expect(told?.attempt == 1)
    #expect(test.scheduler.isCancelled(id, heldBy: agent))
    #expect(!test.scheduler.isCancelled(id, heldBy: other))
    #expect(test.plan().isEmpty)
    #expect(test.scheduler.exorcise(id, agent: other) == false)
    #expect(test.scheduler.exorcise(id, agent: agent) == true)
    #expect(test.scheduler.exorcise(id, agent: agent) == false)
    #expect(test.plan().count == 1)
  }

  @Test func `a cancelled attempt keeps its slot until its lease ends`() {
    var test = SchedulerCase()
    let agent = test.agent("a") { $0.leaseSeconds = 5 }
    let id = test.task()
    test.task()
    test.start()
    test.end(id)
    test.pass(4_999)
    #expect(test.plan().isEmpty)
    #expect(test.pass(1).mayPlan)
    #expect(test.plan().count == 1)
    #expect(!test.scheduler.isCancelled(id, heldBy: agent))
  }

  @Test func `a cancelled attempt no longer counts for its type`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 2)
    test.set { $0.limits.concurrency = 1 }
    let id = test.task()
    test.task()
    #expect(test.start().count == 1)
    test.end(id)
    #expect(test.start().count == 1)
  }

  @Test func `a clock that is set moves what cancelled attempts hold`() {
    var test = SchedulerCase()
    test.agent("a") { $0.leaseSeconds = 5 }
    let id = test.task()
    test.task()
    test.start()
    test.end(id)
    test.now = test.at(-3_600_000)
    test.scheduler.shift(by: -3_600_000)
    test.pass(5_000)
    #expect(test.plan().count == 1)
  }

  // MARK: Put back

  @Test func `an attempt that was put back runs again at once`() throws {
    var test = SchedulerCase()
    test.agent("a")
    test.task()
    let task = try #require(test.start().first)
    test.release(task)
    let again = try #require(test.start().first)
    #expect(again.id == task.id)
    #expect(again.attempt == 2)
    #expect(again.failures == 0)
  }

  @Test func `news of an earlier attempt changes nothing`() throws {
    var test = SchedulerCase()
    test.agent("a")
    test.task()
    let first = try #require(test.start().first)
    test.release(first)
    let second = try #require(test.start().first)
    test.settle(first)
    test.scheduler.released(first.id, attempt: 1, notBefore: nil, now: test.now)
    #expect(test.scheduler.runningTask(second.id)?.attempt == 2)
    #expect(test.scheduler.queued == 0)
  }
}

@Suite struct WaitingReasons {
  @Test func `nobody can do it`() {
    var test = SchedulerCase()
    let id = test.task()
    #expect(test.reason(id) == .noAgent)
    test.agent("a") { $0.capabilities = ["other"] }
    test.agent("b") { $0.state = .disabled }
    #expect(test.reason(id) == .noAgent)
  }

  @Test func `all are busy`() {
    var test = SchedulerCase()
    test.agent("a")
    test.task()
    test.start()
    let id = test.task()
    #expect(test.reason(id) == .agentsBusy)
  }

  @Test func `all are unhealthy, pushed back or tripped`() {
    var test = SchedulerCase()
    let agent = test.agent("a")
    let id = test.task()
    test.answer(agent, .busy(1_000))
    #expect(test.reason(id) == .agentsUnhealthy)
    test.pass(1_000)
    for _ in 0..<Limits.breakerFailures { test.answer(agent, .serverError) }
    #expect(test.reason(id) == .agentsUnhealthy)
    test.pass(60_000)
    test.scheduler.probeFailed(agent)
    #expect(test.reason(id) == .agentsUnhealthy)
    test.agent("b")
    test.scheduler.setDraining(AgentID(stored: "b"), true)
    #expect(test.reason(id) == .agentsUnhealthy)
  }

  @Test func `its type is paused`() {
    var test = SchedulerCase()
    let id = test.task()
    test.set { $0.paused = true }
    #expect(test.reason(id) == .typePaused)
  }

  @Test func `its type is at its limit`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 5)
    test.set { $0.limits.ratePerSecond = 0.5 }
    test.task()
    let id = test.task()
    test.start()
    #expect(test.reason(id) == .rateLimited)
    test.set { $0.limits = TypeLimits(concurrency: 1) }
    #expect(test.reason(id) == .rateLimited)
  }

  @Test func `its key is at its limit`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 5)
    test.set { $0.perKey.concurrency = 1 }
    test.task(key: "x")
    let id = test.task(key: "x")
    test.start()
    #expect(test.reason(id) == .keyLimited)
  }

  @Test func `its time has not come`() throws {
    var test = SchedulerCase()
    test.agent("a")
    let scheduled = test.task(runIn: 1_000)
    #expect(test.reason(scheduled) == .scheduled)
    let failed = test.task()
    let task = try #require(test.start().first)
    test.fail(task)
    #expect(test.reason(failed) == .backoff)
  }
}
