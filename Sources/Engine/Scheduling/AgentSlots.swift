// SPDX-License-Identifier: Apache-2.0
// What the scheduler knows of one agent: its entry, its free slots, its health.
import Domain

/// The run-time side of a registered agent.
struct AgentSlots {
  var record: AgentRecord {
    didSet { capabilities = Set(record.capabilities) }
  }
  /// The entry's capabilities, for matching.
  private var capabilities: Set<String>
  /// Attempts that it holds, ghosts included.
  var inUse = 0
  var isHealthy = true
  /// It said itself that it takes nothing new; its next lease request ends that.
  var isDraining = false
  var breaker = Breaker()
  /// Gets nothing until then (`Retry-After`, push-back).
  var pausedUntil: Timestamp?
  var pauseStep: Int64 = 0
  /// Pull agents: how many tasks its waiting lease requests would take.
  private(set) var polled = 0
  /// Claims for it on their way to the store.
  private var claims = 0
  /// The last sign of life, also of earlier runs of the server.
  private(set) var lastSeen: Timestamp
  /// Since when it may have been silent: its last sign of life, but no earlier than the start.
  private(set) var silentSince: Timestamp
  /// Milliseconds, an exponentially weighted mean of recent attempts.
  var latency: Double = 0
  /// Demands that it can do, by number.
  var demands: [Int] = []

  init(record: AgentRecord, now: Timestamp) {
    self.record = record
    capabilities = Set(record.capabilities)
    lastSeen = min(record.lastSeen ?? record.createdAt, now)
    silentSince = now
  }

  func meets(_ demand: Demand) -> Bool {
    demand.isMet(kind: record.kind, capabilities: capabilities, labels: record.labels)
  }

  /// How many more tasks it can take now.
  func capacity(now: Timestamp) -> Int {
    guard takesWork, isHealthy, inUse < record.concurrency else { return 0 }
    if let pausedUntil, now < pausedUntil { return 0 }
    let free = record.concurrency - inUse
    return record.isPush ? breaker.allows(free, now: now) : min(free, polled - claims)
  }

  /// Whether it is meant to get work.
  var takesWork: Bool { record.state == .active && !isDraining }

  /// Whether only its health keeps it from getting work.
  func isImpaired(now: Timestamp) -> Bool {
    if !isHealthy { return true }
    if let pausedUntil, now < pausedUntil { return true }
    return record.isPush && breaker.allows(1, now: now) == 0
  }

  mutating func measured(_ milliseconds: Int64) {
    let sample = Double(max(0, milliseconds))
    latency = latency == 0 ? sample : latency * 0.8 + sample * 0.2
  }

  /// The agent asked not to be given work for a while. Refusals during a pause are of dispatches
  /// that went out before it: they make no further step. Less than a second is no answer.
  mutating func pushBack(retryAfter: Int64?, now: Timestamp) -> Timestamp {
    let asked = retryAfter.flatMap { $0 < 1_000 ? nil : now.adding(milliseconds: $0) }
    if let pausedUntil, now < pausedUntil {
      let until = max(pausedUntil, asked ?? pausedUntil)
      self.pausedUntil = until
      return until
    }
    pauseStep =
      pauseStep == 0
      ? Limits.pushBackFirst : min(pauseStep * 2, Limits.pushBackMost)
    let until = asked ?? now.adding(milliseconds: pauseStep)
    pausedUntil = until
    return until
  }

  mutating func free() { inUse = max(0, inUse - 1) }
  mutating func poll(_ count: Int) { polled = max(0, polled + count) }

  /// A task was chosen for it. True if that is the trial of its breaker.
  mutating func assigned(now: Timestamp) -> Bool {
    let isTrial = record.isPush && breaker.opensAt != nil
    inUse += 1
    claims += 1
    breaker.started(now: now)
    return isTrial
  }

  /// A claim for it is over; one that came to nothing leaves its lease request waiting.
  mutating func claimEnded(served: Bool) {
    claims = max(0, claims - 1)
    if served, !record.isPush { poll(-1) }
  }

  /// A sign of life.
  mutating func heard(now: Timestamp) {
    lastSeen = now
    silentSince = now
  }

  mutating func shift(by delta: Int64) {
    lastSeen = lastSeen.adding(milliseconds: delta)
    silentSince = silentSince.adding(milliseconds: delta)
    pausedUntil = pausedUntil?.adding(milliseconds: delta)
    breaker.shift(by: delta)
  }

  mutating func answered() {
    pausedUntil = nil
    pauseStep = 0
  }
}
