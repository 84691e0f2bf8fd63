// SPDX-License-Identifier: Apache-2.0
// Limits of types and keys, fairness between keys, pausing.
import Domain
import Testing

@testable import Engine

@Suite struct SchedulerLimits {
  @Test func `two keys take turns`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 8)
    for _ in 0..<4 { test.task(key: "x") }
    for _ in 0..<4 { test.task(key: "y") }
    #expect(test.start().compactMap(\.key) == ["x", "y", "x", "y", "x", "y", "x", "y"])
  }

  @Test func `ten thousand tasks of one key do not starve another`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 2)
    for _ in 0..<10_000 { test.task(key: "big") }
    let late = test.task(key: "small")
    #expect(test.plan().map(\.id).contains(late))
  }

  @Test func `priority goes before fairness`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 4)
    test.task(key: "y")
    let urgent = (0..<3).map { _ in test.task(key: "x", priority: 7) }
    #expect(test.plan().prefix(3).map(\.id) == urgent)
  }

  @Test func `a type runs no more than its concurrency`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 10) { $0.capabilities = ["work", "other"] }
    test.set { $0.limits.concurrency = 2 }
    for _ in 0..<5 { test.task() }
    let other = test.task("other")
    let running = test.start()
    #expect(running.count == 3)
    #expect(running.contains { $0.id == other })
    test.settle(running[0])
    #expect(test.start().count == 1)
    test.set { $0.limits.concurrency = 4 }
    #expect(test.start().count == 2)
    test.set { $0.limits.concurrency = nil }
    #expect(test.start().count == 0)
    #expect(test.scheduler.queued == 0)
  }

  @Test func `a type starts no more than its rate`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 10_000)
    test.set { $0.limits.ratePerSecond = 20 }
    for _ in 0..<200 { test.task() }
    var started = test.start().count
    #expect(started <= 2, "a burst is a tenth of a second")
    for _ in 0..<100 {
      test.pass(20)
      started += test.start().count
    }
    #expect((39...43).contains(started), "\(started) in two seconds")
  }

  @Test func `a slow rate has a timer of its own`() throws {
    var test = SchedulerCase()
    test.agent("a", concurrency: 10)
    test.set { $0.limits.ratePerSecond = 0.1 }
    test.task()
    test.task()
    #expect(test.start().count == 1)
    #expect(test.start().isEmpty)
    #expect(test.pass(9_000).mayPlan == false)
    #expect(test.start().isEmpty)
    #expect(test.pass(1_000).mayPlan)
    #expect(test.start().count == 1)
  }

  @Test func `a claim that came to nothing gives its token back`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 10)
    test.set { $0.limits.ratePerSecond = 1 }
    let id = test.task()
    for claim in test.plan() { test.scheduler.claimFailed(claim.id) }
    #expect(test.plan().map(\.id) == [id])
  }

  @Test func `tasks that ran at the restart cost no tokens`() throws {
    var test = SchedulerCase()
    test.agent("a", concurrency: 200)
    for _ in 0..<101 { test.task() }
    let settings = { (settings: inout TypeSettings) in settings.limits.ratePerSecond = 10 }
    #expect(test.start(limit: 100).count == 100)
    var types = TypeSettings(type: "work")
    settings(&types)
    test.restart(agents: test.scheduler.agentRecords, types: [types])
    test.pass(2_000)
    #expect(test.start().count == 1)
  }

  @Test func `a key runs no more than its concurrency`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 10)
    test.set { $0.perKey.concurrency = 1 }
    for key in ["x", "x", "x", "y", "y"] { test.task(key: key) }
    test.task()
    let running = test.start()
    #expect(running.compactMap(\.key).sorted() == ["x", "y"])
    #expect(running.count == 3)
    for task in running where task.key == "x" { test.settle(task) }
    #expect(test.start().map(\.key) == ["x"])
  }

  @Test func `a parked key does not hold up those behind it`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 10)
    test.set { $0.perKey.concurrency = 1 }
    test.task(key: "x")
    test.start()
    test.task(key: "x", priority: 9)
    let behind = test.task(key: "y", priority: 1)
    #expect(test.start().map(\.id) == [behind])
  }

  @Test func `a key counts in all demands of its type`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 10) { $0.capabilities = ["work", "gpu"] }
    test.set { $0.perKey.concurrency = 1 }
    test.task(key: "x")
    test.task(key: "x") { $0.demand.requires = ["gpu"] }
    let first = test.start()
    #expect(first.count == 1)
    first.forEach { test.settle($0) }
    #expect(test.start().count == 1)
  }

  @Test func `a limit that comes while tasks run counts them`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 10)
    for _ in 0..<6 { test.task(key: "x") }
    var running = test.start(limit: 1)
    test.set { $0.perKey.concurrency = 1 }
    for _ in 0..<4 {
      running += test.start()
      #expect(running.count == 1, "one of this key at a time")
      if !running.isEmpty { test.settle(running.removeFirst()) }
    }
  }

  @Test func `a key starts no more than its rate`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 1_000)
    test.set { $0.perKey.ratePerSecond = 5 }
    for _ in 0..<50 { test.task(key: "x") }
    for _ in 0..<3 { test.task(key: "y") }
    var started: [String: Int] = [:]
    for _ in 0...100 {
      for task in test.start() { started[task.key ?? "", default: 0] += 1 }
      test.pass(20)
    }
    #expect((10...11).contains(started["x"] ?? 0), "\(started)")
    #expect(started["y"] == 3)
  }

  @Test func `keys that are over are forgotten`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 1_000)
    test.set { $0.perKey = TypeLimits(concurrency: 2, ratePerSecond: 10) }
    for batch in 0..<25 {
      for number in 0..<1_000 { test.task(key: "key-\(batch)-\(number)") }
      for task in test.start(limit: 1_000) { test.settle(task) }
      test.pass(1_000)
    }
    #expect(test.scheduler.queued == 0)
    #expect(test.scheduler.types.map(\.keyCount).reduce(0, +) <= 11_000)
  }

  @Test func `a paused type starts nothing until it is resumed`() {
    var test = SchedulerCase()
    test.agent("a", concurrency: 4) { $0.capabilities = ["work", "other"] }
    test.task()
    let running = test.start()
    test.set { $0.paused = true }
    let waiting = test.task()
    let other = test.task("other")
    #expect(test.plan().map(\.id) == [other])
    running.forEach { test.settle($0) }
    #expect(test.plan().isEmpty)
    test.set { $0.paused = false }
    #expect(test.plan().map(\.id) == [waiting])
  }
}
