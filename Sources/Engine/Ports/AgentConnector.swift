// SPDX-License-Identifier: Apache-2.0
// How the control plane reaches one kind of agent.
package import Domain

/// One attempt as its agent gets it.
package struct Dispatch: Sendable {
  package var task: ClaimedTask
  package var type: String
  /// The attempt's own span, below which the agent's work belongs.
  package var trace: TraceContext

  package init(task: ClaimedTask, type: String, trace: TraceContext) {
    self.task = task
    self.type = type
    self.trace = trace
  }
}

extension Dispatch {
  /// What its agent gets, by push or in a lease answer.
  package var body: DispatchBody {
    DispatchBody(
      taskID: task.running.id, attempt: task.running.attempt, leaseToken: task.running.token,
      type: type, payload: task.payload, priority: task.running.priority, timeout: task.timeout,
      deadline: task.running.endsAt, trace: trace)
  }
}

/// What became of handing a dispatch over. The table is in the agent protocol, §3.
package enum DispatchAnswer: Sendable {
  /// The agent works on it and will report.
  case accepted
  /// The agent answered with the result.
  case report(Report)
  /// The attempt failed.
  case failed(code: String, message: String, countsForBreaker: Bool)
  /// Nothing was delivered: the task goes back, no failure counts.
  case undelivered(message: String, countsForBreaker: Bool, retryAfter: Int64?, unhealthy: Bool)
}

package enum CancelReason: String, Sendable { case cancelled, timeout }

/// Reaches agents that have work pushed to them.
package protocol AgentConnector: Sendable {
  /// Hands one attempt to an agent and waits for its answer, within the protocol's time-outs.
  func start(_ dispatch: Dispatch, on agent: AgentRecord, secrets: [AgentSecret]) async
    -> DispatchAnswer
  /// Tells an agent that an attempt is over; three tries, best effort.
  func cancel(
    _ task: RunningTask, reason: CancelReason, on agent: AgentRecord, secrets: [AgentSecret]) async
  /// A health probe: true within five seconds of 2xx.
  func isHealthy(_ agent: AgentRecord) async -> Bool
  /// Refuses addresses that this server may not reach; for registration.
  func check(url: String, path: String, isEndpoint: Bool) async throws(ControlError)
}
