// SPDX-License-Identifier: Apache-2.0
// Folds the log into the database beside the writer, so that commits do not wait for it.
internal import Foundation
internal import GRDBSQLite

/// A thread with a connection of its own. While the writer goes on appending to the log, it copies
/// what is there into the database; the writer then copies the little that came meanwhile, and
/// starts the log afresh. SQLite's own way, the writer doing it all, makes commits wait ten times
/// as long.
final class Checkpointer: @unchecked Sendable {
  /// Pages in the log that are worth a checkpoint.
  static let pages = 2_000
  /// Pages at which the writer waits for the checkpoint: the log must not outgrow the disk.
  static let mostPages = 32_000
  /// Rounds of one checkpoint: each leaves less to the next, and the last to the writer.
  private static let rounds = 2

  enum Phase { case idle, wanted, running, done, stopped }

  private let condition = NSCondition()
  /// Under the condition's lock.
  private var phase = Phase.idle
  private var hasEnded = false
  private let file: String
  private let fail: @Sendable (String) -> Void

  /// - Parameter fail: called on this object's thread if the database cannot be written.
  init(file: String, fail: @escaping @Sendable (String) -> Void) {
    self.file = file
    self.fail = fail
  }

  /// Opens the connection and starts the thread.
  func start() throws(StoreOpenError) {
    var connection: OpaquePointer?
    let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX
    let code = sqlite3_open_v2(file, &connection, flags, nil)
    guard code == SQLITE_OK, let connection else {
      sqlite3_close_v2(connection)
      throw StoreOpenError(code: code, file: file)
    }
    // A checkpoint is synced as this says.
    sqlite3_exec(connection, "PRAGMA synchronous = FULL", nil, nil, nil)
    let opened = SendableConnection(pointer: connection)
    let thread = Thread { self.run(opened.pointer) }
    thread.name = "orrery.checkpoint"
    thread.stackSize = 1 << 20
    thread.start()
  }

  // MARK: For the writer

  /// Asks for a checkpoint if none is under way; true if one has just been done, and the rest is
  /// for the writer.
  func advance(waiting: Bool) -> Bool {
    condition.lock()
    defer { condition.unlock() }
    if phase == .idle {
      phase = .wanted
      condition.broadcast()
    }
    while waiting, phase == .wanted || phase == .running { condition.wait() }
    guard phase == .done else { return false }
    phase = .idle
    return true
  }

  /// Ends the thread and closes its connection.
  func stop() {
    condition.lock()
    phase = .stopped
    condition.broadcast()
    while !hasEnded { condition.wait() }
    condition.unlock()
  }

  /// Copies what is in the log as far as readers allow. Nil if all is well for now.
  static func checkpoint(_ connection: OpaquePointer) -> String? {
    let code = sqlite3_wal_checkpoint_v2(connection, "main", SQLITE_CHECKPOINT_PASSIVE, nil, nil)
    switch code & 0xFF {
    case SQLITE_OK, SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL: return nil
    default:
      let words = String(cString: sqlite3_errmsg(connection))
      return "SQLite could not fold its log into the database, code \(code): \(words)."
    }
  }

  /// SQLite syncs the database only with the checkpoint that catches up with the log, which is the
  /// writer's: what is synced here beforehand, the writer need not wait for.
  private static func sync(_ connection: OpaquePointer) -> String? {
    var file: UnsafeMutablePointer<sqlite3_file>?
    let found = sqlite3_file_control(connection, "main", SQLITE_FCNTL_FILE_POINTER, &file)
    guard found == SQLITE_OK, let file, let sync = file.pointee.pMethods?.pointee.xSync else {
      return "SQLite does not give access to its file."
    }
    let code = sync(file, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY)
    return code == SQLITE_OK ? nil : "The database could not be synced, code \(code)."
  }

  // MARK: On its own thread

  private func run(_ connection: OpaquePointer) {
    while waitUntilWanted() {
      if let sentence = copy(connection) {
        // What may not be on disk must not be asked for again: the log stays as it is.
        fail(sentence)
        break
      }
      condition.lock()
      if phase == .running { phase = .done }
      condition.broadcast()
      condition.unlock()
    }
    sqlite3_close_v2(connection)
    condition.lock()
    phase = .stopped
    hasEnded = true
    condition.broadcast()
    condition.unlock()
  }

  /// A sentence as soon as something fails.
  private func copy(_ connection: OpaquePointer) -> String? {
    for _ in 0..<Self.rounds {
      if let sentence = Self.checkpoint(connection) ?? Self.sync(connection) { return sentence }
    }
    return nil
  }

  /// False once it is stopped.
  private func waitUntilWanted() -> Bool {
    condition.lock()
    defer { condition.unlock() }
    while phase != .wanted, phase != .stopped { condition.wait() }
    if phase == .stopped { return false }
    phase = .running
    return true
  }
}

/// Hands a connection to the one thread that uses it.
private struct SendableConnection: @unchecked Sendable {
  let pointer: OpaquePointer
}
