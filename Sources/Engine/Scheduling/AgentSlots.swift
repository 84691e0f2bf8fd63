// SPDX-License-Identifier: Apache-2.0
// What the scheduler knows of one agent: its entry, its free slots, its health.
import Domain

/// The run-time side of a registered agent.
struct AgentSlots {
  var record: AgentRecord
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
  var polled = 0
  var lastSeen: Timestamp
  /// Milliseconds, an exponentially weighted mean of recent attempts.
  var latency: Double = 0
  /// Demands that it can do, by number.
  var demands: [Int] = []

  init(record: AgentRecord, now: Timestamp) {
    self.record = record
    lastSeen = record.lastSeen.map { max($0, now) } ?? now
  }

  /// How many more tasks it can take now.
  func capacity(now: Timestamp) -> Int {
    guard record.state == .active, isHealthy, !isDraining, inUse < record.concurrency else { return 0 }
    if let pausedUntil, now < pausedUntil { return 0 }
    let free = record.concurrency - inUse
    return record.isPush ? breaker.allows(free, now: now) : min(free, polled)
  }

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

  /// The agent asked not to be given work for a while.
  mutating func pushBack(retryAfter: Int64?, now: Timestamp) -> Timestamp {
    pauseStep = pauseStep == 0
      ? Limits.pushBackFirst : min(pauseStep * 2, Limits.pushBackMost)
    let until = now.adding(milliseconds: max(0, retryAfter ?? pauseStep))
    pausedUntil = until
    return until
  }

  mutating func free() { inUse = max(0, inUse - 1) }
  mutating func poll(_ count: Int) { polled = max(0, polled + count) }

  mutating func answered() {
    pausedUntil = nil
    pauseStep = 0
  }
}
