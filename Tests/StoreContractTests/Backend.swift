// SPDX-License-Identifier: Apache-2.0
// The stores that the contract is tried on, and what every case needs.
import Domain
import Engine
import Foundation
import Simulation
import StoreSQLite
import Testing

/// One implementation of the port. A new one adds a case here, and passes what is there.
enum Backend: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case sqlite, memory

  static let all = allCases
  var testDescription: String { rawValue }

  /// Runs a case on a fresh store; afterwards the counts must equal a count of the tasks.
  func withStore(
    limits: Limits = Limits(), _ body: (StoreCase) async throws -> Void
  ) async throws {
    switch self {
    case .memory:
      try await Self.run(MemoryStore(limits: limits), body)
    case .sqlite:
      try await TemporaryFolder.with { folder in
        try await Self.run(SQLiteStore.open(folder: folder, limits: limits), body)
      }
    }
  }

  private static func run(
    _ store: any Store, _ body: (StoreCase) async throws -> Void
  ) async throws {
    let test = StoreCase(store: store)
    do {
      try await body(test)
      try await test.checkCounts()
    } catch {
      await store.close()
      throw error
    }
    await store.close()
  }
}

enum TemporaryFolder {
  static func with(_ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("orrery-store-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    do {
      try await body(folder.path)
    } catch {
      try FileManager.default.removeItem(at: folder)
      throw error
    }
    try FileManager.default.removeItem(at: folder)
  }
}

/// A store and the small words that cases are written in.
struct StoreCase: Sendable {
  let store: any Store
  let ids = TaskIDs(after: nil)

  static let start = Timestamp(milliseconds: 1_767_225_600_000)
  static let agent = AgentID(stored: "agent-1")
  static let trace = TraceContext(
    stored: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 congo=t61rcWkgMzE,a= b")

  func at(_ milliseconds: Int64) -> Timestamp { Self.start.adding(milliseconds: milliseconds) }

  func insert(
    _ type: String = "scrape", created: Int64 = 0, _ change: (inout NewTask) -> Void = { _ in }
  ) -> TaskInsert {
    batch(1, type, created: created, change)[0]
  }

  /// A batch with consecutive ids.
  func batch(
    _ count: Int, _ type: String = "scrape", created: Int64 = 0,
    _ change: (inout NewTask) -> Void = { _ in }
  ) -> [TaskInsert] {
    var task = NewTask(demand: Demand(type: type), payload: Array(#"{"n":1}"#.utf8))
    change(&task)
    let hash = task.idempotencyKey.map { _ in [UInt8](repeating: 7, count: 32) }
    return ids.next(count, now: at(created)).map {
      TaskInsert(id: TaskID(rawValue: $0), task: task, bodyHash: hash)
    }
  }

  @discardableResult
  func submitted(
    _ type: String = "scrape", created: Int64 = 0, _ change: (inout NewTask) -> Void = { _ in }
  ) async throws -> TaskID {
    let insert = insert(type, created: created, change)
    _ = try await store.submit([insert])
    return insert.id
  }

  /// Stages a batch of consecutive ids in parts; nothing is published.
  func staged(_ batch: [TaskInsert], part: Int = 600) async throws -> Bulk {
    let first = try #require(batch.first).id.rawValue
    let bulk = Bulk(ids: first...(first + Int64(batch.count) - 1))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for start in stride(from: 0, to: batch.count, by: part) {
        let inserts = Array(batch[start..<min(start + part, batch.count)])
        group.addTask {
          let demands = try await store.stage(inserts, in: bulk)
          #expect(demands.count == inserts.count)
        }
      }
      try await group.waitForAll()
    }
    return bulk
  }

  func claim(_ id: TaskID, at time: Int64 = 10, token: Int64 = 99) async throws -> ClaimedTask? {
    try await store.claim([request(id, at: time, token: token)])[0]
  }

  func request(_ id: TaskID, at time: Int64 = 10, token: Int64 = 99) -> ClaimRequest {
    ClaimRequest(
      id: id, agent: Self.agent, token: token, now: at(time), defaultTimeout: 60_000, lease: 30_000)
  }

  func settle(
    _ id: TaskID, _ attempt: Int = 1, _ status: ReportStatus = .success, failures: Int = 0,
    maxAttempts: Int = 4, at time: Int64 = 20, byAgent: Bool = true,
    _ change: (inout Report) -> Void = { _ in }
  ) async throws -> SettleResult {
    var report = Report(status: status)
    change(&report)
    var retry = RetryPolicy()
    retry.maxAttempts = maxAttempts
    let settlement = Settlement.decide(
      status: status, retryable: report.retryable, retryAfter: report.retryAfter,
      failures: failures, retry: retry, now: at(time), chance: 0.5)
    let request = SettleRequest(
      id: id, attempt: attempt, settlement: settlement, report: report,
      reporter: byAgent ? Self.agent : nil, signedID: byAgent ? "msg-\(attempt)" : nil,
      now: at(time))
    return try await store.settle([request])[0]
  }

  /// The task's record; fails the case if there is none.
  func record(_ id: TaskID) async throws -> TaskRecord { try #require(try await store.task(id)) }

  /// Every task that a query finds, page by page.
  func all(_ query: TaskQuery = TaskQuery()) async throws -> [TaskRecord] {
    var query = query
    var found: [TaskRecord] = []
    while true {
      let page = try await store.list(query)
      #expect(page.tasks.count <= query.limit)
      found += page.tasks
      guard let next = page.next else { return found }
      if let before = query.before { #expect(next < before, "the cursor does not move") }
      query.before = next
    }
  }

  func checkCounts() async throws {
    var query = TaskQuery()
    query.limit = 200
    var counted: [String: TypeCounts] = [:]
    for task in try await all(query) {
      counted[task.demand.type, default: TypeCounts()][task.state] += 1
    }
    let kept = try await store.counts().filter { $0.value != TypeCounts() }
    #expect(kept == counted)
  }

  /// Every unfinished task, as the start of a server reads it.
  func unfinished() async throws -> [UnfinishedTask] {
    let collected = Collected<UnfinishedTask>()
    try await store.unfinished { collected.append($0) }
    return collected.values
  }
}

/// What a callback was given. Guarded by its lock.
final class Collected<Value>: @unchecked Sendable {
  private let lock = NSLock()
  private var stored: [Value] = []

  func append(_ values: [Value]) { lock.withLock { stored += values } }
  var values: [Value] { lock.withLock { stored } }
}
