// SPDX-License-Identifier: Apache-2.0
// What a durable claim of one task costs when very many are queued.
import Domain
import Engine

struct ClaimLatency {
  let engine: Engine
  let queued: Int
  private static let samples = 500

  func run() async throws {
    for _ in 0..<(queued / 10_000) {
      _ = try await engine.submit((0..<10_000).map { _ in BenchEngine.submission() })
    }
    await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await engine.run() }
      let clock = ContinuousClock()
      var times: [Double] = []
      for _ in 0..<Self.samples {
        let start = clock.now
        let dispatches = await engine.lease(BenchEngine.agent, max: 1, wait: 1_000)
        times.append((clock.now - start) / .milliseconds(1))
        precondition(dispatches.count == 1, "no task was leased")
      }
      times.sort()
      BenchEngine.print(
        "claim_one", times[times.count / 2], "ms",
        ["p99": times[times.count * 99 / 100], "queued": queued])
      group.cancelAll()
    }
  }
}
