// SPDX-License-Identifier: Apache-2.0
// Lists of tasks: newest first, from as many ordered sources as the filter needs.
internal import Domain
internal import Engine

/// Rows of one table or index in falling order of ids, one at a time.
private struct ListSource {
  let select: Statement
  /// The row that comes next; nil at the end.
  var next: Row?

  struct Row {
    var id: Int64
    var state: TaskState
    var demand: DemandID
    var agent: String?
    var needsAttention: Bool
  }

  init(_ snapshot: Snapshot, _ table: String, where condition: String, _ ids: Range<Int64>)
    throws(StoreError)
  {
    select = try snapshot.statement(SQL.list(table, where: condition))
    try select.bind(1, ids.lowerBound)
    try select.bind(2, ids.upperBound)
    try advance()
  }

  mutating func advance() throws(StoreError) {
    guard try select.step() else {
      next = nil
      return
    }
    next = Row(
      id: select.int64(0), state: try select.state(1), demand: select.demand(2),
      agent: select.optionalText(3), needsAttention: select.bool(4))
  }
}

extension SQL {
  /// Rows of a table between two ids, newest first.
  static func list(_ table: String, where condition: String) -> String {
    """
    SELECT id, state, demand, agent, \(table == "ends" ? "needs_attention" : "0") FROM \(table)
    WHERE id >= ?1 AND id < ?2 \(condition) ORDER BY id DESC
    """
  }
}

extension Snapshot {
  func list(_ query: TaskQuery, scan: Int) throws(StoreError) -> TaskPage {
    var sources = try sources(of: query)
    defer { for source in sources { source.select.reset() } }
    let hidden = try staged()
    let demands = try query.type.map { type throws(StoreError) in try self.demands(of: type) }
    var page = TaskPage(tasks: [], next: nil)
    var looked = 0
    while let index = Self.newest(sources), let row = sources[index].next {
      // What comes next is known to exist, so the cursor never leads to nothing at all.
      if page.tasks.count >= query.limit || looked >= scan { return page }
      try sources[index].advance()
      looked += 1
      page.next = TaskID(rawValue: row.id)
      guard query.accepts(row, demands), !hidden.contains(where: { $0.contains(row.id) }),
        try has(row.id, query.labels),
        let record = try record(TaskID(rawValue: row.id), full: false)
      else { continue }
      page.tasks.append(record)
    }
    page.next = nil
    return page
  }

  /// The smallest set of ordered sources that holds every task with a wanted state.
  private func sources(of query: TaskQuery) throws(StoreError) -> [ListSource] {
    let states = query.states.isEmpty ? TaskState.allCases : query.states
    let ids = query.ids
    guard !ids.isEmpty else { return [] }
    var sources: [ListSource] = []
    if query.needsAttention == true {
      return [try ListSource(self, "ends", where: Self.isWatched, ids)]
    }
    if states.contains(.queued) {
      sources.append(try ListSource(self, "queue", where: "", ids))
    } else if states.contains(.running) {
      sources.append(try ListSource(self, "queue", where: Self.isRunning, ids))
    }
    if states.contains(.completed) {
      sources.append(try ListSource(self, "ends", where: "", ids))
      return sources
    }
    for state in [TaskState.failed, .cancelled] where states.contains(state) {
      sources.append(try ListSource(self, "ends", where: Self.ended(state), ids))
    }
    return sources
  }

  // Each repeats the condition of its partial index.
  static let isWatched = "AND needs_attention = 1"
  static let isRunning = "AND state = 1"
  static func ended(_ state: TaskState) -> String {
    "AND state = \(state.rawValue) AND state <> 2"
  }

  private static func newest(_ sources: [ListSource]) -> Int? {
    var best: Int?
    var bestID = Int64.min
    for (index, source) in sources.enumerated() {
      if let id = source.next?.id, id > bestID { (best, bestID) = (index, id) }
    }
    return best
  }

  private func demands(of type: String) throws(StoreError) -> Set<DemandID> {
    let select = try statement("SELECT id FROM demands WHERE type = ?1")
    try select.bind(1, text: type)
    defer { select.reset() }
    var ids: Set<DemandID> = []
    while try select.step() { ids.insert(select.demand(0)) }
    return ids
  }

  private func has(_ id: Int64, _ labels: [Label]) throws(StoreError) -> Bool {
    if labels.isEmpty { return true }
    let select = try statement("SELECT labels FROM tasks WHERE id = ?1")
    try select.bind(1, id)
    defer { select.reset() }
    guard try select.step(), let text = select.optionalBytes(0) else { return false }
    let own = try Encoding.labels(text)
    return labels.allSatisfy(own.contains)
  }
}

extension TaskQuery {
  /// Ids that the cursor and the times leave: `since` ≤ created < `until`.
  fileprivate var ids: Range<Int64> {
    let first = since.map { TaskID.first(at: $0.milliseconds).rawValue } ?? .min
    let end = until.map { TaskID.first(at: $0.milliseconds).rawValue } ?? .max
    return first..<max(first, min(end, before?.rawValue ?? .max))
  }

  fileprivate func accepts(_ row: ListSource.Row, _ demands: Set<DemandID>?) -> Bool {
    if !states.isEmpty, !states.contains(row.state) { return false }
    if let needsAttention, needsAttention != row.needsAttention { return false }
    if let agent, agent.text != row.agent { return false }
    return demands?.contains(row.demand) ?? true
  }
}
