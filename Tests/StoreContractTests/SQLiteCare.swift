// SPDX-License-Identifier: Apache-2.0
// Only the database: full disks, failures, backups while running, plans of the hot statements.
import Domain
import Engine
import Foundation
import GRDB
import Testing

@testable import StoreSQLite

@Suite(.timeLimit(.minutes(2))) struct SQLiteCare {
  private func withStore(_ body: (SQLiteStore, StoreCase) async throws -> Void) async throws {
    try await TemporaryFolder.with { folder in
      let store = try SQLiteStore.open(folder: folder)
      do {
        try await body(store, StoreCase(store: store))
        try await StoreCase(store: store).checkCounts()
      } catch {
        await store.close()
        throw error
      }
      await store.close()
    }
  }

  /// Lets the database grow by so many pages and no more.
  private func limit(_ store: SQLiteStore, toPages pages: Int) async throws {
    _ = try await store.commits.write { writer throws(StoreError) in
      let count = try writer.number("PRAGMA page_count")
      return try writer.number("PRAGMA max_page_count = \(count + pages)")
    }
  }

  @Test func `a full disk undoes the transaction, in memory too`() async throws {
    try await withStore { store, test in
      let first = try await test.submitted()
      try await limit(store, toPages: 2)
      let known = test.insert()
      let small = test.insert("small")
      let large = test.insert("large") { $0.payload = Array(repeating: 0x31, count: 100_000) }
      let batch = [known, small, large]
      await #expect(throws: StoreError.diskFull) { _ = try await store.submit(batch) }
      #expect(try await store.demands().count == 1)
      #expect(try await store.counts()["small"] == nil)
      try await limit(store, toPages: 10_000)
      guard case .stored(let stored) = try await store.submit([large, known, small]) else {
        Issue.record("refused")
        return
      }
      #expect(stored.map(\.demand.rawValue) == [2, 1, 3])
      #expect(try await test.all().map(\.id) == [large.id, small.id, known.id, first])
      let types = try await store.pool.read {
        try String.fetchAll($0, sql: "SELECT type FROM demands ORDER BY id")
      }
      #expect(types == ["scrape", "large", "small"])
    }
  }

  @Test func `a staged bulk on a full disk leaves nothing`() async throws {
    try await withStore { store, test in
      let other = try await test.submitted()
      try await limit(store, toPages: 60)
      let batch = test.batch(5_000) { $0.payload = Array(repeating: 0x31, count: 200) }
      await #expect(throws: StoreError.diskFull) { _ = try await test.staged(batch) }
      let first = try #require(batch.first).id.rawValue
      let bulk = Bulk(ids: first...(first + 4_999))
      bulk.abandon()
      try await store.discard(bulk)
      let counts = try await store.pool.read { db in
        try ["tasks", "queue", "bulk"].map {
          try Int.fetchOne(db, sql: "SELECT count(*) FROM \($0)")
        }
      }
      #expect(counts == [1, 1, 0])
      try await limit(store, toPages: 10_000)
      try await store.publish(test.staged(batch))
      #expect(try await store.counts()["scrape"]?.queued == 5_001)
      #expect(try await test.claim(other) != nil)
    }
  }

  @Test func `after a failure nothing is written and reads go on`() async throws {
    try await withStore { store, test in
      let id = try await test.submitted()
      async let sentence = store.untilFailed()
      store.commits.fail("the disk is on fire")
      await #expect(throws: StoreError.unavailable("the disk is on fire")) {
        _ = try await test.submitted()
      }
      #expect(await sentence == "the disk is on fire")
      #expect(try await store.task(id)?.state == .queued)
    }
  }

  @Test func `a write that the schema refuses is a failure`() async throws {
    try await withStore { store, test in
      let insert = test.insert()
      _ = try await store.submit([insert])
      await #expect(throws: StoreError.self) { _ = try await store.submit([insert]) }
      #expect(await store.untilFailed()?.contains("1555") == true)
    }
  }

  @Test func `a backup taken while writing is whole`() async throws {
    try await withStore { store, test in
      _ = try await store.submit(test.batch(3_000))
      try await store.setMeta("fact", [1])
      let path = store.folder.path + "/copies"
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      async let writing: Void = {
        for _ in 0..<50 { _ = try await store.submit(test.batch(20)) }
      }()
      for _ in 0..<3 {
        #expect(try await store.backup(to: path + "/orrery.db") > 100_000)
      }
      try await writing
      await #expect(throws: StoreError.self) {
        _ = try await store.backup(to: path + "/missing/orrery.db")
      }
      await #expect(throws: StoreError.self) {
        _ = try await store.backup(to: path + "/../orrery.db")
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: path) == ["orrery.db"])
      let copy = try SQLiteStore.open(folder: path)
      let count = try await StoreCase(store: copy).unfinished().count
      #expect(count >= 3_000 && count.isMultiple(of: 20))
      #expect(try await copy.meta("fact") == [1])
      try await StoreCase(store: copy).checkCounts()
      await copy.close()
    }
  }

  @Test func `the size is that of the files`() async throws {
    try await withStore { store, test in
      let before = try await store.size()
      let batch = test.batch(1_000) { $0.payload = Array(repeating: 49, count: 900) }
      _ = try await store.submit(batch)
      #expect(try await store.size() - before > 900_000)
    }
  }

  @Test func `the log is folded into the database while writing`() async throws {
    try await withStore { store, test in
      let log = store.folder.database + "-wal"
      for _ in 0..<60 {
        let batch = test.batch(100) { $0.payload = Array(repeating: 49, count: 9_000) }
        _ = try await store.submit(batch)
      }
      let most = Int64(Checkpointer.mostPages + 2_000) * 4_200
      #expect(DataFolder.size(of: log) ?? 0 < most)
      while DataFolder.size(of: store.folder.database) ?? 0 < 8 << 20 {
        _ = try await test.submitted()
      }
    }
  }

  // MARK: Plans

  private func plan(_ sql: String, _ store: SQLiteStore) async throws -> [String] {
    try await store.pool.read { db in
      let statement = try db.makeStatement(sql: "EXPLAIN QUERY PLAN \(sql)")
      statement.setUncheckedArguments(StatementArguments())
      return try Row.fetchAll(statement).map { $0["detail"] as String }
    }
  }

  @Test func `hot statements find their rows by primary key`() async throws {
    try await withStore { store, test in
      _ = try await store.submit(test.batch(500))
      _ = try await store.commits.write { writer throws(StoreError) in
        try writer.statement("ANALYZE").run()
      }
      let byID = [SQL.setRunning, SQL.selectQueued, SQL.deleteQueued, SQL.requeue, SQL.renew]
      for sql in byID {
        let plan = try await plan(sql, store)
        #expect(plan == ["SEARCH queue USING INTEGER PRIMARY KEY (rowid=?)"], "\(sql)")
      }
      for sql in [SQL.selectForClaim, SQL.selectRunning] {
        let plan = try await plan(sql, store)
        #expect(plan.count == 2)
        #expect(plan.allSatisfy { $0.contains("USING INTEGER PRIMARY KEY (rowid=?)") }, "\(plan)")
      }
      let key = try await plan(SQL.selectKey, store)
      #expect(key == ["SEARCH idempotency USING PRIMARY KEY (key=?)"])
    }
  }

  @Test func `lists walk an index in order`() async throws {
    try await withStore { store, _ in
      let expected = [
        (SQL.list("queue", where: ""), "USING INTEGER PRIMARY KEY"),
        (SQL.list("ends", where: ""), "USING INTEGER PRIMARY KEY"),
        (SQL.list("queue", where: Snapshot.isRunning), "USING INDEX queue_running"),
        (SQL.list("ends", where: Snapshot.isWatched), "USING INDEX ends_attention"),
        (SQL.list("ends", where: Snapshot.ended(.failed)), "USING INDEX ends_not_completed"),
      ]
      for (sql, index) in expected {
        let plan = try await plan(sql, store)
        #expect(plan.count == 1 && plan[0].contains(index), "\(plan)")
      }
    }
  }
}
