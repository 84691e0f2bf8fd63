// SPDX-License-Identifier: Apache-2.0
// Callbacks and progress: whose task, which attempt, what answer.
package import Domain
import Logging
import Synchronization

/// What a callback says, after its signature was verified and its body understood.
package struct Callback: Sendable {
  package var agent: AgentID
  package var signedID: String
  package var task: TaskID
  package var attempt: Int?
  package var leaseToken: String?
  package var report: Report

  package init(
    agent: AgentID, signedID: String, task: TaskID, attempt: Int?, leaseToken: String?,
    report: Report
  ) {
    self.agent = agent
    self.signedID = signedID
    self.task = task
    self.attempt = attempt
    self.leaseToken = leaseToken
    self.report = report
  }
}

/// The answer to a callback.
package struct CallbackAnswer: Sendable, Equatable {
  package var isAcknowledged: Bool
  package var nextAction: NextAction
  /// What the task is now, or became by the report that settled the attempt.
  package var state: TaskState
  package var attempt: Int
}

extension Engine {
  /// Applies a report once; a repeat gets the answer of the report that settled its attempt.
  package func report(_ callback: Callback) async throws(ControlError) -> CallbackAnswer {
    if let task = core.withLock({ $0.runningTask(callback.task) }),
      try await isCurrent(callback, task)
    {
      let settling = Settling(
        task: task, report: callback.report, reporter: callback.agent,
        signedID: callback.signedID)
      let settled = try await stored { () throws(StoreError) in try await settle([settling]) }
      if let settlement = settled.first, let settlement {
        return CallbackAnswer(
          isAcknowledged: true, nextAction: settlement.nextAction, state: settlement.state,
          attempt: task.attempt)
      }
    }
    return try await answerLate(callback)
  }

  private func isCurrent(
    _ callback: Callback, _ task: RunningTask
  ) async throws(ControlError) -> Bool {
    guard task.agent == callback.agent,
      task.isMeant(byAttempt: callback.attempt, leaseToken: callback.leaseToken)
    else { return false }
    guard callback.attempt == nil, callback.leaseToken == nil, task.attempt > 1 else { return true }
    let earlier = try await stored { () throws(StoreError) in
      try await store.settledAttempts(callback.task)
    }
    return !earlier.contains { $0.agent == callback.agent && $0.signedID == callback.signedID }
  }

  /// The attempt is not current: a repeat, a late result, or somebody else's task.
  private func answerLate(_ callback: Callback) async throws(ControlError) -> CallbackAnswer {
    let known = try await stored { () throws(StoreError) in try await store.task(callback.task) }
    let attempts = try await stored { () throws(StoreError) in
      try await store.settledAttempts(callback.task)
    }
    guard let known,
      known.agent == callback.agent || attempts.contains(where: { $0.agent == callback.agent })
    else { throw ControlError(.notFound, "There is no such task for this agent.") }
    if let repeated = attempts.last(where: { callback.repeats($0, of: known) }) {
      return CallbackAnswer(
        isAcknowledged: true, nextAction: repeated.nextAction, state: repeated.state,
        attempt: repeated.attempt)
    }
    await noteLate(callback, now: known)
    return CallbackAnswer(
      isAcknowledged: false, nextAction: .none, state: known.state, attempt: known.attempt)
  }

  private func noteLate(_ callback: Callback, now task: TaskRecord) async {
    meters.lateReport()
    if core.withLock({ $0.exorcise(callback.task, agent: callback.agent) }) { kick() }
    let attempt = callback.attempt.map { " of attempt \($0)" } ?? ""
    let line = TaskLog(
      time: world.now(), level: .warning,
      message:
        "late \(callback.report.status.name)\(attempt) from agent \(callback.agent), not applied: "
        + "the task is \(task.state.name), attempt \(task.attempt)")
    do {
      try await store.appendLogs(callback.task, [line])
      events.append(.log(callback.task, line), at: line.time)
    } catch {
      logger.error(
        "a late result could not be logged",
        metadata: [
          "taskId": "\(callback.task)", "agentId": "\(callback.agent)", "error": "\(error)",
        ])
    }
  }
}

extension Callback {
  /// Whether this is the report that settled `attempt`, once more.
  fileprivate func repeats(_ settled: SettledAttempt, of task: TaskRecord) -> Bool {
    guard settled.agent == agent, settled.status == report.status else { return false }
    return self.attempt.map { $0 == settled.attempt }
      ?? (settled.signedID == signedID || task.state.isEnd)
  }
}

extension SettledAttempt {
  /// What the agent was told when it settled the attempt.
  fileprivate var nextAction: NextAction {
    switch state {
    case .queued: .retry
    case .failed: .escalate
    default: .none
    }
  }
}
