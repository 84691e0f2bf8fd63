// SPDX-License-Identifier: Apache-2.0
// A setting that must never be shown.

/// Text whose description, debug description and mirror are `***`.
struct SecretText: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible,
  CustomReflectable
{
  /// The secret itself.
  let value: String

  var description: String { "***" }
  var debugDescription: String { "***" }
  var customMirror: Mirror { Mirror(self, children: [], displayStyle: .struct) }
}
