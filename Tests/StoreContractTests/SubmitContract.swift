// SPDX-License-Identifier: Apache-2.0
// The contract: a batch is stored whole or not at all, and one key makes one task.
import Domain
import Engine
import Testing

@Suite struct SubmitContract {
  private func keyed(_ test: StoreCase, _ key: String, hash: UInt8 = 7) -> TaskInsert {
    var insert = test.insert { $0.idempotencyKey = key }
    insert.bodyHash = [UInt8](repeating: hash, count: 32)
    return insert
  }

  @Test(arguments: Backend.all)
  func `a repeat gets the first task`(backend: Backend) async throws {
    try await backend.withStore { test in
      let first = keyed(test, "once")
      let second = keyed(test, "once")
      _ = try await test.store.submit([first])
      guard case .stored(let stored) = try await test.store.submit([second]) else {
        Issue.record("refused")
        return
      }
      #expect(stored.map(\.id) == [first.id] && stored.map(\.isNew) == [false])
      #expect(try await test.all().map(\.id) == [first.id])
      #expect(try await test.record(first.id).idempotencyKey == "once")
    }
  }

  @Test(arguments: Backend.all)
  func `repeats inside a batch share a task`(backend: Backend) async throws {
    try await backend.withStore { test in
      let batch = [keyed(test, "a"), keyed(test, "b"), keyed(test, "a")]
      guard case .stored(let stored) = try await test.store.submit(batch) else {
        Issue.record("refused")
        return
      }
      #expect(stored.map(\.id) == [batch[0].id, batch[1].id, batch[0].id])
      #expect(stored.map(\.isNew) == [true, true, false])
      #expect(try await test.all().count == 2)
    }
  }

  @Test(arguments: Backend.all)
  func `a conflict stores nothing of its batch`(backend: Backend) async throws {
    try await backend.withStore { test in
      _ = try await test.store.submit([keyed(test, "taken")])
      let outside = [test.insert("new-type"), keyed(test, "x"), keyed(test, "taken", hash: 8)]
      #expect(try await test.store.submit(outside) == .conflict(index: 2))
      let inside = [keyed(test, "y"), keyed(test, "y", hash: 9)]
      #expect(try await test.store.submit(inside) == .conflict(index: 1))
      #expect(try await test.all().count == 1)
      #expect(try await test.store.demands().count == 1)
      // The keys of refused batches are free.
      guard case .stored(let stored) = try await test.store.submit([keyed(test, "x", hash: 1)])
      else {
        Issue.record("refused")
        return
      }
      #expect(stored[0].isNew)
    }
  }

  @Test(arguments: Backend.all)
  func `sixty-four at once with one key make one task`(backend: Backend) async throws {
    try await backend.withStore { test in
      let inserts = (0..<64).map { _ in keyed(test, "same") }
      let ids = try await withThrowingTaskGroup(of: SubmitResult.self) { group in
        for insert in inserts { group.addTask { try await test.store.submit([insert]) } }
        return try await group.reduce(into: Set<TaskID>()) { ids, result in
          if case .stored(let stored) = result { ids.insert(stored[0].id) }
        }
      }
      #expect(ids.count == 1)
      #expect(try await test.all().map(\.id) == Array(ids))
    }
  }

  @Test(arguments: Backend.all)
  func `a task may be given out by the commit that stores it`(backend: Backend) async throws {
    try await backend.withStore { test in
      let first = keyed(test, "once")
      let (_, claimed) = try await test.store.submit([first], claiming: [test.request(first.id)])
      let claim = try #require(claimed.first ?? nil)
      #expect(claim.running.id == first.id && claim.running.attempt == 1)
      #expect(claim.payload == first.task.payload)
      let counts = try #require(try await test.store.counts()["scrape"])
      #expect(counts.queued == 0 && counts.running == 1)
      #expect(try await test.unfinished().map { $0.running?.id } == [first.id])
      // A repeat of its key gets the task, not another attempt.
      let second = keyed(test, "once")
      let (again, none) = try await test.store.submit(
        [second], claiming: [test.request(second.id)])
      guard case .stored(let stored) = again else {
        Issue.record("refused")
        return
      }
      #expect(stored[0].id == first.id && none.count == 1 && none[0] == nil)
      #expect(try await test.store.running(first.id)?.attempt == 1)
      #expect(try await test.settle(first.id) == .applied)
    }
  }

  @Test(arguments: Backend.all)
  func `a discarded bulk leaves nothing`(backend: Backend) async throws {
    try await backend.withStore { test in
      let before = try await test.submitted()
      let batch = test.batch(2_500, "bulk")
      let bulk = try await test.staged(batch)
      bulk.abandon()
      #expect(try await test.store.stage([test.insert("bulk")], in: bulk).isEmpty)
      try await test.store.discard(bulk)
      #expect(try await test.all().map(\.id) == [before])
      #expect(try await test.unfinished().map(\.id) == [before])
      #expect(try await test.store.counts()["bulk"]?.queued ?? 0 == 0)
      #expect(try await test.claim(batch[0].id) == nil)
    }
  }

  @Test(arguments: Backend.all)
  func `a long batch appears at one moment`(backend: Backend) async throws {
    try await backend.withStore { test in
      let batch = test.batch(3_500, "bulk")
      let ids = Set(batch.map(\.id))
      let publication = Task { try await test.store.publish(test.staged(batch)) }
      var seen = 0
      while seen == 0 {
        let counts = try await test.store.counts()["bulk"]?.queued ?? 0
        let single = try await test.submitted("single")
        #expect(try await test.store.task(single) != nil)
        var query = TaskQuery()
        query.limit = 200
        query.type = "bulk"
        // One page each: between two pages the batch may appear.
        let listed = try await test.store.list(query).tasks.count
        let waiting = try await test.unfinished().count { ids.contains($0.id) }
        for count in [Int(counts), waiting] {
          #expect(count == 0 || count == batch.count)
        }
        #expect(listed == 0 || listed == query.limit)
        seen = Int(counts)
      }
      try await publication.value
      #expect(try await test.claim(batch[3_499].id) != nil)
    }
  }

  @Test(arguments: Backend.all)
  func `a long batch with keys is all or none too`(backend: Backend) async throws {
    try await backend.withStore { test in
      var batch = test.batch(2_500)
      for index in batch.indices {
        batch[index].task.idempotencyKey = "k\(index)"
        batch[index].bodyHash = [1]
      }
      batch[2_499].task.idempotencyKey = "k0"
      batch[2_499].bodyHash = [2]
      #expect(try await test.store.submit(batch) == .conflict(index: 2_499))
      #expect(try await test.all().isEmpty)
      batch[2_499].bodyHash = [1]
      guard case .stored(let stored) = try await test.store.submit(batch) else {
        Issue.record("refused")
        return
      }
      #expect(stored[2_499].id == batch[0].id && stored.count { $0.isNew } == 2_499)
    }
  }
}
