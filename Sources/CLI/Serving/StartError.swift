// SPDX-License-Identifier: Apache-2.0
// Why the server did not start, in one sentence.

/// Printed as it is; the process ends with `code`.
struct StartError: Error, CustomStringConvertible {
  var description: String
  var code: Int32 = 1

  init(_ sentence: String, code: Int32 = 1) {
    description = sentence
    self.code = code
  }
}
