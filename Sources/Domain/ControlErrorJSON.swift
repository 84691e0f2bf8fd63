// SPDX-License-Identifier: Apache-2.0
// What a refused document or field looks like to a caller.

extension ControlError {
  /// The document as a whole was not understood (400).
  package init(_ error: JSONError) {
    self.init(.invalidJSON, error.message, path: error.path.isEmpty ? nil : error.path)
  }

  /// The document was understood and one of its fields is wrong (422).
  package init(_ error: FieldError) {
    let code: Code =
      switch error.kind {
      case .tooLarge: .payloadTooLarge
      case .missing: .missingField
      case .unknown: .unknownField
      case .wrongType, .outOfRange, .invalid: .invalidField
      }
    self.init(code, error.message, path: error.path.isEmpty ? nil : error.path)
  }

  /// Runs `body` and hands a refused field on as an error for the caller.
  package static func field<Value>(
    _ body: () throws(FieldError) -> Value
  ) throws(ControlError) -> Value {
    do throws(FieldError) { return try body() } catch { throw ControlError(error) }
  }
}

extension JSONDocument {
  /// Scans a caller's bytes within `limits`; refusals are errors for the caller.
  package init(_ bytes: [UInt8], limits: Limits) throws(ControlError) {
    do throws(JSONError) {
      try self.init(
        bytes, limits: JSONLimits(maxDepth: limits.jsonDepth, maxValues: limits.jsonValues))
    } catch { throw ControlError(error) }
  }
}
