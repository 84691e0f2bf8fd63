// SPDX-License-Identifier: Apache-2.0
// Why the server did not start, in one sentence.
import Engine

/// Printed as it is; the process ends with `code`.
struct StartError: Error, CustomStringConvertible {
  var description: String
  var code: Int32 = 1

  init(_ sentence: String, code: Int32 = 1) {
    description = sentence
    self.code = code
  }
}

extension StoreError {
  /// Why the database could not be used at the start.
  var startSentence: String {
    switch self {
    case .diskFull: "The disk is full; free space, then start again."
    case .unavailable(let reason): "The database cannot be used: \(reason)"
    case .overloaded: "Too many writes are waiting for the database."
    }
  }
}
