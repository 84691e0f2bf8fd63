// SPDX-License-Identifier: Apache-2.0
// When to ping, and when a client that does not answer is gone.
import NIOCore

/// Pure: it is asked what is due. The next ping is one interval after the pong.
struct PingClock {
  enum Due {
    case ping, timeout
  }

  private let interval: TimeAmount
  private let timeout: TimeAmount
  /// Of the next ping, or of the end of the wait for a pong.
  private(set) var next: NIODeadline
  private var isWaiting = false

  init(now: NIODeadline, interval: TimeAmount, timeout: TimeAmount) {
    self.interval = interval
    self.timeout = timeout
    next = now + interval
  }

  /// What is due now, once; nil if nothing is.
  mutating func due(_ now: NIODeadline) -> Due? {
    guard now >= next else { return nil }
    guard !isWaiting else { return .timeout }
    isWaiting = true
    // A timer that ran a little late takes nothing from the promise; a machine that slept does.
    next = (now - next > .seconds(1) ? now : next) + timeout
    return .ping
  }

  /// The next ping comes after this time at the latest.
  mutating func hasten(_ now: NIODeadline, within time: TimeAmount) {
    if !isWaiting { next = min(next, now + time) }
  }

  /// - Returns: whether a pong was waited for.
  mutating func pong(_ now: NIODeadline) -> Bool {
    guard isWaiting else { return false }
    isWaiting = false
    next = now + interval
    return true
  }
}
