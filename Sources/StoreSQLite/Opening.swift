// SPDX-License-Identifier: Apache-2.0
// From a folder to an open database: checks, settings, migrations, leftovers.
internal import Domain
internal import Engine
internal import GRDB
internal import GRDBSQLite

/// The steps of opening, in order; each failure is one sentence.
enum Opening {
  struct Opened {
    var pool: DatabasePool
    var writer: Writer
    var checkpointer: Checkpointer
    /// The last server did not close the database, and checking it takes long.
    var checkInBackground: Bool
  }

  /// Below this size the whole file is checked before it is used.
  private static let quickCheckBytes: Int64 = 32 << 20

  /// - Parameter fail: called if the database turns out not to be writable later.
  static func open(
    _ folder: DataFolder, _ limits: Limits, _ demands: CommittedDemands,
    fail: @escaping @Sendable (String) -> Void
  ) throws(StoreOpenError) -> Opened {
    let file = folder.database
    let size = DataFolder.size(of: file) ?? 0
    let wasUnclean = (DataFolder.size(of: file + "-wal") ?? 0) > 0
    try Schema.check(file)
    if size == 0 { try DataFolder.makePrivate(file) }
    do {
      let pool = try DatabasePool(path: file, configuration: configuration)
      let checkpointer = Checkpointer(file: file, fail: fail)
      let writer = try pool.writeWithoutTransaction { db in
        try settle(db)
        if size <= quickCheckBytes { try quickCheck(db) }
        try Schema.migrate(db)
        try removeUnfinishedBulk(db)
        guard let connection = db.sqliteConnection else {
          throw StoreOpenError(.failed, "\(file) cannot be opened.")
        }
        return try Writer(connection, checkpointer, limits: limits, demands: demands)
      }
      return Opened(
        pool: pool, writer: writer, checkpointer: checkpointer,
        checkInBackground: wasUnclean && size > quickCheckBytes)
    } catch let error as StoreOpenError {
      throw error
    } catch let error as DatabaseError {
      throw StoreOpenError(code: error.resultCode.rawValue, file: file)
    } catch {
      throw StoreOpenError(.failed, "\(file) cannot be opened: \(error).")
    }
  }

  private static var configuration: Configuration {
    var configuration = Configuration()
    configuration.label = "orrery"
    configuration.busyMode = .timeout(Double(Schema.busyMilliseconds) / 1_000)
    configuration.foreignKeysEnabled = false
    configuration.maximumReaderCount = 4
    return configuration
  }

  /// The writer's settings. GRDB sets `synchronous` to NORMAL when it turns the log on, which
  /// would lose acknowledged commits with the power; so this comes after.
  private static func settle(_ db: Database) throws {
    try db.execute(
      sql: """
        PRAGMA synchronous = FULL;
        PRAGMA cache_size = -16384;
        PRAGMA journal_size_limit = 67108864;
        PRAGMA temp_store = MEMORY;
        """)
    guard try Int.fetchOne(db, sql: "PRAGMA synchronous") == 2 else {
      throw StoreOpenError(.failed, "SQLite does not accept synchronous = FULL.")
    }
  }

  static func quickCheck(_ db: Database) throws {
    let verdict = try String.fetchOne(db, sql: "PRAGMA quick_check(1)")
    guard verdict == "ok" else { throw DatabaseError(resultCode: .SQLITE_CORRUPT) }
  }

  /// Bulks whose last commit was never made.
  private static func removeUnfinishedBulk(_ db: Database) throws {
    let ranges = try Row.fetchAll(db, sql: "SELECT first, last FROM bulk")
    guard !ranges.isEmpty else { return }
    try db.inTransaction(.immediate) {
      for range in ranges {
        for table in ["queue", "tasks"] {
          try db.execute(
            sql: "DELETE FROM \(table) WHERE id BETWEEN ? AND ?",
            arguments: [range[0] as Int64, range[1] as Int64])
        }
      }
      try db.execute(sql: "DELETE FROM bulk")
      return .commit
    }
  }
}
