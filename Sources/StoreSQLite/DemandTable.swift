// SPDX-License-Identifier: Apache-2.0
// Demands and their numbers, in memory beside the table.
internal import Domain
internal import Engine
internal import GRDBSQLite
internal import Synchronization

/// Demands that are committed; for readers on any thread. Numbers are dense and start at 1.
final class CommittedDemands: Sendable {
  private let demands = Mutex<[Demand]>([])

  subscript(id: DemandID) -> Demand? {
    demands.withLock { demands in
      let index = Int(id.rawValue) - 1
      return demands.indices.contains(index) ? demands[index] : nil
    }
  }

  var all: [(id: DemandID, demand: Demand)] {
    demands.withLock { demands in
      demands.enumerated().map { (DemandID(rawValue: Int32($0.offset) + 1), $0.element) }
    }
  }

  func append(_ new: ArraySlice<Demand>) {
    if !new.isEmpty { demands.withLock { $0.append(contentsOf: new) } }
  }
}

/// The writer's view: what is committed and what this transaction adds. Confined to the writer's
/// thread.
final class DemandTable {
  private var numbers: [Demand: DemandID] = [:]
  private(set) var demands: [Demand] = []
  private var committed = 0
  /// The last one asked for: batches mostly ask for one.
  private var recent: (demand: Demand, id: DemandID)?
  private let published: CommittedDemands
  private let insert: Statement

  init(_ connection: OpaquePointer, publishing published: CommittedDemands) throws(StoreError) {
    self.published = published
    insert = try Statement(
      connection,
      "INSERT INTO demands (id, type, agent_type, requires, selector) VALUES (?, ?, ?, ?, ?)")
    let select = try Statement(
      connection, "SELECT type, agent_type, requires, selector, id FROM demands ORDER BY id")
    defer { select.finalize() }
    while try select.step() {
      let demand = try select.demand()
      guard select.int(4) == demands.count + 1 else {
        throw .unavailable("The numbers of the demands in the database have a gap.")
      }
      numbers[demand] = DemandID(rawValue: Int32(demands.count) + 1)
      demands.append(demand)
    }
    publish()
  }

  func finalize() { insert.finalize() }

  subscript(id: DemandID) -> Demand? {
    let index = Int(id.rawValue) - 1
    return demands.indices.contains(index) ? demands[index] : nil
  }

  /// The number of a demand; stores it if it is new.
  func id(of demand: Demand) throws(StoreError) -> DemandID {
    if let recent, recent.demand == demand { return recent.id }
    let known = numbers[demand]
    let id = if let known { known } else { try add(demand) }
    recent = (demand, id)
    return id
  }

  private func add(_ demand: Demand) throws(StoreError) -> DemandID {
    let id = DemandID(rawValue: Int32(demands.count) + 1)
    try insert.bind(1, Int64(id.rawValue))
    try insert.bind(2, text: demand.type)
    try insert.bind(3, text: demand.agentType?.rawValue ?? "")
    try insert.bind(4, utf8: Encoding.text(demand.requires))
    try insert.bind(5, utf8: Encoding.text(demand.selector))
    try insert.run()
    numbers[demand] = id
    demands.append(demand)
    return id
  }

  /// After a commit.
  func publish() {
    guard committed < demands.count else { return }
    published.append(demands[committed...])
    committed = demands.count
  }

  /// After a rollback.
  func forget() {
    recent = nil
    for demand in demands[committed...] { numbers[demand] = nil }
    demands.removeSubrange(committed...)
  }
}

extension Statement {
  /// Reads type, agent_type, requires and selector from the first four columns.
  func demand() throws(StoreError) -> Demand {
    let kind = text(1)
    let agentType = AgentKind(rawValue: kind)
    guard kind.isEmpty || agentType != nil else {
      throw .unavailable("A demand in the database names an unknown kind of agent.")
    }
    return Demand(
      type: text(0), agentType: agentType, requires: try Encoding.strings(bytes(2)),
      selector: try Encoding.labels(bytes(3)))
  }
}
