// SPDX-License-Identifier: Apache-2.0
// Numbers by the grammar of RFC 8259 §6.

extension JSONScan {
  /// Scans the number at `position`. Its text is kept; only its form and magnitude are checked.
  mutating func number() throws(JSONFault) {
    var cursor = position
    var flags = JSONToken.integer
    if bytes[cursor] == UInt8(ascii: "-") { cursor += 1 }
    let whole = try digits(&cursor)
    if whole > 1, bytes[cursor - whole] == UInt8(ascii: "0") { throw fault(.badNumber) }
    if cursor < end, bytes[cursor] == UInt8(ascii: ".") {
      flags = 0
      cursor += 1
      _ = try digits(&cursor)
    }
    var hasExponent = false
    if cursor < end, bytes[cursor] | 0x20 == UInt8(ascii: "e") {
      flags = 0
      hasExponent = true
      cursor += 1
      if cursor < end, bytes[cursor] == UInt8(ascii: "+") || bytes[cursor] == UInt8(ascii: "-") {
        cursor += 1
      }
      _ = try digits(&cursor)
    }
    let length = cursor - position
    if hasExponent || length > 300 { try checkMagnitude(length) }
    append(.number, length: length, flags: flags)
  }

  /// Moves over one or more digits and returns how many there were.
  @inline(__always)
  private func digits(_ cursor: inout Int) throws(JSONFault) -> Int {
    let first = cursor
    while cursor < end, bytes[cursor] &- UInt8(ascii: "0") < 10 { cursor += 1 }
    if cursor == first { throw fault(.badNumber) }
    return cursor - first
  }

  /// Only a long number or one with an exponent can be beyond a double.
  private func checkMagnitude(_ length: Int) throws(JSONFault) {
    guard length <= JSONLimits.numberBytes else { throw fault(.numberOutOfRange) }
    let text = UnsafeBufferPointer(rebasing: bytes[position..<position + length])
    guard JSONNumber.double(text) != nil else { throw fault(.numberOutOfRange) }
  }
}

/// Conversion of number texts that the scanner has accepted.
enum JSONNumber {
  /// The nearest finite double; nil if the number is beyond the largest one.
  static func double(_ text: UnsafeBufferPointer<UInt8>) -> Double? {
    guard let value = Double(String(decoding: text, as: UTF8.self)), value.isFinite else {
      return nil
    }
    return value
  }

  /// The exact integer of a text of digits with an optional minus; nil beyond 64 bits.
  static func int64(_ text: UnsafeBufferPointer<UInt8>) -> Int64? {
    let negative = text.first == UInt8(ascii: "-")
    var value: Int64 = 0
    for byte in text.dropFirst(negative ? 1 : 0) {
      let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
      let digit = Int64(byte &- UInt8(ascii: "0"))
      let (sum, carry) =
        negative
        ? scaled.subtractingReportingOverflow(digit) : scaled.addingReportingOverflow(digit)
      if overflow || carry { return nil }
      value = sum
    }
    return value
  }
}
