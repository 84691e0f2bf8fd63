// SPDX-License-Identifier: Apache-2.0
// Why a store could not do what was asked.

/// A closed set, so that every caller says what it does about each.
package enum StoreError: Error, Sendable, Equatable {
  /// The disk is full: nothing of this transaction was written; trying later may succeed.
  case diskFull
  /// The store cannot be used now (an I/O error, a lost connection); the sentence is for logs.
  case unavailable(String)
  /// Too many writes are waiting.
  case overloaded
}
