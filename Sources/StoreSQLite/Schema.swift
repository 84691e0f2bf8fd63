// SPDX-License-Identifier: Apache-2.0
// The schema's versions: looked at before a file is touched, brought up to date in transactions.
internal import GRDB
internal import GRDBSQLite

/// One step of the schema; forward only, in a transaction of its own.
struct Migration {
  var version: Int
  var sql: String

  /// Every migration, oldest first. The texts are the files of `Migrations/`.
  static let all = [
    Migration(
      version: 1, sql: String(decoding: PackageResources._01_initial_sql, as: UTF8.self)),
    Migration(version: 2, sql: String(decoding: PackageResources._02_trace_sql, as: UTF8.self)),
  ]
}

enum Schema {
  static let newest = Migration.all.last?.version ?? 0
  /// "Orry" in the header of the file.
  static let applicationID = 0x4F72_7279

  /// Refuses a file that is not ours, damaged, or from a newer release, before anything is written.
  static func check(_ file: String) throws(StoreOpenError) {
    guard let size = DataFolder.size(of: file), size > 0 else { return }
    var connection: OpaquePointer?
    let code = sqlite3_open_v2(file, &connection, SQLITE_OPEN_READWRITE, nil)
    defer { sqlite3_close_v2(connection) }
    guard code == SQLITE_OK, let connection else {
      throw StoreOpenError(code: code, file: file)
    }
    sqlite3_busy_timeout(connection, busyMilliseconds)
    let application = try pragma("application_id", connection, file)
    let version = try pragma("user_version", connection, file)
    let tables = try pragma("schema_version", connection, file)
    guard application == applicationID || application == 0 && tables == 0 else {
      throw StoreOpenError(.foreign, "\(file) is not a database of Orrery.")
    }
    guard version <= newest else {
      throw StoreOpenError(
        .newer,
        "\(file) was written by a newer Orrery (schema \(version), this one knows \(newest)): "
          + "use that release, or restore a backup.")
    }
  }

  static let busyMilliseconds: Int32 = 5_000

  private static func pragma(_ name: String, _ connection: OpaquePointer, _ file: String)
    throws(StoreOpenError) -> Int
  {
    var statement: OpaquePointer?
    defer { sqlite3_finalize(statement) }
    var code = sqlite3_prepare_v2(connection, "PRAGMA \(name)", -1, &statement, nil)
    if code == SQLITE_OK { code = sqlite3_step(statement) }
    guard code == SQLITE_ROW else { throw StoreOpenError(code: code, file: file) }
    return Int(sqlite3_column_int64(statement, 0))
  }

  static func migrate(_ db: Database) throws {
    let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
    for migration in Migration.all where migration.version > version {
      try db.inTransaction(.immediate) {
        try db.execute(sql: migration.sql)
        try db.execute(sql: "PRAGMA application_id = \(applicationID)")
        try db.execute(sql: "PRAGMA user_version = \(migration.version)")
        return .commit
      }
    }
  }
}

extension StoreOpenError {
  /// A sentence for a result code of SQLite.
  init(code: Int32, file: String) {
    switch code & 0xFF {
    case SQLITE_BUSY, SQLITE_LOCKED:
      self.init(.locked, "\(file) is locked by another program: stop it and try again.")
    case SQLITE_NOTADB:
      self.init(.foreign, "\(file) is not a database of Orrery.")
    case SQLITE_CORRUPT:
      self.init(.damaged, "\(file) is damaged: restore a backup.")
    case SQLITE_CANTOPEN, SQLITE_READONLY, SQLITE_PERM:
      self.init(.unwritableFolder, "\(file) cannot be written: check the folder's permissions.")
    case SQLITE_FULL:
      self.init(.failed, "\(file) cannot be opened: the disk is full.")
    default:
      self.init(.failed, "\(file) cannot be opened: \(String(cString: sqlite3_errstr(code))).")
    }
  }
}
