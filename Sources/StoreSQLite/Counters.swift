// SPDX-License-Identifier: Apache-2.0
// Counts per type: gathered during a transaction, written once at its end.
internal import Domain
internal import Engine
internal import GRDBSQLite

/// What a transaction changes in the counts. Confined to the writer's thread.
final class Counters {
  /// Indexed by the demand's number.
  private var deltas: [TypeCounts] = []
  private var touched: [DemandID] = []
  private let upsert: Statement

  init(_ connection: OpaquePointer) throws(StoreError) {
    upsert = try Statement(
      connection,
      """
      INSERT INTO counters (type, queued, running, completed, failed, cancelled)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6)
      ON CONFLICT (type) DO UPDATE SET
        queued = queued + excluded.queued, running = running + excluded.running,
        completed = completed + excluded.completed, failed = failed + excluded.failed,
        cancelled = cancelled + excluded.cancelled
      """)
  }

  func finalize() { upsert.finalize() }

  func add(_ count: Int64, to state: TaskState, of demand: DemandID) {
    let index = Int(demand.rawValue)
    if index >= deltas.count {
      deltas.append(
        contentsOf: repeatElement(TypeCounts(), count: max(index + 1 - deltas.count, deltas.count)))
    }
    if deltas[index] == TypeCounts() { touched.append(demand) }
    deltas[index][state] += count
  }

  func move(_ demand: DemandID, from old: TaskState, to new: TaskState) {
    add(-1, to: old, of: demand)
    add(1, to: new, of: demand)
  }

  /// Before a commit.
  func write(_ demands: DemandTable) throws(StoreError) {
    for id in touched {
      let delta = deltas[Int(id.rawValue)]
      guard delta != TypeCounts(), let demand = demands[id] else { continue }
      try upsert.bind(1, text: demand.type)
      for state in TaskState.allCases {
        try upsert.bind(Int32(state.rawValue) + 2, delta[state])
      }
      try upsert.run()
      deltas[Int(id.rawValue)] = TypeCounts()
    }
    forget()
  }

  func forget() {
    for id in touched { deltas[Int(id.rawValue)] = TypeCounts() }
    touched.removeAll(keepingCapacity: true)
  }
}
