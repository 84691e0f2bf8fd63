// SPDX-License-Identifier: Apache-2.0
// What a store does, as a value: the meaning of the port without disks and threads.
package import Domain
package import Engine

/// A store as a value. Every call of `Store` is a function of it, so a simulated crash is a copy
/// put back; and whatever `SQLiteStore` answers, this answers too.
package struct StoreModel: Sendable {
  package var limits: Limits
  var rows: [TaskID: Row] = [:]
  var demandNumbers: [Demand: DemandID] = [:]
  var demandList: [Demand] = []
  var keys: [String: Key] = [:]
  /// Bulks that are not published, by first id.
  var bulks: [Int64: [TaskInsert]] = [:]
  var typeCounts: [String: TypeCounts] = [:]
  var newestID: TaskID?

  var agentEntries: [AgentID: StoredAgent] = [:]
  var typeEntries: [String: TypeSettings] = [:]
  var tokenEntries: [String: StoredToken] = [:]
  var secretEntries: [String: StoredSecret] = [:]
  var facts: [String: [UInt8]] = [:]

  package init(limits: Limits = Limits()) {
    self.limits = limits
  }

  /// A task with its whole history.
  struct Row: Sendable {
    var task: NewTask
    var demand: DemandID
    var state: TaskState = .queued
    var attempt = 0
    var failures = 0
    var notBefore: Timestamp?
    var running: RunningTask?
    var progress: Double?
    var message: String?
    var logs: [TaskLog] = []
    var settled: [SettledAttempt] = []
    var lastError: [UInt8]?
    var end: End?
  }

  /// What is known once a task has ended.
  struct End: Sendable {
    var at: Timestamp
    var agent: AgentID?
    var startedAt: Timestamp?
    var partial = false
    var needsAttention = false
    var error: [UInt8]?
    var results: [UInt8]?
  }

  /// An idempotency key; `endedAt` once its task is purged.
  struct Key: Sendable {
    var task: TaskID
    var hash: [UInt8]
    var endedAt: Timestamp?
  }

  func type(of demand: DemandID) -> String { demandList[Int(demand.rawValue) - 1].type }

  mutating func number(of demand: Demand) -> DemandID {
    if let known = demandNumbers[demand] { return known }
    demandList.append(demand)
    let id = DemandID(rawValue: Int32(demandList.count))
    demandNumbers[demand] = id
    return id
  }

  /// Every change of a state goes through here, so that the counts follow.
  mutating func move(_ id: TaskID, to state: TaskState) {
    guard let old = rows[id]?.state, let demand = rows[id]?.demand else { return }
    precondition(old.mayBecome(state), "an illegal move")
    typeCounts[type(of: demand), default: TypeCounts()][old] -= 1
    typeCounts[type(of: demand), default: TypeCounts()][state] += 1
    rows[id]?.state = state
  }
}

// MARK: Submitting

extension StoreModel {
  package mutating func submit(_ tasks: [TaskInsert]) -> SubmitResult {
    var known: [Int: TaskID] = [:]
    var ofBatch: [String: Key] = [:]
    for (index, insert) in tasks.enumerated() {
      guard let name = insert.task.idempotencyKey else { continue }
      let hash = insert.bodyHash ?? []
      if let first = ofBatch[name] ?? keys[name] {
        guard first.hash == hash else { return .conflict(index: index) }
        known[index] = first.task
      } else {
        ofBatch[name] = Key(task: insert.id, hash: hash)
      }
    }
    var stored: [SubmitResult.Stored] = []
    for (index, insert) in tasks.enumerated() {
      let demand = number(of: insert.task.demand)
      if let id = known[index] {
        stored.append(.init(id: id, isNew: false, demand: demand))
      } else {
        add(insert, demand)
        stored.append(.init(id: insert.id, isNew: true, demand: demand))
      }
    }
    keys.merge(ofBatch) { old, _ in old }
    return .stored(stored)
  }

  package mutating func submit(
    _ tasks: [TaskInsert], claiming claims: [ClaimRequest]
  ) -> (SubmitResult, [ClaimedTask?]) {
    let result = submit(tasks)
    guard case .stored = result else { return (result, claims.map { _ in nil }) }
    return (result, claim(claims))
  }

  package mutating func stage(_ tasks: [TaskInsert], in bulk: Bulk) -> [DemandID] {
    guard !bulk.isAbandoned else { return [] }
    bulks[bulk.ids.lowerBound, default: []] += tasks
    return tasks.map { number(of: $0.task.demand) }
  }

  package mutating func publish(_ bulk: Bulk) {
    for insert in bulks.removeValue(forKey: bulk.ids.lowerBound) ?? [] {
      add(insert, number(of: insert.task.demand))
    }
  }

  package mutating func discard(_ bulk: Bulk) { bulks[bulk.ids.lowerBound] = nil }

  private mutating func add(_ insert: TaskInsert, _ demand: DemandID) {
    var row = Row(task: insert.task, demand: demand)
    row.notBefore = insert.task.runAt
    rows[insert.id] = row
    newestID = max(newestID ?? insert.id, insert.id)
    typeCounts[insert.task.demand.type, default: TypeCounts()].queued += 1
  }
}
