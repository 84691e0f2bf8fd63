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
  /// Ranges of ids that a staged bulk is being written into, or failed in.
  private(set) var staged: [ClosedRange<Int64>] = []
  /// Ranges that are done with once this transaction is committed.
  private var unstaged: [ClosedRange<Int64>] = []

  private let beginStatement: Statement
  private let commitStatement: Statement
  /// Statements of rare writes, by their text.
  private var cache: [String: Statement] = [:]

  init(_ connection: OpaquePointer, limits: Limits, demands: CommittedDemands) throws(StoreError) {
    self.connection = connection
    self.limits = limits
    self.demands = try DemandTable(connection, publishing: demands)
    counters = try Counters(connection)
    statements = try Statements(connection)
    beginStatement = try Statement(connection, "BEGIN IMMEDIATE")
    commitStatement = try Statement(connection, "COMMIT")
  }

  /// Before the connection closes.
  func finalize() {
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

  func begin() throws(StoreError) {
    let code = sqlite3_step(beginStatement.handle)
    sqlite3_reset(beginStatement.handle)
    switch code & 0xFF {
    case SQLITE_DONE: return
    case SQLITE_BUSY: throw .overloaded
    default: throw StoreError(sqlite: code, connection)
    }
  }

  func commit() throws(StoreError) {
    try counters.write(demands)
    try commitStatement.run()
    demands.publish()
    if !unstaged.isEmpty {
      staged.removeAll(where: unstaged.contains)
      unstaged = []
    }
  }

  func rollback() {
    // SQLite itself rolls back after some errors.
    if sqlite3_get_autocommit(connection) == 0 {
      sqlite3_exec(connection, "ROLLBACK", nil, nil, nil)
    }
    counters.forget()
    demands.forget()
    unstaged = []
  }

  func addStaged(_ range: ClosedRange<Int64>) { staged.append(range) }

  func unstageAfterCommit(_ range: ClosedRange<Int64>) { unstaged.append(range) }

  /// Whether a task is part of a bulk that nobody may see yet.
  func isStaged(_ id: TaskID) -> Bool {
    !staged.isEmpty && staged.contains { $0.contains(id.rawValue) }
  }
}
