// SPDX-License-Identifier: Apache-2.0
// Base64 and hexadecimal, strict and without Foundation.

/// Base64 with the standard alphabet and padding (RFC 4648 §4).
package enum Base64 {
  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let padding = UInt8(ascii: "=")

  package static func encode(_ bytes: some Sequence<UInt8>) -> String {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.underestimatedCount / 3 + 1) * 4)
    var bits: UInt32 = 0
    var pending = 0
    for byte in bytes {
      bits = bits << 8 | UInt32(byte)
      pending += 1
      if pending == 3 {
        append(bits, digits: 4, to: &text)
        (bits, pending) = (0, 0)
      }
    }
    if pending > 0 {
      append(bits << (pending == 1 ? 16 : 8), digits: pending + 1, to: &text)
      text.append(contentsOf: repeatElement(padding, count: 3 - pending))
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Nil unless `text` is exactly what `encode` writes for some bytes: no white space, no missing
  /// padding, no stray bits before it.
  package static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
    guard text.count % 4 == 0 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 4 * 3)
    var bits: UInt32 = 0
    var digits = 0
    var padded = 0
    for character in text {
      if character == padding {
        padded += 1
        bits <<= 6
      } else {
        guard padded == 0, let digit = value(of: character) else { return nil }
        bits = bits << 6 | digit
      }
      digits += 1
      guard digits == 4 else { continue }
      guard padded <= 2, bits & (padded == 2 ? 0xFFFF : padded == 1 ? 0xFF : 0) == 0 else {
        return nil
      }
      for shift in [16, 8, 0].prefix(3 - padded) {
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(shift)))
      }
      (bits, digits) = (0, 0)
      if padded > 0 { padded = 3 }
    }
    return bytes
  }

  package static func decode(_ text: String) -> [UInt8]? {
    decode(text.utf8)
  }

  private static func append(_ bits: UInt32, digits: Int, to text: inout [UInt8]) {
    var shift: UInt32 = 18
    for _ in 0..<digits {
      text.append(alphabet[Int(bits >> shift & 0x3F)])
      shift = shift &- 6
    }
  }

  private static func value(of character: UInt8) -> UInt32? {
    switch character {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a") + 26)
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0") + 52)
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }
}

/// Hexadecimal in lower case.
package enum Hex {
  package static func encode(_ bytes: some Sequence<UInt8>) -> String {
    var text: [UInt8] = []
    text.reserveCapacity(bytes.underestimatedCount * 2)
    for byte in bytes {
      text.append(digit(byte >> 4))
      text.append(digit(byte & 0xF))
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Nil unless `text` is an even number of the digits 0–9 and a–f.
  package static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
    guard text.count % 2 == 0 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 2)
    var high: UInt8?
    for character in text {
      guard let digit = value(of: character) else { return nil }
      if let first = high {
        bytes.append(first << 4 | digit)
        high = nil
      } else {
        high = digit
      }
    }
    return bytes
  }

  package static func decode(_ text: String) -> [UInt8]? {
    decode(text.utf8)
  }

  private static func digit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
  }

  private static func value(of character: UInt8) -> UInt8? {
    switch character {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
    default: nil
    }
  }
}
