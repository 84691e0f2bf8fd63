// SPDX-License-Identifier: Apache-2.0
// One entry of the tape that the scanner writes.

/// The kind of a JSON value.
package enum JSONKind: UInt8, Sendable {
  case null, bool, number, string, array, object
}

/// Sixteen bytes that place one value or key in the source.
struct JSONToken: Sendable {
  /// Offset of the first byte; of a string, of its opening quote.
  var start: UInt32
  /// Offset behind the last byte. While a container is open: the index of its parent.
  var end: UInt32
  /// Index of the token behind this one and everything inside it.
  var next: UInt32
  /// Bits 0–3 kind, 4–7 flags, 8–31 number of members or elements.
  var info: UInt32

  static let noParent = UInt32.max
  /// A string or key that has escape sequences; an object that has such a key.
  static let escaped: UInt32 = 1 << 4
  /// A number of digits only, with an optional minus.
  static let integer: UInt32 = 1 << 5
  /// The literal `true`.
  static let yes: UInt32 = 1 << 6

  init(_ kind: JSONKind, start: Int, end: Int, next: Int, flags: UInt32 = 0) {
    self.start = UInt32(truncatingIfNeeded: start)
    self.end = UInt32(truncatingIfNeeded: end)
    self.next = UInt32(truncatingIfNeeded: next)
    self.info = UInt32(kind.rawValue) | flags
  }

  var kind: JSONKind { JSONKind(rawValue: UInt8(truncatingIfNeeded: info & 0xF)) ?? .null }
  var count: Int { Int(info >> 8) }
  var isEscaped: Bool { info & Self.escaped != 0 }
  var isInteger: Bool { info & Self.integer != 0 }
  var isTrue: Bool { info & Self.yes != 0 }
  /// Of a string: where its content starts and ends, without the quotes.
  var contentStart: Int { Int(start) + 1 }
  var contentEnd: Int { Int(end) - 1 }
  var contentLength: Int { Int(end) - Int(start) - 2 }

  mutating func setCount(_ count: Int) {
    info = (info & 0xFF) | UInt32(truncatingIfNeeded: count) << 8
  }
}
