// SPDX-License-Identifier: Apache-2.0
// The contract: lists, cursors, logs.
import Domain
import Engine
import Simulation
import Testing

@Suite struct ListContract {
  /// Tasks in every state, of two types and agents, with labels, over some seconds.
  private func fill(_ test: StoreCase) async throws -> [TaskRecord] {
    var ids: [TaskID] = []
    for index in 0..<60 {
      let id = try await test.submitted(
        index.isMultiple(of: 3) ? "a" : "b", created: Int64(index / 2) * 100
      ) { task in
        if index.isMultiple(of: 2) { task.labels = [Label("env", "prod")] }
        if index.isMultiple(of: 5) { task.labels.append(Label("team", "x")) }
      }
      ids.append(id)
      if index % 6 == 0 { continue }
      let agent = AgentID(stored: index.isMultiple(of: 4) ? "one" : "two")
      let request = ClaimRequest(
        id: id, agent: agent, token: 1, now: test.at(0), defaultTimeout: 9, lease: nil)
      if index % 6 < 5 { _ = try await test.store.claim([request]) }
      switch index % 6 {
      case 1: break
      case 2: _ = try await test.settle(id)
      case 3: _ = try await test.settle(id, 1, .failure, maxAttempts: 1)
      case 4: _ = try await test.settle(id, 1, .failure, maxAttempts: 2)
      default:
        _ = try await test.store.end([EndRequest(id: id, state: .cancelled, now: test.at(9))])
      }
      if index == 3 { _ = try await test.store.acknowledge(id) }
    }
    var records: [TaskRecord] = []
    for id in ids.reversed() {
      var record = try await test.record(id)
      record.payload = nil
      record.results = nil
      records.append(record)
    }
    return records
  }

  private func queries(_ test: StoreCase) -> [TaskQuery] {
    var queries: [TaskQuery] = []
    func add(_ change: (inout TaskQuery) -> Void) {
      for limit in [1, 7, 200] {
        var query = TaskQuery()
        change(&query)
        query.limit = limit
        queries.append(query)
      }
    }
    add { _ in }
    for state in TaskState.allCases { add { $0.states = [state] } }
    add { $0.states = [.queued, .failed] }
    add { $0.states = [.running, .completed, .cancelled] }
    add { $0.states = [.failed, .cancelled, .running] }
    add { $0.type = "a" }
    add { $0.type = "nothing" }
    add { $0.agent = AgentID(stored: "one") }
    add { $0.labels = [Label("env", "prod")] }
    add { $0.labels = [Label("team", "x"), Label("env", "prod")] }
    add { $0.since = test.at(1_000) }
    add { $0.until = test.at(1_000) }
    add { query in
      query.since = test.at(500)
      query.until = test.at(2_000)
    }
    add { query in
      query.since = test.at(500)
      query.until = test.at(400)
    }
    add { $0.needsAttention = true }
    add { $0.needsAttention = false }
    add { query in
      query.needsAttention = true
      query.states = [.completed]
    }
    add { query in
      query.states = [.failed]
      query.type = "a"
      query.agent = AgentID(stored: "two")
    }
    return queries
  }

  @Test(arguments: Backend.all)
  func `every filter finds what a plain loop finds`(backend: Backend) async throws {
    try await backend.withStore { test in
      let records = try await fill(test)
      for query in queries(test) {
        let found = try await test.all(query)
        let expected = records.filter(query.accepts)
        #expect(found.map { "\($0)" } == expected.map { "\($0)" }, "\(query)")
      }
    }
  }

  @Test(arguments: Backend.all)
  func `a page looks at so many rows and hands back a cursor`(backend: Backend) async throws {
    var limits = Limits()
    limits.pageScan = 10
    try await backend.withStore(limits: limits) { test in
      let first = try await test.submitted("rare")
      for _ in 0..<35 { try await test.submitted("common") }
      var query = TaskQuery()
      query.type = "rare"
      var pages = 0
      while true {
        let page = try await test.store.list(query)
        pages += 1
        if let next = page.next {
          query.before = next
        } else {
          #expect(page.tasks.map(\.id) == [first])
          break
        }
      }
      #expect(pages == 4)
    }
  }

  // MARK: Logs

  @Test(arguments: Backend.all)
  func `log lines are paged, bounded, and taken whatever the state`(
    backend: Backend
  ) async throws {
    var limits = Limits()
    limits.logLinesPerTask = 10
    try await backend.withStore(limits: limits) { test in
      func line(_ text: String) -> TaskLog {
        TaskLog(time: test.at(3), level: .warning, message: text, metadata: Array("{}".utf8))
      }
      let id = try await test.submitted()
      try await test.store.appendLogs(id, [line("0")])
      _ = try await test.claim(id)
      let renewal = RenewRequest(
        id: id, attempt: 1, leaseUntil: test.at(9), logs: (1..<5).map { line("\($0)") })
      _ = try await test.store.renew([renewal])
      _ = try await test.settle(id) { $0.logs = (5..<8).map { line("\($0)") } }
      try await test.store.appendLogs(id, (8..<20).map { line("\($0)") })
      try await test.store.appendLogs(id, [line("more")])
      try await test.store.appendLogs(TaskID(rawValue: 5), [line("nobody's")])
      var messages: [String] = []
      var after: Int64 = 0
      while true {
        let page = try await test.store.logs(id, after: after, limit: 4)
        #expect(page.lines.count <= 4)
        messages += page.lines.map(\.message)
        #expect(page.lines.allSatisfy { $0.level == .warning && $0.time == test.at(3) })
        #expect(page.lines.allSatisfy { $0.metadata == Array("{}".utf8) })
        guard let next = page.next else { break }
        after = next
      }
      #expect(messages == (0..<10).map(String.init))
      #expect(try await test.store.logs(TaskID(rawValue: 5), after: 0, limit: 4).lines.isEmpty)
    }
  }
}
