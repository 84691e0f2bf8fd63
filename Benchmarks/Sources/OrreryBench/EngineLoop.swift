// SPDX-License-Identifier: Apache-2.0
// Submit, claim and settle at once, through the engine's own calls.
import Domain
import Engine
import Synchronization

/// Several loops on one engine, each submitting a batch, leasing as many, and settling them: so
/// submits, claims and settles of different loops share commits, as they do in the server.
struct EngineLoop {
  let engine: Engine
  let batch: Int
  let seconds: Double
  private static let loops = 4

  func run() async throws {
    let done = Counter()
    let clock = ContinuousClock()
    let start = clock.now
    let end = start + .seconds(seconds)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await engine.run() }
      for _ in 0..<Self.loops {
        group.addTask { while clock.now < end { done.add(try await round()) } }
      }
      for _ in 0..<Self.loops { try await group.next() }
      let took = (clock.now - start) / .seconds(1)
      let counts = try await engine.stats().total
      BenchEngine.print(
        "engine_loop", Double(done.value) / took, "tasks/s",
        [
          "batch": batch, "tasks": done.value, "seconds": took, "completed": counts.completed,
          "conditions":
            "in process, SQLite WAL synchronous=FULL, \(Self.loops) loops of batches of \(batch)",
        ])
      group.cancelAll()
    }
  }

  /// How many tasks went the whole way.
  private func round() async throws -> Int {
    let submitted = try await engine.submit((0..<batch).map { _ in BenchEngine.submission() })
    var settled = 0
    while settled < submitted.count {
      let dispatches = await engine.lease(
        BenchEngine.agent, max: submitted.count - settled, wait: 10_000)
      guard !dispatches.isEmpty else { throw CancellationError() }
      let results = try await engine.settle(dispatches.map(Self.success))
      settled += results.count { $0 != nil }
    }
    return settled
  }

  private static func success(_ dispatch: Dispatch) -> Engine.Settling {
    Engine.Settling(
      task: dispatch.task.running, report: Report(status: .success), reporter: BenchEngine.agent)
  }
}

/// A count that several tasks share.
final class Counter: Sendable {
  private let count: Atomic<Int>
  init(_ start: Int = 0) { count = Atomic(start) }
  var value: Int { count.load(ordering: .relaxed) }
  func add(_ more: Int) { count.add(more, ordering: .relaxed) }
}
