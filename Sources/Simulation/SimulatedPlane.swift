// SPDX-License-Identifier: Apache-2.0
// The server of a simulated run: the real scheduler and the real rules around a disk that commits
// late.
import Domain
import Engine

/// One life of the server, from its start to its crash. Everything in it is lost then.
final class SimulatedPlane {
  let number: Int
  let startedAt: Timestamp
  private var core = Scheduler()
  private var pending: [SimulatedWrite] = []
  private var inFlight: [SimulatedWrite] = []
  private var polls: [AgentID: Int] = [:]

  init(number: Int, simulator: Simulator) {
    self.number = number
    let now = simulator.clock
    startedAt = now
    for (id, demand) in simulator.disk.demands { core.add(id, demand, now: now) }
    core.apply(simulator.settings, now: now)
    for agent in simulator.agents { core.upsert(agent, now: now) }
    core.load(simulator.disk.unfinished, now: now)
  }

  var isAtRest: Bool { core.queued == 0 && core.runningCount == 0 && pending.isEmpty }

  func slotsInUse(of agents: [AgentRecord]) -> Int {
    agents.reduce(0) { $0 + (core.vitals(of: $1.id)?.inUse ?? 0) }
  }

  // MARK: Writing

  func write(_ operation: SimulatedWrite.Operation, _ simulator: Simulator) {
    pending.append(SimulatedWrite(operation: operation))
    if inFlight.isEmpty { beginCommit(simulator) }
  }

  private func beginCommit(_ simulator: Simulator) {
    guard !pending.isEmpty else { return }
    swap(&pending, &inFlight)
    simulator.schedule(.commit(plane: number), in: simulator.chance.time(1...4))
  }

  /// The disk has it: apply, tell the scheduler, go on with what gathered meanwhile.
  func commit(_ simulator: Simulator) throws(Violation) {
    let batch = inFlight
    inFlight = []
    for write in batch {
      try finish(write, simulator)
    }
    if inFlight.isEmpty { beginCommit(simulator) }
    pump(simulator)
  }

  /// Writes what is in flight without telling anybody (a crash after the commit).
  func apply(
    to disk: inout StoreModel, ledger: inout Ledger, notes: Bool
  ) throws(Violation) {
    for write in inFlight {
      switch write.operation {
      case .submit(let tasks, let claims):
        for task in disk.submit(tasks, claiming: claims).1 {
          if let task { try ledger.claimed(task.running) }
        }
      case .claim(let claims):
        for task in disk.claim(claims) { if let task { try ledger.claimed(task.running) } }
      case .settle(let request, let task, let report):
        guard disk.settle([request]) == [.applied] else { continue }
        if let report { try ledger.settled(task, by: report) }
        if request.settlement.state.isEnd { try ledger.ended(request.id, request.settlement.state) }
      case .release(let task, let notBefore):
        _ = disk.release([ReleaseRequest(id: task.id, attempt: task.attempt, notBefore: notBefore)])
      case .renew(let request): _ = disk.renew([request])
      case .end(let request): try end(request, &disk, &ledger)
      }
    }
  }

  @discardableResult
  private func end(
    _ request: EndRequest, _ disk: inout StoreModel, _ ledger: inout Ledger
  ) throws(Violation) -> EndResult? {
    let result = disk.end([request]).first
    switch result {
    case .wasQueued, .wasRunning: try ledger.ended(request.id, request.state)
    default: break
    }
    return result
  }

  private func finish(_ write: SimulatedWrite, _ simulator: Simulator) throws(Violation) {
    let now = simulator.clock
    switch write.operation {
    case .submit(let tasks, let claims): try finishSubmit(tasks, claims, simulator)
    case .claim(let claims):
      for (claim, result) in zip(claims, simulator.disk.claim(claims)) {
        try finish(claim, result, simulator)
      }
    case .settle(let request, let task, let report):
      guard simulator.disk.settle([request]) == [.applied] else { return }
      if let report { try simulator.ledger.settled(task, by: report) }
      if request.settlement.state.isEnd {
        try simulator.ledger.ended(request.id, request.settlement.state)
      }
      core.settled(request.id, attempt: request.attempt, request.settlement, now: now)
    case .release(let task, let notBefore):
      let release = ReleaseRequest(id: task.id, attempt: task.attempt, notBefore: notBefore)
      guard simulator.disk.release([release]) == [true] else { return }
      core.released(task.id, attempt: task.attempt, notBefore: notBefore, now: now)
    case .renew(let request):
      guard simulator.disk.renew([request]) == [true] else { return }
      core.renewed(request.id, attempt: request.attempt, until: request.leaseUntil)
    case .end(let request):
      if let result = try end(request, &simulator.disk, &simulator.ledger) {
        _ = core.ended(request.id, result)
      }
    }
  }

  private func finish(
    _ claim: ClaimRequest, _ result: ClaimedTask?, _ simulator: Simulator
  ) throws(Violation) {
    if let result { try simulator.ledger.claimed(result.running) }
    guard let task = core.claimed(claim.id, result) else { return }
    if polls[claim.agent] != nil { polls[claim.agent, default: 1] -= 1 }
    simulator.schedule(.deliver(task), in: simulator.chance.time(0...30))
  }

  private func finishSubmit(
    _ tasks: [TaskInsert], _ claims: [ClaimRequest], _ simulator: Simulator
  ) throws(Violation) {
    let (result, claimed) = simulator.disk.submit(tasks, claiming: claims)
    for (claim, task) in zip(claims, claimed) {
      if task == nil {
        core.claimAheadFailed(claim.id)
      } else {
        try finish(claim, task, simulator)
      }
    }
    guard case .stored(let stored) = result else { return }
    for (insert, stored) in zip(tasks, stored) {
      if stored.isNew, !claims.contains(where: { $0.id == insert.id }) {
        core.add(stored.demand, insert.task.demand, now: simulator.clock)
        core.enqueue(
          stored.id, demand: stored.demand, key: insert.task.key, priority: insert.task.priority,
          notBefore: insert.task.runAt, deadline: insert.task.deadline, now: simulator.clock)
      }
      // The answer may be lost on its way; then the client asks again with its key.
      if let key = insert.task.idempotencyKey, simulator.hasFaults, simulator.chance.percent(20) {
        simulator.schedule(.resubmit(key: key), in: 200)
      } else {
        try simulator.ledger.acknowledged(stored.id, key: insert.task.idempotencyKey)
      }
    }
  }

  // MARK: What the engine does

  func submit(_ task: NewTask, _ simulator: Simulator) {
    let id = simulator.ids.next(1, now: simulator.clock).lowerBound
    let hash = task.idempotencyKey.map { Array($0.utf8) }
    let insert = TaskInsert(id: TaskID(rawValue: id), task: task, bodyHash: hash)
    let claim = core.claimAhead(insert, now: simulator.clock) { simulator.chance.next() }
    write(.submit([insert], claiming: claim.map { [$0] } ?? []), simulator)
  }

  func pump(_ simulator: Simulator) {
    let claims = core.plan(limit: 8, now: simulator.clock) { simulator.chance.next() }
    guard !claims.isEmpty else { return }
    write(.claim(claims), simulator)
  }

  func poll(_ agent: AgentID, _ simulator: Simulator) {
    core.seen(agent, now: simulator.clock)
    guard polls[agent, default: 0] < 2 else { return }
    polls[agent, default: 0] += 1
    core.polled(agent, 1)
    pump(simulator)
  }

  func answered(_ task: ClaimedTask, _ answer: DispatchAnswer, _ simulator: Simulator) {
    let now = simulator.clock
    core.answered(task.running.agent, answer, now: now)
    switch answer {
    case .accepted, .report: break
    case .failed(let code, let message, _):
      settle(task.running, .failure(code: code, message: message), by: nil, simulator)
    case .undelivered: write(.release(task.running, notBefore: nil), simulator)
    }
    pump(simulator)
  }

  func report(_ report: SimulatedReport, _ simulator: Simulator) {
    core.seen(report.agent, now: simulator.clock)
    guard let task = core.runningTask(report.task), isCurrent(report, task, simulator) else {
      _ = core.exorcise(report.task, agent: report.agent)
      return
    }
    var outcome = Report(status: report.status)
    outcome.retryable = report.retryable
    settle(task, outcome, by: report, simulator)
  }

  private func isCurrent(
    _ report: SimulatedReport, _ task: RunningTask, _ simulator: Simulator
  ) -> Bool {
    if simulator.options.ignoresFence { return true }
    guard task.agent == report.agent,
      task.isMeant(byAttempt: report.attempt, leaseToken: report.leaseToken)
    else { return false }
    guard report.attempt == nil else { return true }
    let earlier = simulator.disk.settledAttempts(report.task)
    return !earlier.contains { $0.signedID == report.signedID }
  }

  private func settle(
    _ task: RunningTask, _ report: Report, by agent: SimulatedReport?, _ simulator: Simulator
  ) {
    let now = simulator.clock
    let settlement = Settlement.decide(
      status: report.status, retryable: report.retryable, retryAfter: nil,
      failures: task.failures, retry: task.retry, now: now, chance: 0.5)
    let request = SettleRequest(
      id: task.id, attempt: task.attempt, settlement: settlement, report: report,
      reporter: agent?.agent, signedID: agent?.signedID, now: now)
    write(.settle(request, task: task, report: agent), simulator)
  }

  func beat(_ task: ClaimedTask, _ simulator: Simulator) {
    let id = task.running.id
    guard let running = core.runningTask(id), running.attempt == task.running.attempt,
      let until = core.renewal(id, now: simulator.clock)
    else { return }
    write(
      .renew(RenewRequest(id: id, attempt: running.attempt, leaseUntil: until)), simulator)
  }

  func tick(_ simulator: Simulator) {
    let due = core.tick(now: simulator.clock)
    for (task, why) in due.lapsed { settle(task, why.report, by: nil, simulator) }
    for id in due.pastDeadline {
      write(.end(EndRequest(id: id, state: .failed, now: simulator.clock)), simulator)
    }
    pump(simulator)
    simulator.schedule(.tick(plane: number), in: 20)
  }
}
