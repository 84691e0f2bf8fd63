// SPDX-License-Identifier: Apache-2.0
// What the scheduler knows of one type: its settings, what runs of it, its keys.
import Domain
import HeapModule

/// The run-time side of a type of task.
struct TypeSlots {
  var settings: TypeSettings
  var running = 0
  /// When the scheduler will look at its rate limits again.
  var wakeAt: Timestamp?
  private(set) var bucket: RateBucket?
  private var keys: [String: KeySlots] = [:]
  /// When parked keys that wait for their rate get their next token.
  private var due = Heap<KeyDue>()
  /// With so many keys the idle ones are forgotten.
  private var forgetsAt = TypeSlots.fewKeys
  private static let fewKeys = 10_000

  struct KeySlots {
    var running = 0
    var bucket: RateBucket?
    /// Demands in whose rings this key was parked.
    var parkedIn: Set<Int> = []
    /// When `due` holds it, and for when.
    var wakeAt: Timestamp?

    mutating func finished() { running = max(0, running - 1) }
  }

  private struct KeyDue: Comparable {
    var at: Timestamp
    var key: String
    static func < (a: KeyDue, b: KeyDue) -> Bool { (a.at, a.key) < (b.at, b.key) }
  }

  init(settings: TypeSettings) { self.settings = settings }

  mutating func apply(_ new: TypeSettings, now: Timestamp) {
    settings = new
    if bucket?.rate != new.limits.ratePerSecond {
      bucket = new.limits.ratePerSecond.map { RateBucket(rate: $0, now: now) }
    }
    let rate = new.perKey.ratePerSecond
    for key in keys.keys where keys[key]?.bucket?.rate != rate {
      keys[key]?.bucket = rate.map { RateBucket(rate: $0, now: now) }
    }
    due = Heap()
    for key in keys.keys { keys[key]?.wakeAt = nil }
  }

  /// Whether the type as a whole may start one more now.
  mutating func mayStart(now: Timestamp) -> Bool {
    bucket?.refill(now: now)
    return canStart(now: now)
  }

  func canStart(now: Timestamp) -> Bool {
    if settings.paused || isLimited { return false }
    return bucket?.hasToken(now: now) ?? true
  }

  var isLimited: Bool {
    if let most = settings.limits.concurrency, running >= most { return true }
    return false
  }

  /// When a rate limit alone keeps it from starting: the time of the next token.
  func nextToken(now: Timestamp) -> Timestamp? {
    guard !settings.paused, !isLimited, let bucket else { return nil }
    return bucket.nextToken(after: now)
  }

  var limitsKeys: Bool {
    settings.perKey.concurrency != nil || settings.perKey.ratePerSecond != nil
  }

  /// Whether this key may start one more now.
  mutating func mayStart(key: String, now: Timestamp) -> Bool {
    if settings.perKey.ratePerSecond != nil { keys[key]?.bucket?.refill(now: now) }
    return canStart(key: key, now: now)
  }

  /// A key that is not known has nothing running and a token.
  func canStart(key: String, now: Timestamp) -> Bool {
    guard limitsKeys, let slots = keys[key] else { return true }
    if let most = settings.perKey.concurrency, slots.running >= most { return false }
    return slots.bucket?.hasToken(now: now) ?? true
  }

  mutating func parked(key: String, in demand: Int) {
    keys[key, default: KeySlots()].parkedIn.insert(demand)
  }

  /// When a key that only waits for its rate may go on.
  func nextToken(key: String, now: Timestamp) -> Timestamp? {
    guard let slots = keys[key], let bucket = slots.bucket else { return nil }
    if let most = settings.perKey.concurrency, slots.running >= most { return nil }
    return bucket.nextToken(after: now)
  }

  /// Counts the keys of what runs anew: while keys have no limit they are not counted.
  mutating func recount(_ runningKeys: [String]) {
    for key in keys.keys { keys[key]?.running = 0 }
    for key in runningKeys { keys[key, default: KeySlots()].running += 1 }
  }

  mutating func started(key: String?, now: Timestamp) {
    resumed(key: key)
    bucket?.take()
    guard let key, let rate = settings.perKey.ratePerSecond else { return }
    if keys[key]?.bucket == nil { keys[key]?.bucket = RateBucket(rate: rate, now: now) }
    keys[key]?.bucket?.take()
    if keys.count >= forgetsAt { forgetIdleKeys(now: now) }
  }

  /// One that runs already: it took its tokens when it started.
  mutating func resumed(key: String?) {
    running += 1
    if let key, limitsKeys { keys[key, default: KeySlots()].running += 1 }
  }

  /// A claim that came to nothing gives its rate token back.
  mutating func finished(key: String?, neverRan: Bool = false) {
    running = max(0, running - 1)
    if neverRan { bucket?.giveBack() }
    guard let key, keys[key] != nil else { return }
    keys[key]?.finished()
    if neverRan { keys[key]?.bucket?.giveBack() }
  }

  /// Takes out the demands in which the key was parked; forgets keys that hold nothing.
  mutating func unpark(key: String) -> Set<Int> {
    let demands = keys[key]?.parkedIn ?? []
    keys[key]?.parkedIn = []
    if let slots = keys[key], slots.running == 0, slots.bucket == nil { keys[key] = nil }
    return demands
  }

  var parkedKeys: [String] { keys.filter { !$0.value.parkedIn.isEmpty }.map(\.key) }

  /// Notes when a parked key gets its next token.
  mutating func wakes(key: String, at: Timestamp) {
    guard let slots = keys[key] else { return }
    if let pending = slots.wakeAt, pending <= at { return }
    keys[key]?.wakeAt = at
    due.insert(KeyDue(at: at, key: key))
  }

  /// Takes out a key whose next token is due.
  mutating func nextDueKey(now: Timestamp) -> String? {
    while let next = due.min, next.at <= now {
      due.removeMin()
      guard keys[next.key]?.wakeAt == next.at else { continue }
      keys[next.key]?.wakeAt = nil
      return next.key
    }
    return nil
  }

  /// When the next of the parked keys gets its token.
  var nextKeyDue: Timestamp? { due.min?.at }

  /// The wall clock was set.
  mutating func shift(by delta: Int64) {
    bucket?.shift(by: delta)
    for key in keys.keys {
      keys[key]?.bucket?.shift(by: delta)
      if let at = keys[key]?.wakeAt { keys[key]?.wakeAt = at.adding(milliseconds: delta) }
    }
    due = Heap(
      due.unordered.map { KeyDue(at: $0.at.adding(milliseconds: delta), key: $0.key) })
    wakeAt = wakeAt?.adding(milliseconds: delta)
  }

  /// Forgets idle keys whose bucket is full again, so that the table stays small.
  mutating func forgetIdleKeys(now: Timestamp) {
    keys = keys.filter { _, slots in
      let idle = slots.running == 0 && slots.parkedIn.isEmpty
      return !(idle && (slots.bucket?.hasToken(now: now) ?? true))
    }
    forgetsAt = max(Self.fewKeys, 2 * keys.count)
  }

  var keyCount: Int { keys.count }
}
