// SPDX-License-Identifier: Apache-2.0
// What the scheduler knows of one type: its settings, what runs of it, its keys.
import Domain

/// The run-time side of a type of task.
struct TypeSlots {
  var settings: TypeSettings
  var running = 0
  /// When the scheduler will look at its rate limits again.
  var wakeAt: Timestamp?
  private(set) var bucket: RateBucket?
  private var keys: [String: KeySlots] = [:]

  struct KeySlots {
    var running = 0
    var bucket: RateBucket?
    /// Demands in whose rings this key was parked.
    var parkedIn: Set<Int> = []

    mutating func finished() { running = max(0, running - 1) }
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
  }

  /// Whether the type as a whole may start one more now.
  mutating func mayStart(now: Timestamp) -> Bool {
    if settings.paused { return false }
    if let most = settings.limits.concurrency, running >= most { return false }
    return bucket?.hasToken(now: now) ?? true
  }

  var isLimited: Bool {
    if let most = settings.limits.concurrency, running >= most { return true }
    return false
  }

  /// When a rate limit alone keeps it from starting: the time of the next token.
  mutating func nextToken(now: Timestamp) -> Timestamp? {
    guard !settings.paused, !isLimited, let bucket else { return nil }
    return bucket.nextToken(after: now)
  }

  private var limitsKeys: Bool {
    settings.perKey.concurrency != nil || settings.perKey.ratePerSecond != nil
  }

  /// Whether this key may start one more now.
  mutating func mayStart(key: String, now: Timestamp) -> Bool {
    guard limitsKeys else { return true }
    if let most = settings.perKey.concurrency, (keys[key]?.running ?? 0) >= most { return false }
    guard let rate = settings.perKey.ratePerSecond else { return true }
    if keys[key]?.bucket == nil {
      keys[key, default: KeySlots()].bucket = RateBucket(rate: rate, now: now)
    }
    return keys[key]?.bucket?.hasToken(now: now) ?? true
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

  mutating func started(key: String?) {
    running += 1
    bucket?.take()
    guard let key, limitsKeys else { return }
    keys[key, default: KeySlots()].running += 1
    keys[key]?.bucket?.take()
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

  /// Forgets idle keys whose bucket is full again, so that the table stays small.
  mutating func forgetIdleKeys(now: Timestamp) {
    keys = keys.filter { _, slots in
      var bucket = slots.bucket
      let idle = slots.running == 0 && slots.parkedIn.isEmpty
      return !(idle && (bucket?.hasToken(now: now) ?? true))
    }
  }

  var keyCount: Int { keys.count }
}
