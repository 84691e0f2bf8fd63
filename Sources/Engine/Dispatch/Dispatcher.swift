// SPDX-License-Identifier: Apache-2.0
// Claims what the scheduler chose and hands it to the agents.
package import Domain
import Logging
import Synchronization

extension Engine {
  /// Plans and claims until nothing is left to plan; then sleeps until the next kick.
  func dispatchLoop() async {
    await withDiscardingTaskGroup { group in
      for await _ in kicks.stream {
        while let started = await next() {
          meter(started)
          for task in started.pushed { group.addTask { await self.handOver(task) } }
          let unserved = serve(started.pulled)
          if !unserved.isEmpty { group.addTask { await self.putBack(unserved) } }
        }
      }
    }
  }

  /// Claimed tasks, by how their agents are reached.
  private struct Started {
    var pushed: [ClaimedTask] = []
    var pulled: [AgentID: [ClaimedTask]] = [:]

    mutating func add(_ task: ClaimedTask, _ core: borrowing Scheduler) {
      if core.agent(task.running.agent)?.isPush == true {
        pushed.append(task)
      } else {
        pulled[task.running.agent, default: []].append(task)
      }
    }
  }

  private func meter(_ started: Started) {
    let claimed = core.withLock { core in
      (started.pushed + started.pulled.values.flatMap(\.self)).map { task in
        (
          type: core.demand(task.running.demand)?.type ?? Family<UInt64>.other,
          waited: task.running.startedAt.milliseconds(since: task.running.id.createdAt)
        )
      }
    }
    meters.claimed(claimed)
  }

  /// What was claimed together with its submission, before what waits in the queue.
  private func next() async -> Started? {
    let ahead = claimedAhead.withLock { tasks in
      defer { tasks.removeAll() }
      return tasks
    }
    guard !ahead.isEmpty else { return await claimNext() }
    return core.withLock { core in
      var started = Started()
      for task in ahead { started.add(task, core) }
      return started
    }
  }

  /// One round: plan, and commit the claims.
  private func claimNext() async -> Started? {
    guard isOpen else { return nil }
    let now = world.now()
    let claims = core.withLock {
      $0.plan(limit: Limits.claimBatch, now: now, random: world.random)
    }
    guard !claims.isEmpty else { return nil }
    do {
      let results = try await timed(.claim) { () throws(StoreError) in
        try await store.claim(claims)
      }
      return core.withLock { core in
        var started = Started()
        for (claim, result) in zip(claims, results) {
          guard let task = core.claimed(claim.id, result) else { continue }
          announce(task, core)
          started.add(task, core)
        }
        return started
      }
    } catch {
      logger.error("claims could not be written", metadata: ["error": "\(error)"])
      core.withLock { core in for claim in claims { core.claimFailed(claim.id) } }
      kickLater(milliseconds: 500)
      return nil
    }
  }

  private func kickLater(milliseconds: Int64) {
    inBackground {
      do { try await self.world.sleep(milliseconds) } catch { return }
      self.kick()
    }
  }

  // MARK: Push

  func handOver(_ task: ClaimedTask) async {
    let agent = task.running.agent
    guard let record = core.withLock({ $0.agent(agent) }),
      let type = core.withLock({ $0.demand(task.running.demand)?.type })
    else { return await putBack([task.running]) }
    let secrets = agentSecrets.active(agent, now: world.now())
    let began = world.nanoseconds()
    let answer = await connector.start(
      Dispatch(task: task, type: type, trace: tracing.attempt(task.running)), on: record,
      secrets: secrets)
    meters.answered(agent, seconds: seconds(since: began))
    // Cancelled means that the server stops: an unknown answer is left to the next start.
    if Task.isCancelled, !answer.isDefinite { return }
    core.withLock { $0.answered(agent, answer, now: world.now()) }
    await act(on: answer, for: task.running)
    kick()
  }

  private func act(on answer: DispatchAnswer, for task: RunningTask) async {
    switch answer {
    case .accepted:
      acceptances.add(task, uptime: world.uptime())
      await repeatEnd(of: task)
    case .report(let report):
      await settleSurely(task, report, reporter: task.agent)
    case .failed(let code, let message, _):
      await settleSurely(task, .failure(code: code, message: message), reporter: nil)
    case .undelivered(let message, _, _, _):
      logger.notice(
        "a dispatch was not delivered; the task goes back",
        metadata: task.logged(["reason": "\(message)"]))
      await putBack([task])
    }
  }

  /// An attempt that was ended while its dispatch was under way: the agent may have been told
  /// before it knew of the attempt.
  private func repeatEnd(of task: RunningTask) async {
    guard core.withLock({ $0.runningTask(task.id)?.attempt != task.attempt }) else { return }
    do {
      let ended = try await store.settledAttempts(task.id).last {
        $0.attempt == task.attempt && $0.status == nil
      }
      guard let ended else { return }
      tell(task, ended.state == .cancelled ? .cancelled : .timeout)
    } catch {
      logger.warning(
        "an agent may not know that its attempt is over",
        metadata: task.logged(["error": "\(error)"]))
    }
  }

  /// Puts attempts back without a failure: tries until it is stored, or they are over otherwise.
  func putBack(_ tasks: [RunningTask], notBefore: Timestamp? = nil) async {
    for batch in tasks.chunks(of: Limits.claimBatch) {
      var rest = Array(batch)
      var wait: Int64 = 100
      while !rest.isEmpty, await !putBackOnce(rest, notBefore: notBefore) {
        do { try await world.sleep(wait) } catch { return }
        wait = min(wait * 2, 5_000)
        rest = core.withLock { core in
          rest.filter { core.runningTask($0.id)?.attempt == $0.attempt }
        }
      }
    }
  }

  /// False if the store failed.
  private func putBackOnce(_ tasks: [RunningTask], notBefore: Timestamp?) async -> Bool {
    let releases = tasks.map {
      ReleaseRequest(id: $0.id, attempt: $0.attempt, notBefore: notBefore)
    }
    do {
      let applied = try await timed(.release) { () throws(StoreError) in
        try await store.release(releases)
      }
      trace(released: tasks, applied)
      core.withLock { core in
        for (task, applied) in zip(tasks, applied) where applied {
          let isQueued = core.released(
            task.id, attempt: task.attempt, notBefore: notBefore, now: world.now())
          if isQueued { announce(.queued, task, core) }
        }
      }
      kick()
      return true
    } catch {
      logger.error("tasks could not be put back yet", metadata: ["error": "\(error)"])
      return false
    }
  }

  // MARK: Pull

  /// Gives claimed tasks to the lease requests that wait for them; what is left is to be put back.
  private func serve(_ tasks: [AgentID: [ClaimedTask]]) -> [RunningTask] {
    var unserved: [RunningTask] = []
    for (agent, claimed) in tasks {
      var rest = claimed[...]
      while !rest.isEmpty, let poll = polls.first(for: agent) {
        let batch = rest.prefix(poll.wanted)
        rest = rest.dropFirst(poll.wanted)
        core.withLock { $0.polled(agent, batch.count - poll.wanted) }
        poll.continuation.resume(returning: Array(batch))
      }
      unserved += rest.map(\.running)
    }
    return unserved
  }

  /// Long enough for the dispatcher to look, for agents that do not want to wait.
  private static let shortestPoll: Int64 = 20

  /// Refuses lease requests that would be answered empty at once, so that agents wait before the
  /// next one.
  package func admitLease() throws(ControlError) {
    guard isOpen else {
      throw ControlError(.storeUnavailable, "The server is stopping.", retryAfter: 1)
    }
    guard !polls.isFull else {
      meters.limitHit(.waiters)
      throw ControlError(.limitReached, "Too many lease requests are waiting.", retryAfter: 1)
    }
  }

  /// Up to `max` tasks for a pull agent, waiting for the first up to `wait` milliseconds. Empty at
  /// once where `admitLease` refuses.
  package func lease(_ agent: AgentID, max: Int, wait: Int64) async -> [Dispatch] {
    core.withLock { $0.setDraining(agent, false) }
    let number = polls.newNumber()
    let until = steadyNow.adding(milliseconds: Swift.max(wait, Self.shortestPoll))
    let tasks = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let poll = LeasePolls.Poll(
          number: number, wanted: max, until: until, continuation: continuation)
        guard isOpen, !Task.isCancelled, polls.enter(poll, agent: agent) else {
          return continuation.resume(returning: [])
        }
        core.withLock { $0.polled(agent, max) }
        kick()
      }
    } onCancel: {
      if let poll = polls.leave(number, agent: agent) { dismiss(poll, of: agent) }
    }
    if Task.isCancelled {
      await putBack(tasks.map(\.running))
      return []
    }
    return core.withLock { core in
      tasks.compactMap { task in
        core.demand(task.running.demand).map {
          Dispatch(task: task, type: $0.type, trace: tracing.attempt(task.running))
        }
      }
    }
  }

  func dismiss(_ poll: LeasePolls.Poll, of agent: AgentID) {
    core.withLock { $0.polled(agent, -poll.wanted) }
    poll.continuation.resume(returning: [])
  }
}
