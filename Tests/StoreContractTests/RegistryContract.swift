// SPDX-License-Identifier: Apache-2.0
// The contract: agents, types, tokens, secrets, facts, and retention.
import Domain
import Engine
import Testing

@Suite struct RegistryContract {
  private func agent(_ id: String) -> StoredAgent {
    let record = AgentRecord(
      id: AgentID(stored: id), name: "Agent \(id)", kind: .http, capabilities: ["a", "b"],
      createdAt: StoreCase.start)
    return StoredAgent(record: record, secret: [1, 2, 3])
  }

  @Test(arguments: Backend.all)
  func `agents come back as they were saved`(backend: Backend) async throws {
    try await backend.withStore { test in
      var full = agent("z")
      full.record.endpoint = "https://example.org/run"
      full.record.cancelEndpoint = "https://example.org/cancel"
      full.record.healthUrl = "https://example.org/health"
      full.record.answers = .sync
      full.record.concurrency = 12
      full.record.leaseSeconds = 45
      full.record.labels = [Label("zone", "eu")]
      full.record.state = .draining
      full.record.origin = .joined
      full.record.timeout = 777
      full.record.options = Array(#"{"region":"x"}"#.utf8)
      full.record.lastSeen = test.at(5)
      full.previousSecret = []
      full.previousUntil = test.at(6)
      var bare = agent("A")
      bare.secret = nil
      try await test.store.save(full)
      try await test.store.save(bare)
      #expect(try await test.store.agents() == [bare, full])
      bare.record.name = "renamed"
      try await test.store.save(bare)
      try await test.store.touch([
        full.record.id: test.at(9), bare.record.id: test.at(2),
        AgentID(stored: "unknown"): test.at(1),
      ])
      try await test.store.touch([full.record.id: test.at(4)])
      full.record.lastSeen = test.at(9)
      bare.record.lastSeen = test.at(2)
      #expect(try await test.store.agents() == [bare, full])
      #expect(try await test.store.removeAgent(bare.record.id))
      #expect(try await test.store.removeAgent(bare.record.id) == false)
      #expect(try await test.store.agents() == [full])
    }
  }

  @Test(arguments: Backend.all)
  func `types, tokens, secrets and facts come back`(backend: Backend) async throws {
    try await backend.withStore { test in
      var settings = TypeSettings(type: "scrape")
      settings.paused = true
      settings.limits = TypeLimits(concurrency: 3, ratePerSecond: 0.5)
      settings.perKey = TypeLimits(concurrency: nil, ratePerSecond: 2)
      let other = TypeSettings(type: "Zeta")
      try await test.store.save(settings)
      try await test.store.save(other)
      #expect(try await test.store.types() == [other, settings])

      let tokens = [("b", 1), ("a", 2), ("c", 1)].map {
        StoredToken(
          id: $0.0, name: "n", role: "viewer", hash: [9], createdAt: test.at(Int64($0.1)))
      }
      for token in tokens { try await test.store.save(token) }
      #expect(try await test.store.tokens().map(\.id) == ["b", "c", "a"])
      #expect(try await test.store.removeToken("b"))
      #expect(try await test.store.removeToken("b") == false)

      var secret = StoredSecret(
        name: "KEY", sealed: [1], createdAt: test.at(1), updatedAt: test.at(1))
      try await test.store.save(secret)
      secret.sealed = [2]
      secret.updatedAt = test.at(2)
      try await test.store.save(secret)
      #expect(try await test.store.secrets() == [secret])
      #expect(try await test.store.removeSecret("KEY"))
      #expect(try await test.store.removeSecret("KEY") == false)

      #expect(try await test.store.meta("fact") == nil)
      try await test.store.setMeta("fact", [1, 0, 255])
      try await test.store.setMeta("none", [])
      #expect(try await test.store.meta("fact") == [1, 0, 255])
      #expect(try await test.store.meta("none") == [])
    }
  }

  @Test(arguments: Backend.all)
  func `resealing replaces sealed values and nothing else`(backend: Backend) async throws {
    try await backend.withStore { test in
      var kept = agent("kept")
      let secret = StoredSecret(
        name: "S", sealed: [1], createdAt: test.at(1), updatedAt: test.at(1))
      try await test.store.save(kept)
      try await test.store.save(secret)
      var sealed = kept
      sealed.secret = [9, 9]
      sealed.previousSecret = [8]
      sealed.previousUntil = test.at(77)
      kept.record.name = "changed meanwhile"
      try await test.store.save(kept)
      var resealed = secret
      resealed.sealed = [5]
      try await test.store.reseal(
        agents: [sealed, agent("gone")], secrets: [resealed], meta: ["key": [4]])
      sealed.record = kept.record
      #expect(try await test.store.agents() == [sealed])
      #expect(try await test.store.secrets() == [resealed])
      #expect(try await test.store.meta("key") == [4])
    }
  }

  // MARK: Retention

  private static let day: Int64 = 86_400_000

  @Test(arguments: Backend.all)
  func `old ends are purged with all that hangs on them`(backend: Backend) async throws {
    try await backend.withStore { test in
      var old: [TaskID] = []
      for index in 0..<700 { old.append(try await test.submitted { $0.priority = index % 10 }) }
      for chunk in stride(from: 0, to: 700, by: 100) {
        let requests = old[chunk..<chunk + 100].map {
          EndRequest(id: $0, state: .cancelled, now: test.at(100))
        }
        _ = try await test.store.end(requests)
      }
      try await test.store.appendLogs(
        old[0], [TaskLog(time: test.at(1), level: .info, message: "x")])
      let unfinished = try await test.submitted()
      let recent = try await test.submitted()
      _ = try await test.store.end([
        EndRequest(id: recent, state: .cancelled, now: test.at(5_000))
      ])
      #expect(try await test.store.purge(endedBefore: test.at(1_000), limit: 300) == 300)
      #expect(try await test.store.purge(endedBefore: test.at(1_000), limit: 1_000) == 400)
      #expect(try await test.store.purge(endedBefore: test.at(1_000), limit: 1_000) == 0)
      #expect(try await test.all().map(\.id) == [recent, unfinished])
      #expect(try await test.store.task(old[0]) == nil)
      #expect(try await test.store.logs(old[0], after: 0, limit: 9).lines.isEmpty)
      #expect(try await test.store.settledAttempts(old[0]).isEmpty)
      #expect(try await test.store.counts()["scrape"]?.cancelled == 1)
    }
  }

  @Test(arguments: Backend.all)
  func `a key outlives its task by a day after the end`(backend: Backend) async throws {
    try await backend.withStore { test in
      let first = test.insert { $0.idempotencyKey = "key" }
      _ = try await test.store.submit([first])
      _ = try await test.store.end([EndRequest(id: first.id, state: .cancelled, now: test.at(0))])
      #expect(try await test.store.purge(endedBefore: test.at(3_600_000), limit: 10) == 1)
      var again = first
      again.id = TaskID(rawValue: test.ids.next(1, now: test.at(0)).lowerBound)
      guard case .stored(let stored) = try await test.store.submit([again]) else {
        Issue.record("refused")
        return
      }
      #expect(stored[0].id == first.id && !stored[0].isNew)
      #expect(try await test.store.purge(endedBefore: test.at(Self.day), limit: 10) == 0)
      guard case .stored(let anew) = try await test.store.submit([again]) else {
        Issue.record("refused")
        return
      }
      #expect(anew[0].id == again.id && anew[0].isNew)
    }
  }

  @Test(arguments: Backend.all)
  func `a key goes with a task that ended a day before`(backend: Backend) async throws {
    try await backend.withStore { test in
      let first = test.insert { $0.idempotencyKey = "key" }
      _ = try await test.store.submit([first])
      _ = try await test.store.end([EndRequest(id: first.id, state: .cancelled, now: test.at(0))])
      #expect(try await test.store.purge(endedBefore: test.at(2 * Self.day), limit: 10) == 1)
      let again = test.insert { $0.idempotencyKey = "key" }
      guard case .stored(let stored) = try await test.store.submit([again]) else {
        Issue.record("refused")
        return
      }
      #expect(stored[0].isNew)
    }
  }

  @Test(arguments: Backend.all)
  func `the newest id is known after its task is gone`(backend: Backend) async throws {
    try await backend.withStore { test in
      let id = try await test.submitted()
      _ = try await test.store.end([EndRequest(id: id, state: .cancelled, now: test.at(10))])
      #expect(try await test.store.purge(endedBefore: test.at(20), limit: 10) == 1)
      #expect(try await test.store.lastTaskID() == id)
      #expect(try await test.all().isEmpty)
    }
  }
}
