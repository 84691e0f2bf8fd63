// SPDX-License-Identifier: Apache-2.0
// The contract: tasks are stored whole, claimed once, and end once.
import Domain
import Engine
import Testing

@Suite struct TaskContract {
  @Test(arguments: Backend.all)
  func `a task comes back as it was submitted`(backend: Backend) async throws {
    try await backend.withStore { test in
      let insert = test.insert { task in
        task.demand = Demand(
          type: "scrape", agentType: .browser, requires: ["js", "pdf"],
          selector: [Label("zone", "eu"), Label("a\"b", "ü \\")])
        task.payload = Array(#"{"url":"https://example.org/ü","n":1e400}"#.utf8)
        task.labels = [Label("env", "prod"), Label("empty", "")]
        task.priority = 9
        task.key = "customer-1"
        task.runAt = test.at(5_000)
        task.deadline = test.at(90_000)
        task.timeout = 1_234
        task.retry = RetryPolicy()
        task.retry?.maxAttempts = 7
        task.retry?.backoff = .fixed
        task.retry?.factor = 1.5
        task.retry?.jitter = 0.05
        task.retryOf = TaskID(rawValue: 77)
        task.trace = StoreCase.trace
      }
      _ = try await test.store.submit([insert])
      let record = try await test.record(insert.id)
      #expect(record.demand == insert.task.demand)
      #expect(record.payload == insert.task.payload)
      #expect(record.labels == insert.task.labels)
      #expect(record.priority == 9 && record.key == "customer-1")
      #expect(record.runAt == test.at(5_000) && record.deadline == test.at(90_000))
      #expect(record.notBefore == test.at(5_000))
      #expect(record.timeout == 1_234 && record.retry == insert.task.retry)
      #expect(record.retryOf == TaskID(rawValue: 77))
      #expect(record.trace == StoreCase.trace && record.trace?.state == "congo=t61rcWkgMzE,a= b")
      #expect(record.state == .queued && record.attempt == 0 && record.failures == 0)
      #expect(record.agent == nil && record.results == nil && record.error == nil)
      #expect(try await test.store.lastTaskID() == insert.id)
    }
  }

  @Test(arguments: Backend.all)
  func `defaults come back as defaults`(backend: Backend) async throws {
    try await backend.withStore { test in
      let record = try await test.record(test.submitted())
      #expect(record.retry == RetryPolicy() && record.labels.isEmpty && record.key == nil)
      #expect(record.runAt == nil && record.deadline == nil && record.timeout == nil)
      #expect(record.trace == nil)
      #expect(try await test.store.task(TaskID(rawValue: 1)) == nil)
    }
  }

  @Test(arguments: Backend.all)
  func `an attempt has the trace of its task`(backend: Backend) async throws {
    try await backend.withStore { test in
      let traced = try await test.submitted { $0.trace = StoreCase.trace }
      let plain = try await test.submitted()
      #expect(try await test.claim(traced)?.running.trace == StoreCase.trace)
      #expect(try await test.claim(plain)?.running.trace == nil)
      #expect(try await test.store.running(traced)?.trace == StoreCase.trace)
      let unfinished = try await test.unfinished()
      #expect(unfinished.map(\.running?.trace) == [StoreCase.trace, nil])
      let ahead = [test.insert { $0.trace = StoreCase.trace }, test.insert()]
      for insert in ahead {
        let (_, claimed) = try await test.store.submit(
          [insert], claiming: [test.request(insert.id)])
        #expect(claimed.map { $0?.running.trace } == [insert.task.trace])
      }
      #expect(try await test.record(ahead[1].id).trace == nil)
    }
  }

  @Test(arguments: Backend.all)
  func `demands are numbered once`(backend: Backend) async throws {
    try await backend.withStore { test in
      let inserts = test.batch(2, "a") + test.batch(1, "b") + test.batch(1, "a")
      guard case .stored(let stored) = try await test.store.submit(inserts) else {
        Issue.record("refused")
        return
      }
      #expect(stored.map(\.demand.rawValue) == [1, 1, 2, 1])
      #expect(stored.map(\.id) == inserts.map(\.id) && stored.allSatisfy(\.isNew))
      let demands = try await test.store.demands()
      #expect(demands.map(\.id.rawValue) == [1, 2])
      #expect(demands.map(\.demand.type) == ["a", "b"])
    }
  }

  @Test(arguments: Backend.all)
  func `a claim starts an attempt`(backend: Backend) async throws {
    try await backend.withStore { test in
      let id = try await test.submitted { task in
        task.key = "k"
        task.deadline = test.at(40_000)
      }
      let claimed = try #require(try await test.claim(id, at: 10, token: -5))
      #expect(claimed.timeout == 60_000 && claimed.payload == Array(#"{"n":1}"#.utf8))
      let running = claimed.running
      #expect(running.attempt == 1 && running.token == -5 && running.key == "k")
      #expect(running.startedAt == test.at(10) && running.leaseUntil == test.at(30_010))
      #expect(running.timeoutAt == test.at(60_010) && running.endsAt == test.at(40_000))
      #expect(running.agent == StoreCase.agent && running.retry == RetryPolicy())
      let stored = try #require(try await test.store.running(id))
      #expect("\(stored)" == "\(running)")
      let record = try await test.record(id)
      #expect(record.state == .running && record.agent == StoreCase.agent)
      #expect(record.startedAt == test.at(10) && record.notBefore == nil)
    }
  }

  @Test(arguments: Backend.all)
  func `the task's timeout goes before the agent's, and bounds the lease`(
    backend: Backend
  ) async throws {
    try await backend.withStore { test in
      let id = try await test.submitted { $0.timeout = 2_000 }
      let request = ClaimRequest(
        id: id, agent: StoreCase.agent, token: 1, now: test.at(0), defaultTimeout: 60_000,
        lease: nil)
      let claimed = try #require(try await test.store.claim([request])[0])
      #expect(claimed.timeout == 2_000)
      #expect(claimed.running.leaseUntil == test.at(2_000))
    }
  }

  @Test(arguments: Backend.all)
  func `only queued tasks are claimed`(backend: Backend) async throws {
    try await backend.withStore { test in
      let id = try await test.submitted()
      let requests = [id, id, TaskID(rawValue: 5)].map {
        ClaimRequest(
          id: $0, agent: StoreCase.agent, token: 1, now: test.at(0), defaultTimeout: 1, lease: nil)
      }
      let claims = try await test.store.claim(requests)
      #expect(claims.map { $0?.running.attempt } == [1, nil, nil])
      #expect(try await test.settle(id) == .applied)
      #expect(try await test.claim(id) == nil)
    }
  }

  @Test(arguments: Backend.all)
  func `a report ends a task with everything it says`(backend: Backend) async throws {
    try await backend.withStore { test in
      let id = try await test.submitted()
      _ = try await test.claim(id)
      let result = try await test.settle(id, 1, .partial) { report in
        report.results = Array(#"{"data":1}"#.utf8)
        report.error = Array(#"{"code":"half"}"#.utf8)
        report.logs = [TaskLog(time: test.at(1), level: .info, message: "done")]
      }
      #expect(result == .applied)
      let record = try await test.record(id)
      #expect(record.state == .completed && record.partial && !record.needsAttention)
      #expect(record.results == Array(#"{"data":1}"#.utf8))
      #expect(record.error == Array(#"{"code":"half"}"#.utf8))
      #expect(record.completedAt == test.at(20) && record.startedAt == test.at(10))
      #expect(record.agent == StoreCase.agent && record.attempt == 1)
      #expect(try await test.store.running(id) == nil)
      #expect(try await test.store.logs(id, after: 0, limit: 10).lines.map(\.message) == ["done"])
    }
  }

  @Test(arguments: Backend.all)
  func `an end is final`(backend: Backend) async throws {
    try await backend.withStore { test in
      let id = try await test.submitted()
      _ = try await test.claim(id)
      #expect(try await test.settle(id, 1, .failure, maxAttempts: 1) == .applied)
      let before = try await test.record(id)
      #expect(before.state == .failed && before.needsAttention && before.failures == 1)
      #expect(try await test.settle(id) == .stale)
      #expect(try await test.store.release([ReleaseRequest(id: id, attempt: 1)]) == [false])
      let renewal = RenewRequest(id: id, attempt: 1, leaseUntil: test.at(99), message: "late")
      #expect(try await test.store.renew([renewal]) == [false])
      #expect(try await test.store.hasten(id, at: test.at(99)) == false)
      let end = EndRequest(id: id, state: .cancelled, now: test.at(99))
      guard case .alreadyEnded(.failed) = try await test.store.end([end])[0] else {
        Issue.record("ended twice")
        return
      }
      #expect("\(try await test.record(id))" == "\(before)")
    }
  }

  @Test(arguments: Backend.all)
  func `labels come with claims and with ends`(backend: Backend) async throws {
    try await backend.withStore { test in
      let labels = [Label("team", "x"), Label("b", "ü")]
      let queued = try await test.submitted { $0.labels = labels }
      let running = try await test.submitted { $0.labels = labels }
      #expect(try #require(try await test.claim(running)).running.labels == labels)
      let results = try await test.store.end([
        EndRequest(id: queued, state: .cancelled, now: test.at(30)),
        EndRequest(id: running, state: .cancelled, now: test.at(30)),
      ])
      guard case .wasQueued(_, let first) = results[0], case .wasRunning(let second) = results[1]
      else {
        Issue.record("\(results)")
        return
      }
      #expect(first == labels && second.labels == labels)
    }
  }

  @Test(arguments: Backend.all)
  func `queued and running tasks are ended without a report`(backend: Backend) async throws {
    try await backend.withStore { test in
      let queued = try await test.submitted()
      let running = try await test.submitted()
      let claimed = try await test.claim(running)
      let error = Array(#"{"code":"deadline"}"#.utf8)
      let results = try await test.store.end([
        EndRequest(id: queued, state: .cancelled, now: test.at(30)),
        EndRequest(id: running, state: .failed, error: error, now: test.at(30)),
        EndRequest(id: TaskID(rawValue: 3), state: .cancelled, now: test.at(30)),
      ])
      guard case .wasQueued = results[0], case .wasRunning(let ended) = results[1],
        case .notFound = results[2]
      else {
        Issue.record("\(results)")
        return
      }
      #expect("\(ended)" == "\(try #require(claimed).running)")
      let cancelled = try await test.record(queued)
      #expect(cancelled.state == .cancelled && !cancelled.needsAttention)
      #expect(cancelled.agent == nil && cancelled.completedAt == test.at(30))
      let failed = try await test.record(running)
      #expect(failed.state == .failed && failed.needsAttention && failed.error == error)
      #expect(failed.agent == StoreCase.agent)
      #expect(try await test.store.acknowledge(running))
      #expect(try await !test.record(running).needsAttention)
      #expect(try await test.store.acknowledge(TaskID(rawValue: 3)) == false)
    }
  }

  @Test(arguments: Backend.all)
  func `a task that waits is hastened`(backend: Backend) async throws {
    try await backend.withStore { test in
      let id = try await test.submitted { $0.runAt = test.at(100_000) }
      #expect(try await test.store.hasten(id, at: test.at(5)))
      let record = try await test.record(id)
      #expect(record.notBefore == nil && record.runAt == test.at(100_000))
      #expect(try await test.store.hasten(id, at: test.at(5)))
      _ = try await test.claim(id)
      #expect(try await test.store.hasten(id, at: test.at(5)) == false)
    }
  }

  @Test(arguments: Backend.all)
  func `empty batches are nothing`(backend: Backend) async throws {
    try await backend.withStore { test async throws in
      #expect(try await test.store.submit([]) == .stored([]))
      #expect(try await test.store.claim([]).isEmpty)
      #expect(try await test.store.settle([]).isEmpty)
      #expect(try await test.store.lastTaskID() == nil)
      #expect(try await test.unfinished().isEmpty)
    }
  }
}
