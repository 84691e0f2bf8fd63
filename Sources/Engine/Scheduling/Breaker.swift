// SPDX-License-Identifier: Apache-2.0
// A circuit breaker as a value: five failures in a row open it, half-open lets one dispatch
// through.
package import Domain

/// Closed → (failures in a row) → open → (time) → half-open → one trial decides.
package struct Breaker: Sendable, Equatable {
  package enum State: Sendable, Equatable {
    case closed(failures: Int)
    case open(until: Timestamp, step: Int64)
    case trial(step: Int64)
  }

  package private(set) var state = State.closed(failures: 0)

  package init() {}

  /// How many dispatches may go out now, at most `wanted`.
  package func allows(_ wanted: Int, now: Timestamp) -> Int {
    switch state {
    case .closed: wanted
    case .open(let until, _): now >= until ? min(1, wanted) : 0
    case .trial: 0
    }
  }

  /// A dispatch goes out.
  package mutating func started(now: Timestamp) {
    if case .open(let until, let step) = state, now >= until { state = .trial(step: step) }
  }

  package mutating func succeeded() { state = .closed(failures: 0) }

  package mutating func failed(now: Timestamp) {
    switch state {
    case .closed(let failures) where failures + 1 < Limits.breakerFailures:
      state = .closed(failures: failures + 1)
    case .closed: open(step: Limits.pushBackFirst, now: now)
    case .trial(let step): open(step: min(step * 2, Limits.pushBackMost), now: now)
    case .open: break
    }
  }

  /// A trial that told nothing (the agent was busy, or its attempt was taken back).
  package mutating func undecided(now: Timestamp) {
    if case .trial(let step) = state { open(step: step, now: now) }
  }

  /// When it will let the next one through; nil while closed.
  package var opensAt: Timestamp? {
    if case .open(let until, _) = state { return until }
    return nil
  }

  /// The wall clock was set.
  package mutating func shift(by delta: Int64) {
    if case .open(let until, let step) = state {
      state = .open(until: until.adding(milliseconds: delta), step: step)
    }
  }

  private mutating func open(step: Int64, now: Timestamp) {
    state = .open(until: now.adding(milliseconds: step), step: step)
  }
}
