// SPDX-License-Identifier: Apache-2.0
// Submit, claim and settle at once, through the engine's own calls.
import Domain
import Engine
import Synchronization

/// Two submitters and two agents' loops on one engine, each call a batch.
struct EngineLoop {
  let engine: Engine
  let batch: Int
  let seconds: Double
  private static let submitters = 2
  private static let agents = 2
  /// Queued beyond this, submitters wait for the agents.
  private static let ahead = 20_000

  func run() async throws {
    let done = Counter()
    let submitted = Counter()
    let clock = ContinuousClock()
    let start = clock.now
    let end = start + .seconds(seconds)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await engine.run() }
      let submitting = Counter(Self.submitters)
      for _ in 0..<Self.submitters {
        group.addTask {
          while clock.now < end {
            if submitted.value - done.value > Self.ahead {
              await Task.yield()
              continue
            }
            let tasks = (0..<batch).map { _ in BenchEngine.submission() }
            _ = try await engine.submit(tasks)
            submitted.add(batch)
          }
          submitting.add(-1)
        }
      }
      for _ in 0..<Self.agents {
        group.addTask {
          while submitting.value > 0 || done.value < submitted.value {
            try await work(done)
          }
        }
      }
      for _ in 0..<(Self.submitters + Self.agents) { try await group.next() }
      let took = (clock.now - start) / .seconds(1)
      let counts = try await engine.stats().total
      BenchEngine.print(
        "engine_loop", Double(done.value) / took, "tasks/s",
        [
          "batch": batch, "tasks": done.value, "seconds": took,
          "completed": counts.completed,
          "conditions": "in process, SQLite WAL synchronous=FULL, batches of \(batch)",
        ])
      group.cancelAll()
    }
  }

  private func work(_ done: Counter) async throws {
    let dispatches = await engine.lease(BenchEngine.agent, max: batch, wait: 50)
    guard !dispatches.isEmpty else { return }
    let settled = try await engine.settle(
      dispatches.map {
        Engine.Settling(
          task: $0.task.running, report: Report(status: .success), reporter: BenchEngine.agent)
      })
    done.add(settled.count { $0 != nil })
  }
}

/// A count that several tasks share.
final class Counter: Sendable {
  private let count: Atomic<Int>
  init(_ start: Int = 0) { count = Atomic(start) }
  var value: Int { count.load(ordering: .relaxed) }
  func add(_ more: Int) { count.add(more, ordering: .relaxed) }
}
