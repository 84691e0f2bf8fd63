// SPDX-License-Identifier: Apache-2.0
// Reading: one consistent state of the database, on one of the pool's reading connections.
internal import Domain
internal import Engine
internal import GRDB

/// What a read sees: everything committed before it began, nothing later. Used only inside
/// `SQLiteStore.read`.
struct Snapshot {
  let db: Database
  let demandNumbers: CommittedDemands

  /// A statement that is kept for its next use on this connection. Reset it when done.
  func statement(_ sql: String) throws(StoreError) -> Statement {
    do {
      let statement = Statement(borrowing: try db.cachedStatement(sql: sql).sqliteStatement)
      statement.reset()
      return statement
    } catch {
      throw .unavailable("A read failed: \(error).")
    }
  }

  /// Reads the rows of a statement without parameters.
  func rows<Value>(_ sql: String, _ decode: (Statement) throws(StoreError) -> Value)
    throws(StoreError) -> [Value]
  {
    let select = try statement(sql)
    defer { select.reset() }
    var rows: [Value] = []
    while try select.step() { rows.append(try decode(select)) }
    return rows
  }

  func demand(_ id: DemandID) throws(StoreError) -> Demand {
    if let known = demandNumbers[id] { return known }
    // Committed a moment ago, and not yet in memory.
    let select = try statement(
      "SELECT type, agent_type, requires, selector FROM demands WHERE id = ?1")
    try select.bind(1, Int64(id.rawValue))
    defer { select.reset() }
    guard try select.step() else {
      throw .unavailable("A task in the database has a demand that is not there.")
    }
    return try select.demand()
  }

  /// Ranges of ids that are not to be seen yet.
  func staged() throws(StoreError) -> [ClosedRange<Int64>] {
    try rows("SELECT first, last FROM bulk") { $0.int64(0)...max($0.int64(0), $0.int64(1)) }
  }
}

extension SQLiteStore {
  /// Runs `body` on a reading connection; does not block the caller's thread, nor the writer.
  func read<Value: Sendable>(
    _ body: @escaping @Sendable (Snapshot) throws(StoreError) -> Value
  ) async throws(StoreError) -> Value {
    let result: Result<Value, StoreError> = await withUnsafeContinuation { continuation in
      pool.asyncRead { [demandNumbers] database in
        continuation.resume(
          returning: database.mapError { .unavailable("A read failed: \($0).") }
            .flatMap { db in
              do throws(StoreError) {
                return .success(try body(Snapshot(db: db, demandNumbers: demandNumbers)))
              } catch {
                return .failure(error)
              }
            })
      }
    }
    return try result.get()
  }
}
