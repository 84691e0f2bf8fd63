// SPDX-License-Identifier: Apache-2.0
// Why the server does not start: one setting, where it stands, and what is allowed.
import Domain

/// A setting that cannot be used.
struct ConfigError: Error, Sendable, Equatable, CustomStringConvertible {
  /// `--port`, `ORRERY_PORT`, or a file with the path of the key.
  var setting: String
  /// A sentence that says what is allowed.
  var message: String

  var description: String { "\(setting): \(message)" }

  init(_ setting: String, _ message: String) {
    self.setting = setting
    self.message = message
  }

  init(file: String, _ error: JSONError) {
    self.init(file, error.message)
  }

  init(file: String, _ error: FieldError) {
    self.init(error.path.isEmpty ? file : "\(file): \(error.path)", error.message)
  }
}
