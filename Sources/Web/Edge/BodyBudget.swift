// SPDX-License-Identifier: Apache-2.0
// Bounds the memory that the bodies of all requests take together.
import Domain
import Synchronization

/// One for the server. Bytes count from their arrival until their request is answered.
final class BodyBudget: Sendable {
  private let used = Atomic<Int>(0)
  private let most: Int

  private let onLimit: @Sendable () -> Void

  init(most: Int = 512 << 20, onLimit: @escaping @Sendable () -> Void = {}) {
    self.most = most
    self.onLimit = onLimit
  }

  /// False if they do not fit; else they are to be given back.
  func take(_ bytes: Int) -> Bool {
    guard used.add(bytes, ordering: .relaxed).newValue > most else { return true }
    give(bytes)
    onLimit()
    return false
  }

  func give(_ bytes: Int) { used.subtract(bytes, ordering: .relaxed) }
}

/// What one request has of the budget.
final class BodyShare {
  private let budget: BodyBudget
  private var bytes = 0

  init(of budget: BodyBudget) { self.budget = budget }

  func take(_ more: Int) throws(ControlError) {
    guard budget.take(more) else {
      throw ControlError(
        .limitReached, "The server is receiving too much at once; retry.", retryAfter: 1)
    }
    bytes += more
  }

  func release() {
    if bytes > 0 { budget.give(bytes) }
    bytes = 0
  }
}
