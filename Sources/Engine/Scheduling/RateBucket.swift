// SPDX-License-Identifier: Apache-2.0
// A token bucket: so many starts a second, with a small burst.
import Domain

/// Allows `rate` starts a second; after a pause at most a tenth of a second's worth at once.
struct RateBucket {
  private(set) var rate: Double
  private var tokens: Double
  private var updated: Timestamp

  init(rate: Double, now: Timestamp) {
    self.rate = rate
    tokens = 1
    updated = now
  }

  private var burst: Double { max(1, rate / 10) }

  mutating func refill(now: Timestamp) {
    let elapsed = now.milliseconds(since: updated)
    guard elapsed > 0 else {
      if elapsed < 0 { updated = now }
      return
    }
    tokens = min(burst, tokens + Double(elapsed) * rate / 1_000)
    updated = now
  }

  func hasToken(now: Timestamp) -> Bool {
    let elapsed = max(0, now.milliseconds(since: updated))
    return min(burst, tokens + Double(elapsed) * rate / 1_000) >= 1
  }

  mutating func take() { tokens -= 1 }
  mutating func giveBack() { tokens = min(burst, tokens + 1) }

  /// The wall clock was set.
  mutating func shift(by delta: Int64) { updated = updated.adding(milliseconds: delta) }

  /// When the next token is there.
  func nextToken(after now: Timestamp) -> Timestamp {
    let missing = max(0, 1 - tokens)
    let wait = (missing / rate * 1_000).rounded(.up)
    return now.adding(milliseconds: max(1, Int64(min(wait, 86_400_000))))
  }
}
