// SPDX-License-Identifier: Apache-2.0
// Callers that wait for something to happen to a key, with a time limit each.
package import Domain
import Synchronization

/// Wakes everyone who waits for a key; `expire` wakes those whose time is over.
package final class Waiters<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  private struct Waiter {
    var number: UInt64
    var until: Timestamp
    var continuation: CheckedContinuation<Value?, Never>
  }

  private struct State {
    var next: UInt64 = 0
    var waiting: [Key: [Waiter]] = [:]
    var count = 0
    /// Left before they were entered.
    var cancelled: Set<UInt64> = []
  }

  private let state = Mutex(State())
  private let most: Int

  package init(most: Int) { self.most = most }

  package var isEmpty: Bool { state.withLock { $0.count == 0 } }

  /// Waits for `wake(key)`; nil at `until`, when cancelled, or at once when too many wait already.
  ///
  /// - Parameter check: called once the waiter is entered; true ends the wait at once, so that what
  ///   happened just before is not missed.
  package func wait(
    for key: Key, until: Timestamp, check: @Sendable () async -> Bool = { false }
  ) async -> Value? {
    let number = state.withLock { state in
      state.next += 1
      return state.next
    }
    defer { state.withLock { _ = $0.cancelled.remove(number) } }
    return await withTaskCancellationHandler {
      async let checked: Void = leaveIfDone(number, key, check)
      let value = await withCheckedContinuation { continuation in
        let refused = state.withLock { state in
          guard state.count < most, state.cancelled.remove(number) == nil else { return true }
          state.waiting[key, default: []].append(
            Waiter(number: number, until: until, continuation: continuation))
          state.count += 1
          return false
        }
        if refused { continuation.resume(returning: nil) }
      }
      await checked
      return value
    } onCancel: {
      leave(number, key)
    }
  }

  private func leaveIfDone(
    _ number: UInt64, _ key: Key, _ check: @Sendable () async -> Bool
  ) async {
    if await check() { leave(number, key) }
  }

  private func leave(_ number: UInt64, _ key: Key) {
    let waiter: Waiter? = state.withLock { state in
      guard let index = state.waiting[key]?.firstIndex(where: { $0.number == number }) else {
        state.cancelled.insert(number)
        return nil
      }
      state.count -= 1
      let waiter = state.waiting[key]?.remove(at: index)
      if state.waiting[key]?.isEmpty == true { state.waiting[key] = nil }
      return waiter
    }
    waiter?.continuation.resume(returning: nil)
  }

  package func wake(_ key: Key, _ value: Value) {
    let waiters = state.withLock { state in
      guard let waiters = state.waiting.removeValue(forKey: key) else { return [Waiter]() }
      state.count -= waiters.count
      return waiters
    }
    for waiter in waiters { waiter.continuation.resume(returning: value) }
  }

  /// Wakes those whose time is over, with nil.
  package func expire(now: Timestamp) {
    let over: [Waiter] = state.withLock { state in
      guard state.count > 0 else { return [] }
      var over: [Waiter] = []
      for (key, waiters) in state.waiting {
        guard waiters.contains(where: { $0.until <= now }) else { continue }
        over += waiters.filter { $0.until <= now }
        let kept = waiters.filter { $0.until > now }
        state.waiting[key] = kept.isEmpty ? nil : kept
      }
      state.count -= over.count
      return over
    }
    for waiter in over { waiter.continuation.resume(returning: nil) }
  }

  /// Wakes everyone, at shutdown.
  package func dismissAll() {
    expire(now: Timestamp(milliseconds: .max))
  }
}
