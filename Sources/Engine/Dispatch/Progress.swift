// SPDX-License-Identifier: Apache-2.0
// Progress reports and heartbeats: they renew leases and carry cancellations back.
package import Domain
import Synchronization

package struct ProgressAnswer: Sendable {
  package var isAcknowledged: Bool
  package var isCancelled: Bool
  package var leaseExpiresAt: Timestamp?
}

package struct HeartbeatAnswer: Sendable {
  package var cancelled: [TaskID]
  package var lost: [TaskID]
}

extension Engine {
  /// Renews the lease and keeps progress, message and log lines.
  package func progress(
    of id: TaskID, by agent: AgentID, _ report: ProgressReport
  ) async throws(ControlError) -> ProgressAnswer {
    let now = world.now()
    let current = core.withLock { core -> RenewRequest? in
      guard let task = core.runningTask(id), task.agent == agent,
        task.isMeant(byAttempt: report.attempt, leaseToken: report.leaseToken),
        let until = core.renewal(id, now: now)
      else { return nil }
      return RenewRequest(
        id: task.id, attempt: task.attempt, leaseUntil: until, progress: report.progress,
        message: report.message, logs: report.logs)
    }
    acceptances.remove(id)
    guard let current, try await renew([current]) == [true] else {
      return try await refuse(id, agent)
    }
    return ProgressAnswer(
      isAcknowledged: true, isCancelled: false, leaseExpiresAt: current.leaseUntil)
  }

  private func refuse(_ id: TaskID, _ agent: AgentID) async throws(ControlError) -> ProgressAnswer {
    if core.withLock({ $0.isCancelled(id, heldBy: agent) }) {
      return ProgressAnswer(isAcknowledged: true, isCancelled: true, leaseExpiresAt: nil)
    }
    let task = try await stored { () throws(StoreError) in try await store.task(id) }
    let attempts = try await stored { () throws(StoreError) in
      try await store.settledAttempts(id)
    }
    guard let task, task.agent == agent || attempts.contains(where: { $0.agent == agent })
    else { throw ControlError(.notFound, "There is no such task for this agent.") }
    if task.state == .cancelled, task.agent == agent {
      return ProgressAnswer(isAcknowledged: true, isCancelled: true, leaseExpiresAt: nil)
    }
    throw ControlError(
      .staleAttempt,
      "This attempt is not current: the task is \(task.state.name), attempt \(task.attempt).")
  }

  /// Commits renewals, then moves the leases.
  private func renew(_ renewals: [RenewRequest]) async throws(ControlError) -> [Bool] {
    guard !renewals.isEmpty else { return [] }
    let renewed = try await stored { () throws(StoreError) in
      try await timed(.renew) { () throws(StoreError) in try await store.renew(renewals) }
    }
    core.withLock { core in
      for (request, renewed) in zip(renewals, renewed) where renewed {
        core.renewed(request.id, attempt: request.attempt, until: request.leaseUntil)
        announce(request, core)
      }
    }
    return renewed
  }

  /// Renews the leases of what a pull agent says it runs; tells what was cancelled and what is
  /// lost.
  package func heartbeat(
    _ agent: AgentID, isDraining: Bool, running: [(task: TaskID, leaseToken: String?)]
  ) async throws(ControlError) -> HeartbeatAnswer {
    let now = world.now()
    var answer = HeartbeatAnswer(cancelled: [], lost: [])
    var renewals: [RenewRequest] = []
    core.withLock { core in
      for (id, token) in running {
        if let task = core.runningTask(id), task.agent == agent,
          task.isMeant(byAttempt: nil, leaseToken: token),
          let until = core.renewal(id, now: now)
        {
          renewals.append(RenewRequest(id: id, attempt: task.attempt, leaseUntil: until))
        } else if core.isCancelled(id, heldBy: agent) {
          answer.cancelled.append(id)
        } else {
          answer.lost.append(id)
        }
      }
    }
    for (request, renewed) in zip(renewals, try await renew(renewals)) where !renewed {
      answer.lost.append(request.id)
    }
    if isDraining { drainSelf(agent) }
    return answer
  }
}
