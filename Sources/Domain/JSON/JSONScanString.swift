// SPDX-License-Identifier: Apache-2.0
// Strings by RFC 8259 §7: UTF-8 well formed, escapes complete, no bare control characters.

extension JSONScan {
  /// Scans the string at `position` (its opening quote), writes its token and returns its flags.
  mutating func string() throws(JSONFault) -> UInt32 {
    let opening = position
    var flags: UInt32 = 0
    var cursor = opening + 1
    while true {
      cursor = JSONText.skipPlain(bytes, from: cursor, to: end)
      guard cursor < end else { throw JSONFault(kind: .unterminatedString, offset: end) }
      let byte = bytes[cursor]
      if byte == UInt8(ascii: "\"") { break }
      if byte == UInt8(ascii: "\\") {
        flags = JSONToken.escaped
        cursor += try escape(at: cursor)
      } else if byte >= 0x80 {
        let length = JSONText.sequenceLength(bytes, at: cursor, end: end)
        if length == 0 { throw JSONFault(kind: .invalidUTF8, offset: cursor) }
        cursor += length
      } else {
        throw JSONFault(kind: byte == 0 ? .nulCharacter : .controlCharacter, offset: cursor)
      }
    }
    if cursor - opening - 1 > limits.maxStringBytes { throw fault(.stringTooLong) }
    append(.string, length: cursor + 1 - opening, flags: flags)
    return flags
  }

  /// The length of the escape sequence at `cursor`, a backslash.
  private func escape(at cursor: Int) throws(JSONFault) -> Int {
    guard cursor + 1 < end else { throw JSONFault(kind: .unterminatedString, offset: end) }
    switch bytes[cursor + 1] {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
      UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      return 2
    case UInt8(ascii: "u"):
      return try unicodeEscape(at: cursor)
    default:
      throw JSONFault(kind: .badEscape, offset: cursor)
    }
  }

  private func unicodeEscape(at cursor: Int) throws(JSONFault) -> Int {
    guard let unit = JSONText.escapedUnit(bytes, at: cursor, end: end) else {
      throw JSONFault(kind: .badEscape, offset: cursor)
    }
    switch unit {
    case 0: throw JSONFault(kind: .nulCharacter, offset: cursor)
    case 0xDC00...0xDFFF: throw JSONFault(kind: .loneSurrogate, offset: cursor)
    case 0xD800...0xDBFF:
      guard let low = JSONText.escapedUnit(bytes, at: cursor + 6, end: end),
        (0xDC00...0xDFFF).contains(low)
      else { throw JSONFault(kind: .loneSurrogate, offset: cursor) }
      return 12
    default: return 6
    }
  }
}
