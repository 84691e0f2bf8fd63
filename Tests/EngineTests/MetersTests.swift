// SPDX-License-Identifier: Apache-2.0
// What is counted, and that no client makes the server remember without end.
import Domain
import Simulation
import Testing

@testable import Engine

@Suite(.timeLimit(.minutes(1))) struct MetersTests {
  @Test func `an observation falls into the first bucket that holds it`() {
    var histogram = Histogram()
    for seconds in [0.0005, 0.0006, 1, 5_000, -1, .nan] { histogram.observe(seconds) }
    #expect(histogram.count == 6)
    #expect(histogram.counts[0] == 3 && histogram.counts[1] == 1)
    #expect(histogram.counts.last == 1)
    #expect(histogram.sum == 0.0005 + 0.0006 + 1 + 5_000)
  }

  @Test func `labels beyond the bound are counted together`() {
    var family = Family<UInt64>(most: 2)
    for type in ["a", "b", "c", "d", "a"] { family.add(1, type) }
    #expect(family.values[LabelValues("a")] == 2)
    #expect(family.values[LabelValues("c")] == nil)
    #expect(family.values[LabelValues(Family<UInt64>.other)] == 2)
    #expect(family.values.count == 3)
  }

  @Test func `a task is counted on its way`() async throws {
    try await EngineCase.run { test in
      let agent = try await test.agent("a")
      let first = try await test.dispatched()
      test.world.advance(2_000)
      try await test.report(first.task.running)
      let second = try await test.dispatched { $0.retry = RetryPolicy() }
      try await test.report(second.task.running, .failure)
      let third = try await test.submit("other")
      try await test.engine.cancel(third)
      try await test.until("answers are counted") {
        test.engine.meters.snapshot.agentResponses.values[LabelValues("a")]?.count == 2
      }
      let values = test.engine.meters.snapshot
      #expect(values.submissions.values == [LabelValues("work"): 2, LabelValues("other"): 1])
      #expect(values.claims.values == [LabelValues("work"): 2])
      #expect(
        values.completions.values == [LabelValues("success"): 1, LabelValues("cancelled"): 1])
      #expect(values.retries == 1)
      #expect(values.durations.values[LabelValues("work", "success")]?.sum == 2)
      #expect(values.agentTasks.values[LabelValues("a", "failure")] == 1)
      #expect(values.storeCalls.values[LabelValues("submit")]?.count == 3)
      try await test.engine.removeAgent(agent)
      #expect(test.engine.meters.snapshot.agentTasks.values.isEmpty)
    }
  }

  @Test func `uptime is the share of checks that found an agent healthy`() {
    let meters = Meters()
    let agent = AgentID(stored: "a")
    for isHealthy in [true, true, false, true] { meters.checked([(agent, isHealthy)]) }
    #expect(meters.snapshot.healthChecks.values[LabelValues("a")]?.ratio == 0.75)
  }
}
