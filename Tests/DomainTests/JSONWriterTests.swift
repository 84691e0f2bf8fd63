// SPDX-License-Identifier: Apache-2.0
// Writing JSON and reading it back.

import Domain
import Foundation
import Testing

@Suite struct JSONWriterTests {
  @Test func `commas and nesting`() {
    var writer = JSONWriter()
    writer.object { writer in
      writer.field("a", 1)
      writer.key("b\n")
      writer.array { writer in
        writer.int(Int64.min)
        writer.null()
        writer.beginObject()
        writer.endObject()
        writer.string("x")
        writer.beginArray()
        writer.endArray()
        writer.bool(true)
      }
      writer.field("c", raw: Array("{\"k\": 1 }".utf8))
      writer.field("d", ["p", "q"])
      writer.field("e", ["z": "1", "a": "2"])
      writer.field("f", Timestamp(milliseconds: 0))
      writer.field(ifPresent: "g", String?.none)
      writer.field(ifPresent: "h", 7)
      writer.field("i", false)
      writer.field("j", 2.5)
    }
    #expect(
      text(writer.bytes) == #"{"a":1,"b\n":[-9223372036854775808,null,{},"x",[],true],"#
        + #""c":{"k": 1 },"d":["p","q"],"e":{"a":"2","z":"1"},"f":"1970-01-01T00:00:00.000Z","#
        + #""h":7,"i":false,"j":2.5}"#)
    writer.removeAll()
    writer.int(1)
    writer.newline()
    writer.int(2)
    #expect(text(writer.bytes) == "1\n2")
  }

  @Test func `numbers`() {
    var writer = JSONWriter()
    writer.array { writer in
      for value in [
        0, 0.1, -1.5, 1e300, .leastNonzeroMagnitude, 1e16, 100, .infinity, -.infinity, .nan,
      ] {
        writer.double(value)
      }
      writer.int(UInt64.max)
      writer.int(UInt8(200))
      writer.int(-0)
      writer.int(10)
    }
    #expect(
      text(writer.bytes)
        == "[0.0,0.1,-1.5,1e+300,5e-324,1e+16,100.0,null,null,null,9223372036854775807,200,0,10]")
    #expect(refusal(writer.bytes) == nil)
  }

  @Test func `escapes`() {
    var writer = JSONWriter()
    writer.string("\u{0}\u{1}\u{8}\t\n\u{B}\u{C}\r\u{1F} \"\\/\u{7F}é\u{2028}😀")
    #expect(
      text(writer.bytes)
        == "\"\\u0000\\u0001\\b\\t\\n\\u000b\\f\\r\\u001f \\\"\\\\/\u{7F}é\u{2028}😀\"")
  }

  @Test func `random strings come back`() throws {
    var generator = SeededGenerator(seed: 11)
    for _ in 0..<2_000 {
      let length = Int.random(in: 0...40, using: &generator)
      let original = String(
        String.UnicodeScalarView((0..<length).map { _ in Self.scalar(&generator) }))
      var writer = JSONWriter()
      writer.array { $0.string(original) }
      let root = try JSONDocument(writer.bytes).root
      #expect(root[0]?.stringBytes == Array(original.utf8))
      let judge = try JSONSerialization.jsonObject(with: Data(writer.bytes)) as? [String]
      #expect(judge?.first.map { Array($0.utf8) } == Array(original.utf8))
    }
  }

  @Test func `random doubles and integers come back`() throws {
    var generator = SeededGenerator(seed: 12)
    for _ in 0..<2_000 {
      let double = Double(bitPattern: generator.next())
      let int = Int64(bitPattern: generator.next()) >> Int64.random(in: 0...63, using: &generator)
      var writer = JSONWriter()
      writer.array { writer in
        writer.double(double)
        writer.int(int)
      }
      let root = try JSONDocument(writer.bytes).root
      if double.isFinite { #expect(root[0]?.doubleValue == double) }
      #expect(root[1]?.int64Value == int)
    }
  }

  /// Mostly what needs escaping or several bytes; never U+0000, which documents may not hold.
  private static func scalar(_ generator: inout SeededGenerator) -> Unicode.Scalar {
    let ranges: [ClosedRange<UInt32>] = [
      1...0x1F, 0x20...0x7E, 0x22...0x22, 0x5C...0x5C, 0x80...0x7FF, 0x800...0xD7FF,
      0xE000...0xFFFF, 0x10000...0x10FFFF,
    ]
    let range = ranges[Int.random(in: 0..<ranges.count, using: &generator)]
    return Unicode.Scalar(UInt32.random(in: range, using: &generator)) ?? "x"
  }
}
