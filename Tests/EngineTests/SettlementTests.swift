// SPDX-License-Identifier: Apache-2.0
// What becomes of a task by a report: the protocol's table, as a function and through the engine.
import Domain
import Foundation
import Testing

@testable import Engine

/// One row of the settlement table in `Tests/Vectors/vectors.json`.
struct SettlementVector: Decodable, Sendable, CustomTestStringConvertible {
  let status: String
  let retryable: Bool?
  let failuresBefore: Int
  let maxAttempts: Int
  let current: Bool
  /// The state in which the task had ended; nil if it had not.
  let ended: String?
  let state: String
  let http: Int
  let acknowledged: Bool
  let nextAction: String
  let partial: Bool
  let needsAttention: Bool

  var testDescription: String {
    "\(status), failures \(failuresBefore), \(current ? "current" : "stale"), \(ended ?? "live")"
  }

  private enum Field: String, CodingKey {
    case status, retryable, failuresBefore, maxAttempts, current, ended, state, http
    case acknowledged, nextAction, partial, needsAttention
  }

  init(from decoder: any Decoder) throws {
    let row = try decoder.container(keyedBy: Field.self)
    status = try row.decode(String.self, forKey: .status)
    retryable = try row.decodeIfPresent(Bool.self, forKey: .retryable)
    failuresBefore = try row.decode(Int.self, forKey: .failuresBefore)
    maxAttempts = try row.decode(Int.self, forKey: .maxAttempts)
    current = try row.decode(Bool.self, forKey: .current)
    do { ended = try row.decode(String.self, forKey: .ended) } catch {
      // `false` where the task lives.
      ended = try row.decode(Bool.self, forKey: .ended) ? "completed" : nil
    }
    state = try row.decode(String.self, forKey: .state)
    http = try row.decode(Int.self, forKey: .http)
    acknowledged = try row.decode(Bool.self, forKey: .acknowledged)
    nextAction = try row.decode(String.self, forKey: .nextAction)
    partial = try row.decode(Bool.self, forKey: .partial)
    needsAttention = try row.decode(Bool.self, forKey: .needsAttention)
  }

  private struct File: Decodable { let settlement: [SettlementVector] }

  static let all: [SettlementVector] = {
    let url = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Vectors/vectors.json")
    do {
      return try JSONDecoder().decode(File.self, from: Data(contentsOf: url)).settlement
    } catch {
      Issue.record("vectors.json cannot be read: \(error)")
      return []
    }
  }()

  var report: Report {
    get throws {
      var report = Report(status: try #require(ReportStatus(name: status)))
      report.retryable = retryable
      return report
    }
  }
}

@Suite(.timeLimit(.minutes(1))) struct SettlementTests {
  @Test func `there are vectors`() { #expect(SettlementVector.all.count >= 9) }

  @Test(arguments: SettlementVector.all.filter { $0.current && $0.ended == nil })
  func `is decided as the vector says`(vector: SettlementVector) throws {
    var retry = RetryPolicy()
    retry.maxAttempts = vector.maxAttempts
    let report = try vector.report
    let decided = Settlement.decide(
      status: report.status, retryable: report.retryable, retryAfter: nil,
      failures: vector.failuresBefore, retry: retry, now: SchedulerCase.origin, chance: 0.5)
    #expect(decided.state.name == vector.state)
    #expect(decided.nextAction.rawValue == vector.nextAction)
    #expect(decided.partial == vector.partial)
    #expect(decided.needsAttention == vector.needsAttention)
    #expect(decided.failures == vector.failuresBefore + (vector.status == "failure" ? 1 : 0))
    #expect((decided.notBefore != nil) == (vector.state == "queued"))
  }

  @Test(arguments: SettlementVector.all)
  func `the engine answers as the vector says`(vector: SettlementVector) async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      var task = try await test.dispatched {
        $0.retry = Self.policy(vector.maxAttempts)
      }.task.running
      for _ in 0..<vector.failuresBefore { task = try await Self.failed(task, test) }
      if !vector.current { task.attempt += 1 }
      if vector.ended == "cancelled" { try await test.engine.cancel(task.id) }
      let report = try vector.report
      let answer = try await test.report(task, signedID: "vector") { $0.report = report }
      #expect(answer.isAcknowledged == vector.acknowledged)
      #expect((answer.isAcknowledged ? 200 : 409) == vector.http)
      #expect(answer.nextAction.rawValue == vector.nextAction)
      #expect(answer.state.name == vector.state)
      let record = try await test.record(task.id)
      #expect(record.state.name == vector.state)
      #expect(record.partial == vector.partial)
      #expect(record.needsAttention == vector.needsAttention)
    }
  }

  private static func policy(_ maxAttempts: Int) -> RetryPolicy {
    var retry = RetryPolicy()
    retry.maxAttempts = maxAttempts
    // Long enough for the record to be read before the next attempt.
    retry.base = 1_000
    retry.backoff = .fixed
    retry.jitter = 0
    return retry
  }

  private static func failed(_ task: RunningTask, _ test: EngineCase) async throws -> RunningTask {
    let answer = try await test.report(task, .failure)
    #expect(answer.nextAction == .retry)
    await test.pass(1_000)
    return try await test.dispatch(of: task.id, attempt: task.attempt + 1).task.running
  }

  @Test(arguments: [nil, 0, 1_000, 60_000, 9_000_000_000] as [Int64?])
  func `the longer of backoff and retryAfter`(wait: Int64?) {
    var retry = RetryPolicy()
    retry.jitter = 0
    let decided = Settlement.decide(
      status: .failure, retryable: nil, retryAfter: wait, failures: 0, retry: retry,
      now: SchedulerCase.origin, chance: 0)
    let expected = max(5_000, min(wait ?? 0, Limits.delayRange.upperBound))
    #expect(decided.notBefore == SchedulerCase.origin.adding(milliseconds: expected))
  }
}

@Suite struct RetryPolicyTests {
  struct Row: Sendable, CustomTestStringConvertible {
    var backoff = RetryPolicy.Backoff.exponential
    var base: Int64 = 5_000
    var factor = 2.0
    var cap: Int64 = 300_000
    var failures: Int
    var delay: Int64
    var testDescription: String { "\(backoff) \(base) × \(factor) after \(failures): \(delay)" }
  }

  static let rows = [
    Row(failures: 1, delay: 5_000), Row(failures: 2, delay: 10_000),
    Row(failures: 3, delay: 20_000), Row(failures: 6, delay: 160_000),
    Row(failures: 7, delay: 300_000), Row(failures: 1_000_000, delay: 300_000),
    Row(failures: 0, delay: 5_000), Row(failures: -4, delay: 5_000),
    Row(backoff: .fixed, failures: 1, delay: 5_000),
    Row(backoff: .fixed, failures: 50, delay: 5_000),
    Row(backoff: .fixed, base: 400_000, failures: 1, delay: 300_000),
    Row(base: 400_000, failures: 1, delay: 300_000),
    Row(base: 0, failures: 9, delay: 0), Row(base: 100, factor: 1, failures: 9, delay: 100),
    Row(base: 1, factor: 100, cap: Limits.delayRange.upperBound, failures: 64, delay: 604_800_000),
    Row(base: 100, factor: 1.5, failures: 3, delay: 225),
  ]

  @Test(arguments: rows) func `the delay`(row: Row) {
    var retry = RetryPolicy()
    retry.backoff = row.backoff
    retry.base = row.base
    retry.factor = row.factor
    retry.cap = row.cap
    #expect(retry.delay(afterFailures: row.failures, chance: 0.5) == row.delay)
  }

  @Test(arguments: [(0.0, 8_000), (0.5, 10_000), (0.999_999, 11_999)] as [(Double, Int64)])
  func `jitter spreads it up and down`(chance: Double, delay: Int64) {
    #expect(RetryPolicy().delay(afterFailures: 2, chance: chance) == delay)
  }

  @Test func `jitter never passes the cap`() {
    var retry = RetryPolicy()
    retry.jitter = 1
    #expect(retry.delay(afterFailures: 20, chance: 0.999) == 300_000)
    #expect(retry.delay(afterFailures: 20, chance: 0) == 0)
  }
}
