// SPDX-License-Identifier: Apache-2.0
// Bytes of JSON strings: finding what is special, checking UTF-8, undoing and writing escapes.

enum JSONText {
  private static let ones: UInt64 = 0x0101_0101_0101_0101
  private static let highs: UInt64 = 0x8080_8080_8080_8080

  /// The first offset in `from..<to` that holds a quote, a backslash, a control character or a
  /// byte beyond ASCII; `to` if there is none.
  @inline(__always)
  static func skipPlain(
    _ bytes: UnsafeBufferPointer<UInt8>, from: Int, to end: Int
  ) -> Int {
    var cursor = from
    let raw = UnsafeRawBufferPointer(bytes)
    while end - cursor >= 8 {
      let word = UInt64(
        littleEndian: raw.loadUnaligned(fromByteOffset: cursor, as: UInt64.self))
      let special = specials(word)
      if special != 0 { return cursor + special.trailingZeroBitCount >> 3 }
      cursor += 8
    }
    while cursor < end, isPlain(bytes[cursor]) { cursor += 1 }
    return cursor
  }

  /// A word whose lowest set bit is in the first special byte; zero if there is none.
  @inline(__always)
  private static func specials(_ word: UInt64) -> UInt64 {
    let quote = word ^ (ones &* 0x22)
    let backslash = word ^ (ones &* 0x5C)
    let control = (word &- ones &* 0x20) & ~word
    let quotes = (quote &- ones) & ~quote
    let backslashes = (backslash &- ones) & ~backslash
    return (control | quotes | backslashes | word) & highs
  }

  @inline(__always)
  static func isPlain(_ byte: UInt8) -> Bool {
    byte >= 0x20 && byte < 0x80 && byte != 0x22 && byte != 0x5C
  }

  /// The length of the UTF-8 sequence of two to four bytes at `cursor`; 0 if it is not well
  /// formed (overlong, a surrogate, beyond U+10FFFF, or cut off).
  static func sequenceLength(
    _ bytes: UnsafeBufferPointer<UInt8>, at cursor: Int, end: Int
  ) -> Int {
    let length: Int
    let second: ClosedRange<UInt8>
    switch bytes[cursor] {
    case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
    case 0xE0: (length, second) = (3, 0xA0...0xBF)
    case 0xED: (length, second) = (3, 0x80...0x9F)
    case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
    case 0xF0: (length, second) = (4, 0x90...0xBF)
    case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
    case 0xF4: (length, second) = (4, 0x80...0x8F)
    default: return 0
    }
    guard end - cursor >= length, second.contains(bytes[cursor + 1]) else { return 0 }
    for offset in 2..<max(length, 2) where bytes[cursor + offset] & 0xC0 != 0x80 { return 0 }
    return length
  }

  /// The UTF-16 unit of `\uXXXX` at `cursor`; nil if that is not what is there.
  static func escapedUnit(
    _ bytes: UnsafeBufferPointer<UInt8>, at cursor: Int, end: Int
  ) -> UInt32? {
    guard end - cursor >= 6, bytes[cursor] == UInt8(ascii: "\\"),
      bytes[cursor + 1] == UInt8(ascii: "u")
    else { return nil }
    var unit: UInt32 = 0
    for offset in 2..<6 {
      guard let digit = hexDigit(bytes[cursor + offset]) else { return nil }
      unit = unit << 4 | digit
    }
    return unit
  }

  private static func hexDigit(_ byte: UInt8) -> UInt32? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a") + 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A") + 10)
    default: nil
    }
  }

  /// Appends the content of an accepted string, `range` between its quotes, without escapes.
  static func appendUnescaped(
    _ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, to output: inout [UInt8]
  ) {
    var cursor = range.lowerBound
    while cursor < range.upperBound {
      let byte = bytes[cursor]
      guard byte == UInt8(ascii: "\\"), cursor + 1 < range.upperBound else {
        output.append(byte)
        cursor += 1
        continue
      }
      cursor += appendEscape(bytes, at: cursor, end: range.upperBound, to: &output)
    }
  }

  /// Appends what the escape at `cursor` stands for and returns its length.
  private static func appendEscape(
    _ bytes: UnsafeBufferPointer<UInt8>, at cursor: Int, end: Int, to output: inout [UInt8]
  ) -> Int {
    switch bytes[cursor + 1] {
    case UInt8(ascii: "b"): output.append(0x08)
    case UInt8(ascii: "f"): output.append(0x0C)
    case UInt8(ascii: "n"): output.append(0x0A)
    case UInt8(ascii: "r"): output.append(0x0D)
    case UInt8(ascii: "t"): output.append(0x09)
    case UInt8(ascii: "u"):
      let high = escapedUnit(bytes, at: cursor, end: end) ?? 0xFFFD
      guard (0xD800...0xDBFF).contains(high) else {
        appendScalar(high, to: &output)
        return 6
      }
      let low = escapedUnit(bytes, at: cursor + 6, end: end) ?? 0xDC00
      appendScalar(0x10000 + (high & 0x3FF) << 10 + (low & 0x3FF), to: &output)
      return 12
    default: output.append(bytes[cursor + 1])
    }
    return 2
  }

  private static func appendScalar(_ value: UInt32, to output: inout [UInt8]) {
    let scalar = Unicode.Scalar(value) ?? "\u{FFFD}"
    output.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
  }

  /// Appends UTF-8 text with the fewest escapes that RFC 8259 asks for, without quotes.
  static func appendEscaped(_ text: UnsafeBufferPointer<UInt8>, to output: inout [UInt8]) {
    var cursor = 0
    while cursor < text.count {
      let plainEnd = skipUnescaped(text, from: cursor)
      if plainEnd > cursor {
        output.append(contentsOf: UnsafeBufferPointer(rebasing: text[cursor..<plainEnd]))
        cursor = plainEnd
      }
      guard cursor < text.count else { return }
      appendEscape(of: text[cursor], to: &output)
      cursor += 1
    }
  }

  /// The first offset from `from` on whose byte needs an escape.
  private static func skipUnescaped(_ text: UnsafeBufferPointer<UInt8>, from: Int) -> Int {
    var cursor = from
    while true {
      cursor = skipPlain(text, from: cursor, to: text.count)
      guard cursor < text.count, text[cursor] >= 0x80 else { return cursor }
      while cursor < text.count, text[cursor] >= 0x80 { cursor += 1 }
    }
  }

  private static func appendEscape(of byte: UInt8, to output: inout [UInt8]) {
    output.append(UInt8(ascii: "\\"))
    switch byte {
    case 0x22, 0x5C: output.append(byte)
    case 0x08: output.append(UInt8(ascii: "b"))
    case 0x0C: output.append(UInt8(ascii: "f"))
    case 0x0A: output.append(UInt8(ascii: "n"))
    case 0x0D: output.append(UInt8(ascii: "r"))
    case 0x09: output.append(UInt8(ascii: "t"))
    default:
      output.append(contentsOf: [0x75, 0x30, 0x30])
      for digit in [byte >> 4, byte & 0xF] {
        output.append(digit < 10 ? digit + UInt8(ascii: "0") : digit - 10 + UInt8(ascii: "a"))
      }
    }
  }
}
