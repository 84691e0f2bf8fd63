// SPDX-License-Identifier: Apache-2.0
// Care of the database: retention, backups, and the check after an unclean end.
package import Domain
package import Engine
internal import GRDB
internal import GRDBSQLite
internal import Logging
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Darwin)
internal import Darwin
#endif

extension SQLiteStore {
  // MARK: Retention

  /// Tasks per transaction, so that others wait no longer than that.
  private static let purgeChunk = 250

  package func purge(endedBefore time: Timestamp, limit: Int) async throws(StoreError) -> Int {
    try await commits.write { writer throws(StoreError) in
      try writer.purgeKeys(endedBefore: time)
    }
    let start = purgeCursor.withLock { $0 }
    let found = try await read { snapshot throws(StoreError) in
      try snapshot.purgeable(endedBefore: time, from: start, limit: limit)
    }
    var purged = 0
    var rest = found.ids[...]
    while !rest.isEmpty {
      let chunk = rest.prefix(Self.purgeChunk)
      rest = rest.dropFirst(chunk.count)
      purged += try await commits.write(rows: chunk.count * 4) { writer throws(StoreError) in
        try writer.purge(chunk, endedBefore: time)
      }
    }
    purgeCursor.withLock { $0 = found.next }
    return purged
  }

  // MARK: Backups

  package func backup(to path: String) async throws(StoreError) -> Int64 {
    guard !DataFolder.isSame(path, folder.database) else {
      throw .unavailable("A backup cannot take the place of the database itself.")
    }
    return try await read { snapshot throws(StoreError) in
      do throws(StoreError) {
        return try Backup(of: snapshot, to: path).run()
      } catch {
        unlink(path + Backup.suffix)
        throw error
      }
    }
  }

  // MARK: Checking

  /// Checks a large database while it is already in use; if it is damaged, nothing is written
  /// any more.
  func checkInBackground() {
    pool.asyncRead { [commits, logger, folder] database in
      do {
        try Opening.quickCheck(database.get())
      } catch let error as DatabaseError where error.resultCode == .SQLITE_CORRUPT {
        commits.fail("\(folder.database) is damaged: restore a backup.")
      } catch {
        logger.warning("The database was not checked.", metadata: ["error": "\(error)"])
      }
    }
  }
}

extension Snapshot {
  /// Finished tasks that ended before `time`, from `start` on in order of ids, and where to go on
  /// next time: 0 once the end is reached. A task that ended before `time` was created before it.
  func purgeable(endedBefore time: Timestamp, from start: Int64, limit: Int)
    throws(StoreError) -> (ids: [Int64], next: Int64)
  {
    let select = try statement(
      """
      SELECT id FROM ends WHERE id >= ?1 AND id <= ?2 AND completed_at < ?3 ORDER BY id LIMIT ?4
      """)
    let last = TaskID.first(at: time.milliseconds).rawValue
    var ids: [Int64] = []
    for (from, to) in [(start, last), (0, min(start, last))] where ids.count < limit {
      try select.bind(1, from)
      try select.bind(2, to)
      try select.bind(3, time.milliseconds)
      try select.bind(4, Int64(limit - ids.count))
      defer { select.reset() }
      while try select.step() { ids.append(select.int64(0)) }
    }
    return (ids, ids.count < limit ? 0 : (ids.last ?? 0))
  }
}

/// A copy of the database as one snapshot sees it, made page by page into a new file beside the
/// target, which takes the target's place when it is whole.
private struct Backup {
  static let suffix = ".partial"
  /// Pages between two syncs: the copy must not fill the disk's queue in one burst.
  private static let pagesPerStep: Int32 = 2_048

  let source: OpaquePointer?
  let path: String

  init(of snapshot: Snapshot, to path: String) {
    source = snapshot.db.sqliteConnection
    self.path = path
  }

  func run() throws(StoreError) -> Int64 {
    let partial = path + Self.suffix
    unlink(partial)
    do throws(StoreOpenError) {
      try DataFolder.makePrivate(partial)
    } catch {
      throw .unavailable(error.message)
    }
    var target: OpaquePointer?
    let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
    let code = sqlite3_open_v2(partial, &target, flags, nil)
    defer { sqlite3_close_v2(target) }
    guard code == SQLITE_OK else { throw StoreError(sqlite: code, target) }
    // Nobody reads the copy before it is synced below.
    sqlite3_exec(target, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", nil, nil, nil)
    try copy(to: target, partial)
    guard sqlite3_close(target) == SQLITE_OK else { throw failure(partial) }
    target = nil
    guard DataFolder.sync(partial), rename(partial, path) == 0, DataFolder.sync(folder) else {
      throw failure(path)
    }
    return DataFolder.size(of: path) ?? 0
  }

  private func copy(to target: OpaquePointer?, _ partial: String) throws(StoreError) {
    guard let backup = sqlite3_backup_init(target, "main", source, "main") else {
      throw StoreError(sqlite: sqlite3_errcode(target), target)
    }
    var code: Int32
    repeat {
      code = sqlite3_backup_step(backup, Self.pagesPerStep)
      if code == SQLITE_OK, !DataFolder.sync(partial) { break }
    } while code == SQLITE_OK
    let finished = sqlite3_backup_finish(backup)
    guard code == SQLITE_DONE, finished == SQLITE_OK else {
      throw code == SQLITE_OK ? failure(partial) : StoreError(sqlite: code, target)
    }
  }

  private var folder: String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private func failure(_ file: String) -> StoreError {
    let code = errno
    if code == ENOSPC { return .diskFull }
    return .unavailable("\(file) cannot be written: \(DataFolder.reason(code)).")
  }
}
