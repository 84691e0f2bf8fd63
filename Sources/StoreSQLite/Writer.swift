// SPDX-License-Identifier: Apache-2.0
// The one connection that writes: its transactions, and what it keeps in memory.
internal import Domain
internal import Engine
internal import GRDBSQLite

/// Writes through prepared statements of the pool's writing connection. Created where that
/// connection is open, then confined to the writer's thread.
final class Writer: CommitTarget, @unchecked Sendable {
  let connection: OpaquePointer
  let limits: Limits
  let demands: DemandTable
  let counters: Counters
  let statements: Statements
  var staged = StagedBulks()

  /// Pages in the log, as of the last commit.
  private var logPages = 0
  /// Pages in the log at which something is done about it.
  private var checkpointAt = Checkpointer.pages
  /// The optional columns of `insertTask` are bound to NULL, from the last task.
  var taskRowIsPlain = false
  private let checkpointer: Checkpointer
  /// As the connection was opened.
  private var syncsCommits = true
  private let beginStatement: Statement
  private let commitStatement: Statement
  /// Statements of rare writes, by their text.
  private var cache: [String: Statement] = [:]

  init(
    _ connection: OpaquePointer, _ checkpointer: Checkpointer, limits: Limits,
    demands: CommittedDemands
  ) throws(StoreError) {
    self.connection = connection
    self.checkpointer = checkpointer
    self.limits = limits
    self.demands = try DemandTable(connection, publishing: demands)
    counters = try Counters(connection)
    statements = try Statements(connection)
    beginStatement = try Statement(connection, "BEGIN IMMEDIATE")
    commitStatement = try Statement(connection, "COMMIT")
    watchLog()
  }

  /// Before the connection closes.
  func finalize() {
    checkpointer.stop()
    sqlite3_wal_hook(connection, nil, nil)
    demands.finalize()
    counters.finalize()
    statements.finalize()
    beginStatement.finalize()
    commitStatement.finalize()
    for statement in cache.values { statement.finalize() }
    cache = [:]
  }

  /// A statement for a rare write, kept for its next use.
  func statement(_ sql: String) throws(StoreError) -> Statement {
    if let known = cache[sql] { return known }
    let statement = try Statement(connection, sql)
    cache[sql] = statement
    return statement
  }

  // MARK: Transactions

  func begin(isDurable: Bool) throws(StoreError) {
    if isDurable != syncsCommits { try syncCommits(isDurable) }
    let code = sqlite3_step(beginStatement.handle)
    sqlite3_reset(beginStatement.handle)
    switch code & 0xFF {
    case SQLITE_DONE: return
    case SQLITE_BUSY: throw .overloaded
    default: throw StoreError(sqlite: code, connection)
    }
  }

  /// Commits that are not synced are synced with the next one that is: the log is one file, and
  /// SQLite believes none of it that lies behind a gap.
  private func syncCommits(_ isDurable: Bool) throws(StoreError) {
    let level = isDurable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL"
    let code = sqlite3_exec(connection, level, nil, nil, nil)
    guard code == SQLITE_OK else { throw StoreError(sqlite: code, connection) }
    syncsCommits = isDurable
  }

  func commit() throws(StoreError) {
    try counters.write(demands)
    try commitStatement.run()
    demands.publish()
    staged.committed()
  }

  func rollback() {
    // SQLite itself rolls back after some errors.
    if sqlite3_get_autocommit(connection) == 0 {
      sqlite3_exec(connection, "ROLLBACK", nil, nil, nil)
    }
    counters.forget()
    demands.forget()
    staged.rolledBack()
  }

  // MARK: The log

  /// Learns the log's length with every commit; SQLite makes no checkpoints of its own then.
  private func watchLog() {
    sqlite3_wal_hook(
      connection,
      { context, _, _, pages in
        guard let context else { return SQLITE_OK }
        Unmanaged<Writer>.fromOpaque(context).takeUnretainedValue().logPages = Int(pages)
        return SQLITE_OK
      }, Unmanaged.passUnretained(self).toOpaque())
  }

  /// Has the log folded into the database when it has grown.
  func rest() throws(StoreError) {
    if logPages < checkpointAt {
      if logPages < Checkpointer.pages { checkpointAt = Checkpointer.pages }
      return
    }
    guard checkpointer.advance(waiting: logPages >= Checkpointer.mostPages) else { return }
    if let sentence = Checkpointer.checkpoint(connection) { throw .unavailable(sentence) }
    // The next transaction starts the log afresh, unless somebody still reads from it.
    checkpointAt = logPages + Checkpointer.pages
  }
}
