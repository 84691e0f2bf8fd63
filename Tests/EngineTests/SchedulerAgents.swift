// SPDX-License-Identifier: Apache-2.0
// Agents that refuse, fail, fall silent, drain, poll and go.
import Domain
import Testing

@testable import Engine

@Suite struct SchedulerAgents {
  // MARK: Polls

  @Test func `a pull agent gets what its polls would take`() {
    var test = SchedulerCase()
    let agent = test.pullAgent("a", concurrency: 8)
    for _ in 0..<10 { test.task() }
    #expect(test.plan().isEmpty)
    test.scheduler.polled(agent, 3)
    #expect(test.start().count == 3)
    #expect(test.start().isEmpty)
    test.scheduler.polled(agent, 100)
    #expect(test.start().count == 5, "no more than its concurrency")
  }

  @Test func `a poll that left takes nothing`() {
    var test = SchedulerCase()
    let agent = test.pullAgent("a")
    test.scheduler.polled(agent, 4)
    test.scheduler.polled(agent, -4)
    test.task()
    #expect(test.plan().isEmpty)
    test.scheduler.polled(agent, -4)
    test.scheduler.polled(agent, 1)
    #expect(test.plan().count == 1)
  }

  @Test func `a poll outlives a claim that was not written`() {
    var test = SchedulerCase()
    let agent = test.pullAgent("a")
    test.scheduler.polled(agent, 1)
    let id = test.task()
    for claim in test.plan() { test.scheduler.claimFailed(claim.id) }
    #expect(test.plan().map(\.id) == [id])
  }

  @Test func `a poll outlives a claim that found nothing`() {
    var test = SchedulerCase()
    let agent = test.pullAgent("a")
    test.scheduler.polled(agent, 1)
    let first = test.task()
    let claims = test.plan()
    test.end(first)
    #expect(test.commit(claims).isEmpty)
    let second = test.task()
    #expect(test.plan().map(\.id) == [second])
  }

  @Test func `an agent that drains itself gets nothing until it asks again`() {
    var test = SchedulerCase()
    let agent = test.agent("a", concurrency: 4)
    test.scheduler.setDraining(agent, true)
    let id = test.task()
    #expect(test.plan().isEmpty)
    #expect(test.scheduler.state(of: agent, now: test.now) == .draining)
    test.scheduler.seen(agent, now: test.now)
    #expect(test.plan().isEmpty)
    test.scheduler.setDraining(agent, false)
    #expect(test.plan().map(\.id) == [id])
    #expect(test.scheduler.state(of: agent, now: test.now) == .active)
  }

  // MARK: Push-back

  @Test func `push-back doubles from five seconds to a minute`() {
    var test = SchedulerCase()
    let agent = test.agent("a")
    test.task()
    for wait in [5_000, 10_000, 20_000, 40_000, 60_000, 60_000] as [Int64] {
      guard let task = test.start().first else {
        Issue.record("nothing started")
        return
      }
      test.release(task)
      test.answer(agent, .busy(nil))
      #expect(test.plan().isEmpty)
      test.pass(wait - 1)
      #expect(test.plan().isEmpty, "\(wait)")
      #expect(test.pass(1).mayPlan)
    }
    guard let task = test.start().first else {
      Issue.record("nothing started")
      return
    }
    test.answer(agent, .accepted)
    test.release(task)
    test.answer(agent, .busy(nil))
    test.pass(5_000)
    #expect(test.start().count == 1, "an answer starts the doubling anew")
  }

  @Test(arguments: [1_000, 30_000, 3_600_000] as [Int64])
  func `push-back follows Retry-After`(wait: Int64) {
    var test = SchedulerCase()
    let agent = test.agent("a")
    test.task()
    test.start().forEach { test.release($0) }
    test.answer(agent, .busy(wait))
    test.pass(wait - 1)
    #expect(test.plan().isEmpty)
    test.pass(1)
    #expect(test.plan().count == 1)
  }

  @Test func `another agent takes over meanwhile`() {
    var test = SchedulerCase()
    let busy = test.agent("busy", concurrency: 9)
    let free = test.agent("free")
    test.task()
    let running = test.start()
    #expect(running.map(\.agent) == [busy])
    running.forEach { test.release($0) }
    test.answer(busy, .busy(60_000))
    #expect(test.plan().map(\.agent) == [free])
  }

  // MARK: Breaker

  /// Makes one dispatch fail.
  private func trip(_ test: inout SchedulerCase, _ agent: AgentID) {
    guard let task = test.start(limit: 1).first else {
      Issue.record("nothing started")
      return
    }
    test.answer(agent, .serverError)
    test.settle(task)
  }

  private func open(_ test: inout SchedulerCase) -> AgentID {
    let agent = test.agent("a", concurrency: 4)
    for _ in 0..<30 { test.task() }
    for _ in 0..<Limits.breakerFailures { trip(&test, agent) }
    #expect(test.plan().isEmpty, "open after five in a row")
    return agent
  }

  @Test func `the breaker opens, tries one, and closes`() {
    var test = SchedulerCase()
    let agent = open(&test)
    test.pass(4_999)
    #expect(test.plan().isEmpty)
    #expect(test.pass(1).mayPlan)
    let trial = test.start()
    #expect(trial.count == 1, "half-open sends one")
    test.answer(agent, .accepted)
    #expect(test.start().count == 3)
  }

  @Test func `a trial that fails opens it for twice as long`() {
    var test = SchedulerCase()
    let agent = open(&test)
    test.pass(5_000)
    for wait in [10_000, 20_000, 40_000, 60_000, 60_000] as [Int64] {
      trip(&test, agent)
      test.pass(wait - 1)
      #expect(test.plan().isEmpty)
      test.pass(1)
    }
    #expect(test.plan().count == 1)
  }

  @Test func `four failures and a success leave it closed`() {
    var test = SchedulerCase()
    let agent = test.agent("a")
    for _ in 0..<20 { test.task() }
    for _ in 0..<3 {
      for _ in 0..<(Limits.breakerFailures - 1) { trip(&test, agent) }
      test.start().forEach { test.settle($0) }
      test.answer(agent, .accepted)
    }
    #expect(test.plan().count == 1)
  }

  @Test func `a trial that was never written is tried again`() {
    var test = SchedulerCase()
    _ = open(&test)
    test.pass(5_000)
    let claims = test.plan()
    #expect(claims.count == 1)
    for claim in claims { test.scheduler.claimFailed(claim.id) }
    test.pass(60_000)
    #expect(test.plan().count == 1)
  }

  @Test func `a trial whose task was cancelled is tried again`() {
    var test = SchedulerCase()
    _ = open(&test)
    test.pass(5_000)
    let claims = test.plan()
    for claim in claims { test.end(claim.id) }
    test.commit(claims)
    test.pass(60_000)
    #expect(test.plan().count == 1)
  }

  @Test func `a trial that found the agent busy is tried again`() {
    var test = SchedulerCase()
    let agent = open(&test)
    test.pass(5_000)
    test.start().forEach { test.release($0) }
    test.answer(agent, .busy(100))
    test.pass(60_000)
    #expect(test.plan().count == 1)
  }

  // MARK: Health

  @Test func `an agent that refuses us is unhealthy until it speaks`() {
    var test = SchedulerCase()
    let agent = test.agent("a")
    let id = test.task()
    test.start().forEach { test.release($0) }
    test.answer(
      agent,
      .undelivered(message: "401", countsForBreaker: true, retryAfter: nil, unhealthy: true))
    #expect(test.scheduler.state(of: agent, now: test.now) == .unhealthy)
    test.pass(600_000)
    #expect(test.plan().isEmpty)
    #expect(test.reason(id) == .agentsUnhealthy)
    test.scheduler.seen(agent, now: test.now)
    #expect(test.scheduler.state(of: agent, now: test.now) == .active)
    #expect(test.plan().count == 1)
  }

  @Test func `a probe that fails, and a changed entry that heals`() {
    var test = SchedulerCase()
    let agent = test.agent("a")
    test.scheduler.probeFailed(agent)
    test.task()
    #expect(test.plan().isEmpty)
    test.agent("a", concurrency: 2)
    #expect(test.plan().count == 1)
  }

  @Test func `a pull agent silent for three leases is unhealthy`() {
    var test = SchedulerCase()
    let agent = test.pullAgent("a") { $0.leaseSeconds = 10 }
    test.now = test.at(30_000)
    test.scheduler.sweepSilent(now: test.now)
    #expect(test.scheduler.state(of: agent, now: test.now) == .active)
    test.now = test.at(1)
    test.scheduler.sweepSilent(now: test.now)
    #expect(test.scheduler.state(of: agent, now: test.now) == .unhealthy)
    test.scheduler.seen(agent, now: test.now)
    #expect(test.scheduler.state(of: agent, now: test.now) == .active)
  }

  @Test func `an agent whose lease request waits is not silent`() {
    var test = SchedulerCase()
    let agent = test.pullAgent("a") { $0.leaseSeconds = 2 }
    test.scheduler.polled(agent, 4)
    test.now = test.at(20_000)
    test.scheduler.sweepSilent(now: test.now)
    let id = test.task()
    #expect(test.plan().map(\.id) == [id])
  }

  @Test func `push agents are not expected to speak`() {
    var test = SchedulerCase()
    let agent = test.agent("a") { $0.leaseSeconds = 1 }
    test.now = test.at(86_400_000)
    test.scheduler.sweepSilent(now: test.now)
    #expect(test.scheduler.state(of: agent, now: test.now) == .active)
  }

  // MARK: Removal

  @Test func `a removed agent gets nothing, and its place may be taken`() {
    var test = SchedulerCase()
    let gone = test.agent("gone", concurrency: 2)
    test.task()
    let held = test.start()
    #expect(test.scheduler.tasks(heldBy: gone).map(\.id) == held.map(\.id))
    test.scheduler.remove(gone)
    #expect(test.scheduler.state(of: gone, now: test.now) == nil)
    test.task()
    #expect(test.plan().isEmpty)
    let new = test.agent("new")
    held.forEach { test.settle($0) }
    #expect(test.plan().map(\.agent) == [new])
    #expect(test.scheduler.vitals(of: new)?.inUse == 1)
  }

  @Test func `a claim on its way when its agent goes`() {
    var test = SchedulerCase()
    let gone = test.agent("gone")
    test.task()
    let claims = test.plan()
    test.scheduler.remove(gone)
    test.agent("new")
    test.commit(claims).forEach { test.release($0) }
    #expect(test.plan().map(\.agent) == [AgentID(stored: "new")])
  }

  @Test func `a running task finds its agent again`() {
    var test = SchedulerCase()
    let agent = test.agent("a", concurrency: 1)
    let records = test.scheduler.agentRecords
    test.task()
    test.task()
    test.start()
    test.restart(agents: [])
    for record in records { test.scheduler.upsert(record, now: test.now) }
    #expect(test.scheduler.vitals(of: agent)?.inUse == 1)
    #expect(test.plan().isEmpty)
  }
}
