// SPDX-License-Identifier: Apache-2.0
// One seeded run of the whole plane: virtual time, a crashing server, awkward agents.
import Domain
import Engine
import HeapModule

/// Plays events in order of virtual time until everything must have ended. Deterministic in its
/// seed.
package final class Simulator {
  package struct Options: Sendable {
    package var tasks = 25
    /// Milliseconds of virtual time in which things go wrong; after it they heal.
    package var faultTime: Int64 = 6_000
    /// Milliseconds after the healing within which everything has to end.
    package var healTime: Int64 = 60_000
    /// Plants a known bug: reports are not compared with the current attempt.
    package var ignoresFence = false

    package init() {}
  }

  let options: Options
  var chance: Chance
  var now: Int64 = 1_800_000_000_000
  var events = Heap<SimulatedEvent>()
  var order = 0
  /// What is on disk.
  var disk = StoreModel()
  var ledger = Ledger()
  var plane: SimulatedPlane?
  var planes = 0
  var hasFaults = true
  let agents: [AgentRecord]
  let settings: TypeSettings
  let ids = TaskIDs(after: nil)
  package private(set) var steps = 0

  package init(seed: UInt64, options: Options = Options()) {
    self.options = options
    var chance = Chance(seed: seed)
    let start = Timestamp(milliseconds: now)
    agents = (0..<chance.int(1...4)).map { Self.agent($0, &chance, start) }
    settings = Self.settings(&chance)
    self.chance = chance
  }

  private static func agent(_ number: Int, _ chance: inout Chance, _ now: Timestamp) -> AgentRecord
  {
    var record = AgentRecord(
      id: AgentID(stored: "agent-\(number)"), name: "agent-\(number)", kind: .http,
      capabilities: number == 0 || chance.percent(70) ? ["work", "other"] : ["work"],
      createdAt: now)
    record.concurrency = chance.int(1...4)
    if chance.percent(60) { record.endpoint = "http://agent.example" }
    if record.endpoint == nil || chance.percent(50) { record.leaseSeconds = chance.int(1...2) }
    return record
  }

  private static func settings(_ chance: inout Chance) -> TypeSettings {
    var settings = TypeSettings(type: "work")
    if chance.percent(40) { settings.limits.concurrency = chance.int(1...3) }
    if chance.percent(30) { settings.limits.ratePerSecond = Double(chance.int(5...50)) }
    if chance.percent(40) { settings.perKey.concurrency = chance.int(1...2) }
    return settings
  }

  // MARK: Running

  /// Plays the run; throws the first broken promise.
  package func run() throws(Violation) {
    scheduleRun()
    start()
    let end = now + options.faultTime + options.healTime
    while let event = events.popMin(), event.at <= end {
      now = event.at
      steps += 1
      try play(event.action)
    }
    try ledger.check(disk)
    try ledger.checkAllEnded(disk)
    try checkRest()
  }

  private func scheduleRun() {
    for _ in 0..<options.tasks { schedule(.submit, in: chance.time(0...options.faultTime)) }
    for _ in 0..<chance.int(0...6) { schedule(.cancel, in: chance.time(100...options.faultTime)) }
    for _ in 0..<chance.int(0...4) { schedule(.crash, in: chance.time(50...options.faultTime)) }
    for agent in agents where !agent.isPush { schedule(.poll(agent.id), in: chance.time(0...50)) }
    schedule(.heal, in: options.faultTime)
  }

  func schedule(_ action: SimulatedAction, in delay: Int64) {
    order += 1
    events.insert(SimulatedEvent(at: now + delay, order: order, action: action))
  }

  private func play(_ action: SimulatedAction) throws(Violation) {
    switch action {
    case .submit: submit(key: chance.percent(50) ? "key-\(chance.int(0...options.tasks))" : nil)
    case .resubmit(let key): submit(key: key)
    case .cancel: cancelOne()
    case .commit(let number): try commit(number)
    case .deliver(let task): deliver(task)
    case .answer(let number, let task, let answer):
      if let plane, plane.number == number { plane.answered(task, answer, self) }
    case .report(let report): try arrive(report)
    case .beat(let task): plane?.beat(task, self)
    case .poll(let agent): poll(agent)
    case .tick(let number):
      if let plane, plane.number == number { plane.tick(self) }
    case .crash: crash()
    case .restart: start()
    case .heal:
      hasFaults = false
      if plane == nil { start() }
    }
  }

  private func poll(_ agent: AgentID) {
    plane?.poll(agent, self)
    schedule(.poll(agent), in: chance.time(20...200))
  }

  // MARK: Crashes

  private func start() {
    guard plane == nil else { return }
    planes += 1
    plane = SimulatedPlane(number: planes, simulator: self)
    plane?.pump(self)
    schedule(.tick(plane: planes), in: 20)
  }

  /// What was on its way to the disk is written whole or not at all, and nobody is told.
  private func crash() {
    guard hasFaults, let dying = plane else { return }
    if chance.percent(50) {
      do { try dying.apply(to: &disk, ledger: &ledger, notes: false) } catch {
        pendingViolation = error
      }
    }
    plane = nil
    schedule(.restart, in: chance.time(10...1_500))
  }

  /// Found while crashing; thrown at the next commit.
  var pendingViolation: Violation?

  private func commit(_ number: Int) throws(Violation) {
    if let pendingViolation { throw pendingViolation }
    guard let plane, plane.number == number else { return }
    try plane.commit(self)
    try checkLimits()
    try checkDeadlines()
  }

  // MARK: Clients

  private func submit(key: String?) {
    guard let plane else {
      if let key { schedule(.resubmit(key: key), in: 300) } else { schedule(.submit, in: 300) }
      return
    }
    let type = chance.percent(80) ? "work" : "other"
    var task = NewTask(
      demand: Demand(type: key == nil ? type : "work"), payload: Array("{}".utf8))
    task.idempotencyKey = key
    task.priority = key == nil ? chance.int(0...9) : 5
    task.key = key == nil && chance.percent(50) ? "tenant-\(chance.int(0...2))" : nil
    task.timeout = key == nil ? chance.time(500...3_000) : 1_500
    var retry = RetryPolicy()
    retry.maxAttempts = key == nil ? chance.int(1...5) : 3
    retry.base = 100
    retry.cap = 1_000
    task.retry = retry
    if key == nil, chance.percent(20) { task.runAt = time(in: chance.time(1...2_000)) }
    if key == nil, chance.percent(15) { task.deadline = time(in: chance.time(2_001...6_000)) }
    plane.submit(task, self)
  }

  func time(in delay: Int64) -> Timestamp { Timestamp(milliseconds: now + delay) }
  var clock: Timestamp { Timestamp(milliseconds: now) }

  private func cancelOne() {
    guard let plane, let id = disk.unfinished.randomElement(using: &chance)?.id else { return }
    plane.write(.end(EndRequest(id: id, state: .cancelled, now: clock)), self)
  }

  // MARK: Agents

  /// A dispatch reaches its agent, or does not.
  private func deliver(_ task: ClaimedTask) {
    guard let agent = agents.first(where: { $0.id == task.running.agent }) else { return }
    guard agent.isPush else { return work(task) }
    let fate = hasFaults ? chance.int(0...19) : 0
    let answer: DispatchAnswer
    switch fate {
    case 17:
      answer = .undelivered(
        message: "refused", countsForBreaker: true, retryAfter: nil, unhealthy: false)
    case 18:
      answer = .failed(code: "BAD_ANSWER", message: "an answer was lost", countsForBreaker: true)
      work(task)
    case 19:
      answer = .undelivered(
        message: "busy", countsForBreaker: false, retryAfter: 200, unhealthy: false)
    default:
      answer = .accepted
      work(task)
    }
    schedule(
      .answer(plane: plane?.number ?? 0, task, answer), in: chance.time(1...60))
  }

  private func arrive(_ report: SimulatedReport) throws(Violation) {
    guard let plane else { return schedule(.report(report), in: chance.time(100...600)) }
    plane.report(report, self)
  }
}
