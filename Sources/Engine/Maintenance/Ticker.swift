// SPDX-License-Identifier: Apache-2.0
// Time: leases that end, tasks that come due, waits that are over.
package import Domain
import Logging
import Synchronization

extension Engine {
  private static let busyInterval: Int64 = 20
  private static let idleInterval: Int64 = 100

  func tickLoop() async {
    var wall = world.now()
    var steady = world.uptime()
    while true {
      let isBusy = core.withLock { $0.queued > 0 || $0.runningCount > 0 }
      do { try await world.sleep(isBusy ? Self.busyInterval : Self.idleInterval) } catch { return }
      let jump = world.now().milliseconds(since: wall) - (world.uptime() - steady)
      wall = world.now()
      steady = world.uptime()
      if abs(jump) > 1_000 { followClock(jump) }
      await tick()
    }
  }

  /// The wall clock was set: leases and timeouts follow the time that really passed.
  private func followClock(_ jump: Int64) {
    logger.warning("the system clock was set", metadata: ["milliseconds": "\(jump)"])
    core.withLock { $0.shift(by: jump) }
  }

  /// Ends what is over, readies what is due.
  package func tick() async {
    let now = world.now()
    waiters.expire(now: steadyNow)
    // A poll whose agent has a claim on its way to the store is about to be served.
    let served = core.withLock { $0.agentsBeingServed }
    for (agent, poll) in polls.expired(now: steadyNow, except: served) { dismiss(poll, of: agent) }
    let due = core.withLock { $0.tick(now: now) }
    if due.mayPlan { kick() }
    await markAccepted(before: world.uptime() - Acceptances.delay)
    for batch in due.lapsed.chunks(of: Limits.claimBatch) { await endLapsed(batch, now: now) }
    for batch in due.pastDeadline.chunks(of: Limits.claimBatch) {
      await endPastDeadline(batch, now: now)
    }
  }

  private func endLapsed(
    _ lapsed: ArraySlice<(task: RunningTask, why: Scheduler.Lapse)>, now: Timestamp
  ) async {
    let batch = lapsed.map {
      Settling(task: $0.task, report: $0.why.report, reporter: nil)
    }
    do {
      let settled = try await settle(batch)
      for ((task, why), settlement) in zip(lapsed, settled) where settlement != nil {
        if why != .lease { tell(task, .timeout) }
      }
    } catch {
      logger.error("ended attempts could not be written", metadata: ["error": "\(error)"])
      let again = now.adding(milliseconds: 500)
      core.withLock { core in
        for (task, _) in lapsed { core.lapseFailed(task.id, again: again) }
      }
    }
  }

  private func endPastDeadline(_ ids: ArraySlice<TaskID>, now: Timestamp) async {
    let error = Scheduler.Lapse.deadline.report.error
    do {
      try await end(ids.map { EndRequest(id: $0, state: .failed, error: error, now: now) })
    } catch {
      logger.error("deadlines could not be written", metadata: ["error": "\(error)"])
      let again = now.adding(milliseconds: 500)
      core.withLock { core in for id in ids { core.deadlineFailed(id, again: again) } }
    }
  }
}

extension Scheduler.Lapse {
  /// The failure that an attempt ends with.
  package var report: Report {
    switch self {
    case .lease:
      .failure(code: Lapsed.lease, message: "The agent did not renew its lease in time.")
    case .timeout:
      .failure(code: Lapsed.timeout, message: "The attempt took longer than the task's timeout.")
    case .deadline:
      .failure(
        code: Lapsed.deadline, message: "The task's deadline has passed.", retryable: false)
    }
  }
}
