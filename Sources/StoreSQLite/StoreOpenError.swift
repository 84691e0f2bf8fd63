// SPDX-License-Identifier: Apache-2.0
// Why a database could not be opened, in a sentence for people.

/// `message` says what is wrong and what to do; it names files, never secrets.
package struct StoreOpenError: Error, Sendable, Equatable, CustomStringConvertible {
  package enum Reason: Sendable, Equatable {
    case unwritableFolder, locked, damaged, foreign, newer, failed
  }

  package var reason: Reason
  package var message: String

  package init(_ reason: Reason, _ message: String) {
    self.reason = reason
    self.message = message
  }

  package var description: String { message }
}
