// SPDX-License-Identifier: Apache-2.0
// What was committed becomes events. All of this is called with the scheduler's lock held.
import Domain

extension Engine {
  /// New tasks, before the scheduler gets them.
  func announce(_ inserts: [TaskInsert], _ core: borrowing Scheduler) {
    let changes = inserts.compactMap { insert -> LiveEvent.Body? in
      // Its end was faster.
      guard !core.dead.contains(insert.id.rawValue) else { return nil }
      let task = insert.task
      return .task(
        TaskChange(
          id: insert.id, type: task.demand.type, state: .queued, attempt: 0, labels: task.labels))
    }
    events.append(changes, at: world.now())
  }

  func announce(_ task: ClaimedTask, _ core: borrowing Scheduler) {
    announce(.running, task.running, core)
  }

  /// An attempt began, or was put back.
  func announce(_ state: TaskState, _ task: RunningTask, _ core: borrowing Scheduler) {
    let change = TaskChange(
      id: task.id, type: core.type(of: task.demand), state: state, attempt: task.attempt,
      agent: task.agent, labels: task.labels)
    events.append(.task(change), at: world.now())
  }

  /// An attempt was settled: the task has ended, or is in the queue again.
  func announce(_ request: Settling, _ settlement: Settlement, _ core: borrowing Scheduler) {
    let task = request.task
    var change = TaskChange(
      id: task.id, type: core.type(of: task.demand), state: settlement.state,
      attempt: task.attempt, agent: task.agent, labels: task.labels)
    if settlement.state.isEnd {
      change.end = TaskEnd(
        status: settlement.partial
          ? .partial : settlement.state == .completed ? .success : .failure,
        results: request.report.results, error: request.report.error)
    }
    let lines = request.report.logs.map { LiveEvent.Body.log(task.id, $0) }
    events.append(lines + [.task(change)], at: world.now())
  }

  /// A task was ended without a report.
  func announce(_ request: EndRequest, _ result: EndResult, _ core: borrowing Scheduler) {
    var change: TaskChange
    switch result {
    case .wasQueued(let demand, let labels):
      change = TaskChange(
        id: request.id, type: core.type(of: demand), state: request.state, labels: labels)
    case .wasRunning(let task):
      change = TaskChange(
        id: request.id, type: core.type(of: task.demand), state: request.state,
        attempt: task.attempt, agent: task.agent, labels: task.labels)
    case .alreadyEnded, .notFound: return
    }
    change.end = TaskEnd(
      status: request.state == .cancelled ? .cancelled : .failure, error: request.error)
    events.append(.task(change), at: request.now)
  }

  /// An agent told of its progress.
  func announce(_ request: RenewRequest, _ core: borrowing Scheduler) {
    var bodies = request.logs.map { LiveEvent.Body.log(request.id, $0) }
    if request.progress != nil || request.message != nil,
      let task = core.runningTask(request.id), task.attempt == request.attempt
    {
      bodies.append(
        .task(
          TaskChange(
            id: task.id, type: core.type(of: task.demand), state: .running, attempt: task.attempt,
            agent: task.agent, progress: request.progress, message: request.message,
            labels: task.labels)))
    }
    events.append(bodies, at: world.now())
  }
}

extension Scheduler {
  fileprivate func type(of demand: DemandID) -> String { self.demand(demand)?.type ?? "" }
}
