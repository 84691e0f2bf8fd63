// SPDX-License-Identifier: Apache-2.0
// A scheduler with the model of a store behind it, and the small words that cases are written in.
import Domain
import Simulation
import Testing

@testable import Engine

struct SchedulerCase {
  static let origin = Timestamp(milliseconds: 1_800_000_000_000)

  var scheduler = Scheduler()
  var store = StoreModel()
  var now = SchedulerCase.origin
  private var tokens: UInt64 = 0
  private let ids = TaskIDs(after: nil)

  // MARK: Agents and types

  /// A push agent for `work`, unless the change says otherwise.
  @discardableResult
  mutating func agent(
    _ name: String, concurrency: Int = 1, _ change: (inout AgentRecord) -> Void = { _ in }
  ) -> AgentID {
    var record = AgentRecord(
      id: AgentID(stored: name), name: name, kind: .http, capabilities: ["work"], createdAt: now)
    record.endpoint = "http://agent.example"
    record.concurrency = concurrency
    change(&record)
    scheduler.upsert(record, now: now)
    return record.id
  }

  @discardableResult
  mutating func pullAgent(
    _ name: String, concurrency: Int = 4, _ change: (inout AgentRecord) -> Void = { _ in }
  ) -> AgentID {
    agent(name, concurrency: concurrency) {
      $0.endpoint = nil
      change(&$0)
    }
  }

  mutating func set(_ type: String = "work", _ change: (inout TypeSettings) -> Void) {
    var settings = scheduler.settings(of: type) ?? TypeSettings(type: type)
    change(&settings)
    scheduler.apply(settings, now: now)
  }

  // MARK: Tasks

  @discardableResult
  mutating func task(
    _ type: String = "work", key: String? = nil, priority: Int = 5, runIn: Int64? = nil,
    deadlineIn: Int64? = nil, _ change: (inout NewTask) -> Void = { _ in }
  ) -> TaskID {
    var task = NewTask(demand: Demand(type: type), payload: Array("{}".utf8))
    task.key = key
    task.priority = priority
    task.runAt = runIn.map(at)
    task.deadline = deadlineIn.map(at)
    change(&task)
    return submit(task)
  }

  mutating func submit(_ task: NewTask) -> TaskID {
    let id = TaskID(rawValue: ids.next(1, now: now).lowerBound)
    guard case .stored(let stored) = store.submit([TaskInsert(id: id, task: task)]) else {
      Issue.record("a task was not stored")
      return id
    }
    for item in stored {
      scheduler.add(item.demand, task.demand, now: now)
      scheduler.enqueue(
        item.id, demand: item.demand, key: task.key, priority: task.priority,
        notBefore: task.runAt, deadline: task.deadline, now: now)
    }
    return id
  }

  mutating func plan(limit: Int = 512) -> [ClaimRequest] {
    var next = tokens
    let claims = scheduler.plan(limit: limit, now: now) {
      next += 1
      return next
    }
    tokens = next
    return claims
  }

  /// Commits claims; what is to be handed over.
  @discardableResult
  mutating func commit(_ claims: [ClaimRequest]) -> [RunningTask] {
    let results = store.claim(claims)
    return zip(claims, results).compactMap { scheduler.claimed($0.id, $1)?.running }
  }

  /// Plans and commits.
  @discardableResult
  mutating func start(limit: Int = 512) -> [RunningTask] { commit(plan(limit: limit)) }

  mutating func settle(
    _ task: RunningTask, _ report: Report = Report(status: .success)
  ) {
    let settlement = Settlement.decide(
      status: report.status, retryable: report.retryable, retryAfter: report.retryAfter,
      failures: task.failures, retry: task.retry, now: now, chance: 0.5)
    let request = SettleRequest(
      id: task.id, attempt: task.attempt, settlement: settlement, report: report,
      reporter: task.agent, signedID: nil, now: now)
    guard store.settle([request]) == [.applied] else { return }
    scheduler.settled(task.id, attempt: task.attempt, settlement, now: now)
  }

  mutating func fail(_ task: RunningTask) { settle(task, Report(status: .failure)) }

  mutating func release(_ task: RunningTask) {
    guard store.release([ReleaseRequest(id: task.id, attempt: task.attempt)]) == [true] else {
      return
    }
    scheduler.released(task.id, attempt: task.attempt, notBefore: nil, now: now)
  }

  /// Ends a task; the attempt whose agent has to be told.
  @discardableResult
  mutating func end(_ id: TaskID, _ state: TaskState = .cancelled) -> RunningTask? {
    let results = store.end([EndRequest(id: id, state: state, now: now)])
    return results.first.flatMap { scheduler.ended(id, $0) }
  }

  /// Lets time pass, then looks what is due.
  @discardableResult
  mutating func pass(_ milliseconds: Int64) -> Scheduler.Due {
    now = now.adding(milliseconds: milliseconds)
    return scheduler.tick(now: now)
  }

  mutating func answer(_ agent: AgentID, _ answer: DispatchAnswer) {
    scheduler.answered(agent, answer, now: now)
  }

  /// A scheduler rebuilt from the store, as after a restart.
  mutating func restart(agents: [AgentRecord], types: [TypeSettings] = []) {
    scheduler = Scheduler()
    for (id, demand) in store.demands { scheduler.add(id, demand, now: now) }
    for settings in types { scheduler.apply(settings, now: now) }
    for record in agents { scheduler.upsert(record, now: now) }
    scheduler.load(store.unfinished, now: now)
  }

  func at(_ milliseconds: Int64) -> Timestamp { now.adding(milliseconds: milliseconds) }

  /// Why the task waits, asked as the engine asks.
  mutating func reason(_ id: TaskID) -> WaitingReason? {
    guard let task = store.task(id) else { return nil }
    return scheduler.reason(
      demand: task.demand, key: task.key, notBefore: task.notBefore, failures: task.failures,
      now: now)
  }
}

extension DispatchAnswer {
  /// A connection refused: counts for the breaker, pushes back.
  static let refused = DispatchAnswer.undelivered(
    message: "refused", countsForBreaker: true, retryAfter: nil, unhealthy: false)
  static let serverError = DispatchAnswer.failed(
    code: "HTTP_500", message: "a server error", countsForBreaker: true)
  static func busy(_ retryAfter: Int64?) -> DispatchAnswer {
    .undelivered(
      message: "busy", countsForBreaker: false, retryAfter: retryAfter, unhealthy: false)
  }
}
