// SPDX-License-Identifier: Apache-2.0
// A view of one value of an accepted document.

/// One value. Keeps its document alive; copying it costs one reference.
package struct JSONNode: Sendable {
  let tape: JSONTape
  let index: Int

  init(tape: JSONTape, index: Int) {
    self.tape = tape
    self.index = index
  }

  var token: JSONToken { tape.tokens[index] }

  package var kind: JSONKind { token.kind }
  package var isNull: Bool { kind == .null }
  /// Offset of the value's first byte in the document.
  package var byteOffset: Int { Int(token.start) }
  /// Members of an object or elements of an array; 0 for a scalar.
  package var count: Int { token.count }

  // MARK: Scalars

  package var boolValue: Bool? {
    let token = token
    return token.kind == .bool ? token.isTrue : nil
  }

  /// The text of a string, unescaped.
  package var stringValue: String? {
    let token = token
    guard token.kind == .string else { return nil }
    return withContent(token) { String(decoding: $0, as: UTF8.self) }
  }

  /// The UTF-8 bytes of a string, unescaped.
  package var stringBytes: [UInt8]? {
    let token = token
    guard token.kind == .string else { return nil }
    return withContent(token) { Array($0) }
  }

  /// An integer written with digits only, if it fits; nil for `5.0` and `5e0`.
  package var int64Value: Int64? {
    let token = token
    guard token.kind == .number, token.isInteger else { return nil }
    return withRawBytes(JSONNumber.int64)
  }

  /// The nearest finite double of any number.
  package var doubleValue: Double? {
    let token = token
    guard token.kind == .number else { return nil }
    return withRawBytes(JSONNumber.double)
  }

  /// True for a number written with digits only, whatever its size.
  package var isInteger: Bool {
    let token = token
    return token.kind == .number && token.isInteger
  }

  /// True for a string that equals `text` byte by byte.
  package func isString(_ text: String) -> Bool {
    let token = token
    return token.kind == .string && withContent(token) { JSONNode.equal($0, text) }
  }

  // MARK: Source

  /// The value exactly as it stands in the source.
  package var rawBytes: [UInt8] { withRawBytes { Array($0) } }

  /// `rawBytes` as a slice.
  package var rawSlice: ArraySlice<UInt8> { rawBytes[...] }

  /// Length of the value in the source, in bytes.
  package var rawByteCount: Int {
    let token = token
    return Int(token.end) - Int(token.start)
  }

  /// Calls `body` with the value's source bytes; the pointer may not leave it.
  package func withRawBytes<Value>(_ body: (UnsafeBufferPointer<UInt8>) -> Value) -> Value {
    let token = token
    return withExtendedLifetime(tape) {
      body(UnsafeBufferPointer(rebasing: tape.source[Int(token.start)..<Int(token.end)]))
    }
  }

  /// Calls `body` with the unescaped content of a string or key.
  func withContent<Value>(
    _ token: JSONToken, _ body: (UnsafeBufferPointer<UInt8>) -> Value
  ) -> Value {
    withExtendedLifetime(tape) {
      let range = token.contentStart..<token.contentEnd
      guard token.isEscaped else { return body(UnsafeBufferPointer(rebasing: tape.source[range])) }
      var text: [UInt8] = []
      text.reserveCapacity(range.count)
      JSONText.appendUnescaped(tape.source, range, to: &text)
      return text.withUnsafeBufferPointer(body)
    }
  }

  static func equal(_ bytes: UnsafeBufferPointer<UInt8>, _ text: String) -> Bool {
    guard bytes.count == text.utf8.count else { return false }
    return bytes.elementsEqual(text.utf8)
  }
}
