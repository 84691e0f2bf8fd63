// SPDX-License-Identifier: Apache-2.0
// What must hold in every run: the promises, checked against what really happened.
import Domain
import Engine

/// A promise that was broken.
package struct Violation: Error, Sendable, CustomStringConvertible {
  package var promise: String
  package var detail: String
  package var description: String { "\(promise): \(detail)" }
}

/// Remembers what was acknowledged and what was seen, and compares it with the store.
struct Ledger {
  private var acknowledged: Set<TaskID> = []
  private var idOfKey: [String: TaskID] = [:]
  private var ends: [TaskID: TaskState] = [:]
  private var attempts: [TaskID: Int] = [:]
  /// Signed ids of reports that settled an attempt.
  private var applications: Set<String> = []

  mutating func acknowledged(_ id: TaskID, key: String?) throws(Violation) {
    acknowledged.insert(id)
    guard let key else { return }
    if let first = idOfKey[key], first != id {
      throw Violation(promise: "idempotency", detail: "key \(key) made \(first) and \(id)")
    }
    idOfKey[key] = id
  }

  mutating func claimed(_ task: RunningTask) throws(Violation) {
    let last = attempts[task.id] ?? 0
    guard task.attempt == last + 1 else {
      throw Violation(
        promise: "fencing", detail: "\(task.id): attempt \(task.attempt) follows \(last)")
    }
    attempts[task.id] = task.attempt
    if let end = ends[task.id] {
      throw Violation(
        promise: "delivery", detail: "\(task.id) was claimed after it was \(end.name)")
    }
  }

  /// A report was applied to `applied`; the agent had really worked on `report.truth`. One that
  /// names no attempt counts for what its agent holds, but never twice.
  mutating func settled(
    _ applied: RunningTask, by report: SimulatedReport
  ) throws(Violation) {
    let isFirst = applications.insert(report.signedID).inserted
    let isRight = report.attempt == nil || report.truth == applied.attempt
    guard isFirst, isRight, report.agent == applied.agent else {
      throw Violation(
        promise: "fencing",
        detail:
          "\(applied.id): a report of attempt \(report.truth) by \(report.agent) "
          + "settled attempt \(applied.attempt) of \(applied.agent)"
      )
    }
  }

  mutating func ended(_ id: TaskID, _ state: TaskState) throws(Violation) {
    if let before = ends[id] {
      throw Violation(
        promise: "delivery", detail: "\(id) ended twice: \(before.name), then \(state.name)")
    }
    ends[id] = state
  }

  /// Nothing that was acknowledged is gone, nothing that ended is something else now.
  func check(_ store: StoreModel) throws(Violation) {
    for id in acknowledged.sorted() where store.task(id) == nil {
      throw Violation(promise: "durability", detail: "\(id) was acknowledged and is gone")
    }
    for (id, state) in ends.sorted(by: { $0.key < $1.key }) where store.task(id)?.state != state {
      let now = store.task(id)?.state.name ?? "gone"
      throw Violation(promise: "delivery", detail: "\(id) was \(state.name) and is \(now)")
    }
  }

  /// Every acknowledged task has ended.
  func checkAllEnded(_ store: StoreModel) throws(Violation) {
    for id in acknowledged.sorted() {
      guard let task = store.task(id), !task.state.isEnd else { continue }
      throw Violation(
        promise: "liveness",
        detail: "\(id) is \(task.state.name), attempt \(task.attempt), failures \(task.failures)")
    }
  }
}
