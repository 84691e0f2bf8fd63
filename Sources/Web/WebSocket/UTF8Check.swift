// SPDX-License-Identifier: Apache-2.0
// Checks UTF-8 that comes in pieces, so that text fails at its first wrong byte.

/// Remembers where in a character the last piece ended.
struct UTF8Check {
  /// Bytes that the current character still needs.
  private var needed = 0
  /// What the next of them may be: fewer than 0x80...0xBF after some first bytes.
  private var next: ClosedRange<UInt8> = Self.following

  private static let following: ClosedRange<UInt8> = 0x80...0xBF

  /// No character is cut off.
  var isComplete: Bool { needed == 0 }

  /// False if the bytes cannot be part of UTF-8.
  mutating func take(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var index = 0
    while index < bytes.count {
      if needed == 0 {
        index += Self.asciiWords(bytes, from: index)
        guard index < bytes.count else { return true }
      }
      guard take(bytes[index]) else { return false }
      index += 1
    }
    return true
  }

  /// How many bytes from here on are ASCII, in steps of eight.
  private static func asciiWords(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
    var count = 0
    while bytes.count - start - count >= 8,
      bytes.loadUnaligned(fromByteOffset: start + count, as: UInt64.self) & 0x8080_8080_8080_8080
        == 0
    {
      count += 8
    }
    return count
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    if needed > 0 {
      guard next.contains(byte) else { return false }
      needed -= 1
      next = Self.following
      return true
    }
    switch byte {
    case 0x00...0x7F: return true
    case 0xC2...0xDF: begin(1)
    case 0xE0: begin(2, 0xA0...0xBF)
    case 0xED: begin(2, 0x80...0x9F)
    case 0xE1...0xEF: begin(2)
    case 0xF0: begin(3, 0x90...0xBF)
    case 0xF1...0xF3: begin(3)
    case 0xF4: begin(3, 0x80...0x8F)
    default: return false
    }
    return true
  }

  private mutating func begin(_ count: Int, _ next: ClosedRange<UInt8> = Self.following) {
    needed = count
    self.next = next
  }
}
