// SPDX-License-Identifier: Apache-2.0
// The contract: attempts rise, are fenced, and leave what settled them.
import Domain
import Engine
import Testing

@Suite struct AttemptContract {
  @Test(arguments: Backend.all)
  func `a failure goes back into the queue with its time and its error`(
    backend: Backend
  ) async throws {
    try await backend.withStore { test in
      let id = try await test.submitted()
      _ = try await test.claim(id)
      let error = Array(#"{"code":"timeout"}"#.utf8)
      #expect(try await test.settle(id, 1, .failure) { $0.error = error } == .applied)
      let record = try await test.record(id)
      #expect(record.state == .queued && record.failures == 1 && record.attempt == 1)
      #expect(record.notBefore == test.at(5_020) && record.error == error)
      #expect(record.agent == nil && record.startedAt == nil)
      let again = try #require(try await test.claim(id, at: 6_000))
      #expect(again.running.attempt == 2 && again.running.failures == 1)
      #expect(try await test.settle(id, 2, failures: 1) == .applied)
      let end = try await test.record(id)
      #expect(end.state == .completed && end.error == nil && end.failures == 1)
    }
  }

  @Test(arguments: Backend.all)
  func `only the current attempt settles, renews and releases`(backend: Backend) async throws {
    try await backend.withStore { test in
      let id = try await test.submitted()
      _ = try await test.claim(id)
      _ = try await test.settle(id, 1, .failure)
      #expect(try await test.settle(id, 1) == .stale)
      _ = try await test.claim(id, at: 6_000)
      #expect(try await test.settle(id, 1) == .stale)
      #expect(try await test.settle(id, 3) == .stale)
      let renewal = RenewRequest(id: id, attempt: 1, leaseUntil: test.at(999_999), progress: 50)
      #expect(try await test.store.renew([renewal]) == [false])
      #expect(try await test.store.release([ReleaseRequest(id: id, attempt: 1)]) == [false])
      let record = try await test.record(id)
      #expect(record.state == .running && record.attempt == 2 && record.progress == nil)
      #expect(try await test.store.running(id)?.leaseUntil == test.at(36_000))
    }
  }

  @Test(arguments: Backend.all)
  func `a release counts no failure and keeps the attempt's number used`(
    backend: Backend
  ) async throws {
    try await backend.withStore { test in
      let id = try await test.submitted()
      _ = try await test.claim(id)
      let release = ReleaseRequest(id: id, attempt: 1, notBefore: test.at(700))
      #expect(try await test.store.release([release, release]) == [true, false])
      let record = try await test.record(id)
      #expect(record.state == .queued && record.failures == 0 && record.attempt == 1)
      #expect(record.notBefore == test.at(700))
      #expect(try await test.claim(id)?.running.attempt == 2)
    }
  }

  @Test(arguments: Backend.all)
  func `a renewal moves the lease forward and keeps what it does not name`(
    backend: Backend
  ) async throws {
    try await backend.withStore { test in
      let id = try await test.submitted()
      _ = try await test.claim(id)
      let first = RenewRequest(
        id: id, attempt: 1, leaseUntil: test.at(50_000), progress: 12.5, message: "half",
        logs: [TaskLog(time: test.at(1), level: .debug, message: "line")])
      let second = RenewRequest(id: id, attempt: 1, leaseUntil: test.at(40_000))
      #expect(try await test.store.renew([first, second]) == [true, true])
      #expect(try await test.store.running(id)?.leaseUntil == test.at(50_000))
      let record = try await test.record(id)
      #expect(record.progress == 12.5 && record.message == "half")
      #expect(try await test.store.logs(id, after: 0, limit: 5).lines.count == 1)
      _ = try await test.settle(id)
      let end = try await test.record(id)
      #expect(end.progress == 12.5 && end.message == "half")
    }
  }

  @Test(arguments: Backend.all)
  func `a new attempt starts without the old one's progress`(backend: Backend) async throws {
    try await backend.withStore { test in
      let id = try await test.submitted()
      _ = try await test.claim(id)
      let renewal = RenewRequest(
        id: id, attempt: 1, leaseUntil: test.at(1), progress: 90, message: "nearly")
      _ = try await test.store.renew([renewal])
      _ = try await test.settle(id, 1, .failure)
      let queued = try await test.record(id)
      #expect(queued.progress == nil && queued.message == nil)
    }
  }

  @Test(arguments: Backend.all)
  func `what settled each attempt is remembered`(backend: Backend) async throws {
    try await backend.withStore { test in
      let id = try await test.submitted()
      _ = try await test.claim(id)
      _ = try await test.settle(id, 1, .failure)
      _ = try await test.claim(id)
      _ = try await test.settle(id, 2, .failure, failures: 1, byAgent: false)
      _ = try await test.claim(id)
      _ = try await test.store.release([ReleaseRequest(id: id, attempt: 3)])
      _ = try await test.claim(id)
      _ = try await test.settle(id, 4, .success, failures: 2)
      func settled(_ attempt: Int, _ status: ReportStatus?, _ state: TaskState) -> SettledAttempt {
        SettledAttempt(
          attempt: attempt, agent: StoreCase.agent, status: status,
          signedID: status.map { _ in "msg-\(attempt)" }, state: state)
      }
      #expect(
        try await test.store.settledAttempts(id) == [
          settled(1, .failure, .queued), settled(2, nil, .queued), settled(3, nil, .queued),
          settled(4, .success, .completed),
        ])
      #expect(try await test.store.settledAttempts(TaskID(rawValue: 9)).isEmpty)
    }
  }

  @Test(arguments: Backend.all)
  func `a cancelled attempt is remembered, a cancelled wait is not one`(
    backend: Backend
  ) async throws {
    try await backend.withStore { test in
      let running = try await test.submitted()
      _ = try await test.claim(running)
      let waiting = try await test.submitted()
      _ = try await test.claim(waiting)
      _ = try await test.settle(waiting, 1, .failure)
      _ = try await test.store.end(
        [running, waiting].map { EndRequest(id: $0, state: .cancelled, now: test.at(50)) })
      let ofRunning = try await test.store.settledAttempts(running)
      #expect(ofRunning.map(\.state) == [.cancelled] && ofRunning.map(\.status) == [nil])
      #expect(try await test.store.settledAttempts(waiting).map(\.state) == [.queued])
    }
  }

  @Test(arguments: Backend.all)
  func `one of a hundred equal reports is applied`(backend: Backend) async throws {
    try await backend.withStore { test in
      let id = try await test.submitted()
      _ = try await test.claim(id)
      let applied = try await withThrowingTaskGroup(of: SettleResult.self) { group in
        for _ in 0..<100 { group.addTask { try await test.settle(id) } }
        return try await group.reduce(0) { $0 + ($1 == .applied ? 1 : 0) }
      }
      #expect(applied == 1)
      #expect(try await test.store.settledAttempts(id).count == 1)
    }
  }

  @Test(arguments: Backend.all)
  func `unfinished tasks come oldest first, with their attempts`(backend: Backend) async throws {
    try await backend.withStore { test in
      let ended = try await test.submitted()
      let running = try await test.submitted { task in
        task.retry = RetryPolicy()
        task.retry?.maxAttempts = 9
      }
      let waiting = try await test.submitted { $0.key = "k" }
      for id in [ended, running, waiting] { _ = try await test.claim(id) }
      _ = try await test.settle(ended)
      _ = try await test.settle(waiting, 1, .failure)
      let unfinished = try await test.unfinished()
      #expect(unfinished.map(\.id) == [running, waiting])
      #expect(unfinished[0].running?.retry.maxAttempts == 9)
      #expect(unfinished[1].running == nil && unfinished[1].failures == 1)
      #expect(unfinished[1].notBefore == test.at(5_020) && unfinished[1].key == "k")
    }
  }
}
