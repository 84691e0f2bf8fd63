// SPDX-License-Identifier: Apache-2.0
// A field of understood JSON that is not what the contract asks.

/// The refusal of one field.
package struct FieldError: Error, Sendable, Hashable, CustomStringConvertible {
  package enum Kind: String, Sendable, CaseIterable {
    /// A required field is absent or null.
    case missing
    /// The value is of another JSON type.
    case wrongType
    /// A number, length or count is beyond its bounds.
    case outOfRange
    /// No such field is known here.
    case unknown
    /// The value is bigger than is accepted at all.
    case tooLarge
    /// The value has the right type and size and is still not acceptable.
    case invalid
  }

  package let kind: Kind
  /// The field, as `retry.maxAttempts`; empty for the whole document.
  package let path: String
  /// A sentence for people that does not repeat the path.
  package let message: String

  package init(kind: Kind, path: String, message: String) {
    self.kind = kind
    self.path = path
    self.message = message
  }

  package var description: String {
    path.isEmpty ? message : "\(path): \(message)"
  }
}
