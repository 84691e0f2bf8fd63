// SPDX-License-Identifier: Apache-2.0
// Cuts newline-delimited JSON into the ranges of its lines.

/// The lines of an NDJSON body that hold anything, each with its number from 1 and its range
/// without the line end. A line end inside a document is impossible in NDJSON, so no JSON is read.
package struct JSONLines: Sequence, IteratorProtocol, Sendable {
  package struct Line: Sendable, Hashable {
    package let number: Int
    package let range: Range<Int>
  }

  private let bytes: [UInt8]
  private var position = 0
  private var number = 0

  package init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  package mutating func next() -> Line? {
    while position < bytes.count {
      let start = position
      var end = bytes.withUnsafeBufferPointer { Self.lineEnd($0, from: start) }
      position = end + 1
      number += 1
      while end > start, Self.isSpace(bytes[end - 1]) { end -= 1 }
      if end > start { return Line(number: number, range: start..<end) }
    }
    return nil
  }

  private static func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x0D || byte == 0x09
  }

  private static func lineEnd(_ bytes: UnsafeBufferPointer<UInt8>, from: Int) -> Int {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let raw = UnsafeRawBufferPointer(bytes)
    var cursor = from
    while bytes.count - cursor >= 8 {
      let word = UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: cursor, as: UInt64.self))
      let marked = word ^ (ones &* 0x0A)
      let found = (marked &- ones) & ~marked & (ones &* 0x80)
      if found != 0 { return cursor + found.trailingZeroBitCount >> 3 }
      cursor += 8
    }
    while cursor < bytes.count, bytes[cursor] != 0x0A { cursor += 1 }
    return cursor
  }
}
