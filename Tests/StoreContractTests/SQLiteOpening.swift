// SPDX-License-Identifier: Apache-2.0
// Opening a database: what is in force, and what is refused with a sentence.
import Domain
import Engine
import Foundation
import GRDB
import Testing

@testable import StoreSQLite

@Suite struct SQLiteOpening {
  private func refusal(_ folder: String) -> StoreOpenError? {
    do throws(StoreOpenError) {
      _ = try SQLiteStore.open(folder: folder)
      return nil
    } catch {
      return error
    }
  }

  /// Makes a database, closes it, and lets `change` at the file.
  private func altered(_ change: (String) throws -> Void) async throws -> StoreOpenError? {
    var error: StoreOpenError?
    try await TemporaryFolder.with { folder in
      let store = try SQLiteStore.open(folder: folder)
      _ = try await StoreCase(store: store).submitted()
      await store.close()
      try change(folder + "/orrery.db")
      error = refusal(folder)
    }
    return error
  }

  private func execute(_ sql: String, _ file: String) throws {
    let queue = try DatabaseQueue(path: file)
    try queue.writeWithoutTransaction { try $0.execute(sql: sql) }
    try queue.close()
  }

  @Test func `every commit is synced`() async throws {
    try await TemporaryFolder.with { folder in
      let store = try SQLiteStore.open(folder: folder)
      let values = try await store.commits.write { writer throws(StoreError) in
        try ["synchronous", "cache_size"].map { name throws(StoreError) in
          try writer.number("PRAGMA \(name)")
        }
      }
      #expect(values == [2, -16_384])
      let mode = try await store.pool.read { try String.fetchOne($0, sql: "PRAGMA journal_mode") }
      #expect(mode == "wal")
      await store.close()
      #expect((DataFolder.size(of: folder + "/orrery.db-wal") ?? 0) == 0, "an unclean end")
    }
  }

  @Test func `one server at a time`() async throws {
    try await TemporaryFolder.with { folder in
      let store = try SQLiteStore.open(folder: folder + "/made/on/the/way")
      let error = refusal(folder + "/made/on/the/way")
      #expect(error?.reason == .locked && error?.message.contains("Another Orrery") == true)
      await store.close()
      let again = try SQLiteStore.open(folder: folder + "/made/on/the/way")
      await again.close()
    }
  }

  @Test func `a newer schema is refused`() async throws {
    let error = try await altered { try execute("PRAGMA user_version = 99", $0) }
    #expect(error?.reason == .newer && error?.message.contains("schema 99") == true)
  }

  @Test func `a database of the first schema is brought up to date`() async throws {
    try await TemporaryFolder.with { folder in
      let first = try #require(Migration.all.first)
      try execute(
        first.sql
          + """
          ;INSERT INTO demands (id, type, agent_type, requires, selector)
            VALUES (1, 'old', '', '[]', '[]');
          INSERT INTO tasks (id, demand, priority, payload) VALUES (7, 1, 5, '{"n":1}');
          INSERT INTO queue (id, state, demand, priority, attempt, failures, log_count)
            VALUES (7, 0, 1, 5, 0, 0, 0);
          PRAGMA application_id = \(Schema.applicationID);
          PRAGMA user_version = 1;
          """, folder + "/orrery.db")
      let store = try SQLiteStore.open(folder: folder)
      let test = StoreCase(store: store)
      let record = try await test.record(TaskID(rawValue: 7))
      #expect(record.payload == Array(#"{"n":1}"#.utf8) && record.trace == nil)
      let traced = try await test.submitted { $0.trace = StoreCase.trace }
      #expect(try await test.record(traced).trace == StoreCase.trace)
      await store.close()
    }
  }

  @Test func `a foreign database is refused and left alone`() async throws {
    let error = try await altered { file in
      try FileManager.default.removeItem(atPath: file)
      try execute("CREATE TABLE notes (text TEXT); PRAGMA user_version = 1", file)
    }
    #expect(error?.reason == .foreign)
    let text = try await altered { file in
      try Data("just some text, long enough to be read as a header of sorts".utf8)
        .write(to: URL(fileURLWithPath: file))
    }
    #expect(text?.reason == .foreign)
  }

  @Test func `a damaged database is refused`() async throws {
    let error = try await altered { file in
      let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
      try handle.seek(toOffset: 4_096 * 2)
      try handle.write(contentsOf: Data(repeating: 0xA5, count: 4_096 * 3))
      try handle.close()
    }
    #expect(error?.reason == .damaged, "\(error as Any)")
  }

  @Test func `a folder that cannot be one is refused`() async throws {
    try await TemporaryFolder.with { folder in
      try Data("x".utf8).write(to: URL(fileURLWithPath: folder + "/file"))
      let error = refusal(folder + "/file/data")
      #expect(error?.reason == .unwritableFolder)
      #expect(error?.message.contains("a file stands where a folder is needed") == true)
    }
  }

  @Test func `everything is there after reopening`() async throws {
    try await TemporaryFolder.with { folder in
      var store = try SQLiteStore.open(folder: folder)
      let test = StoreCase(store: store)
      let running = try await test.submitted("a")
      let queued = try await test.submitted("b") { $0.idempotencyKey = "k" }
      _ = try await test.claim(running, token: 123)
      let before = "\(try await store.task(queued) as Any)\(try await test.unfinished())"
      await store.close()
      store = try SQLiteStore.open(folder: folder)
      let again = StoreCase(store: store)
      #expect(before == "\(try await store.task(queued) as Any)\(try await again.unfinished())")
      #expect(try await store.demands().map(\.demand.type) == ["a", "b"])
      #expect(try await store.lastTaskID() == queued)
      let next = try await store.submit([test.insert("c")])
      guard case .stored(let stored) = next else {
        Issue.record("refused")
        return
      }
      #expect(stored[0].demand.rawValue == 3)
      #expect(try await again.settle(running) == .applied)
      await store.close()
    }
  }

  @Test func `a bulk that was never finished is gone after reopening`() async throws {
    try await TemporaryFolder.with { folder in
      var store = try SQLiteStore.open(folder: folder)
      let test = StoreCase(store: store)
      let before = try await test.submitted()
      let batch = test.batch(2_500)
      _ = try await test.staged(batch)
      let after = try await test.submitted()
      let inside = try #require(batch.first).id
      for round in 0..<2 {
        let test = StoreCase(store: store)
        #expect(try await test.all().map(\.id) == [after, before])
        #expect(try await test.unfinished().map(\.id) == [before, after])
        #expect(try await store.task(inside) == nil)
        #expect(try await test.claim(inside) == nil)
        #expect(try await store.counts()["scrape"]?.queued == 2)
        let rows = try await store.pool.read {
          try Int.fetchOne($0, sql: "SELECT count(*) FROM tasks JOIN queue USING (id)")
        }
        #expect(rows == (round == 0 ? 2_502 : 2))
        if round == 0 {
          await store.close()
          store = try SQLiteStore.open(folder: folder)
        }
      }
      await store.close()
    }
  }
}

extension Writer {
  /// The number that a statement returns.
  func number(_ sql: String) throws(StoreError) -> Int {
    let statement = try statement(sql)
    defer { statement.reset() }
    return try statement.step() ? statement.int(0) : 0
  }
}
