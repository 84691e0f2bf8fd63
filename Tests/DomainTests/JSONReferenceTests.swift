// SPDX-License-Identifier: Apache-2.0
// The scanner and the reference agree on random and on damaged documents: yes or no, and values.

import Foundation
import Testing

@Suite struct JSONReferenceTests {
  @Test(arguments: 0..<8)
  func `damaged documents`(seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed) &* 7_919 &+ 1)
    var accepted = 0
    for round in 0..<1_000 {
      var source = JSONFuzzTests.seeds.map { Array($0.utf8) }[round % JSONFuzzTests.seeds.count]
      if round % 3 > 0 { source = JSONSamples.document(&generator) }
      let bytes = round % 5 == 0 ? source : JSONFuzzTests.damaged(source, &generator)
      if let difference = JSONReference.difference(bytes) { Issue.record("\(difference)") }
      if JSONReference.read(bytes) != nil { accepted += 1 }
    }
    #expect((100...900).contains(accepted), "\(accepted): both sides must be reached")
  }

  /// Where Foundation's reader is stricter or more lenient is written down here, and nowhere else.
  @Test(arguments: [
    (#"{"a":1,"a":2}"#, "duplicate keys"), (#"["\u0000"]"#, "U+0000"),
    (String(repeating: "[", count: 65) + String(repeating: "]", count: 65), "depth"),
  ])
  func `what Foundation takes and we do not`(text: String, what: String) throws {
    let bytes = Array(text.utf8)
    _ = try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
    #expect(refusal(bytes) != nil && JSONReference.read(bytes) == nil, "\(what)")
  }

  @Test func `other encodings are refused by both`() {
    for encoding in [String.Encoding.utf16, .utf16LittleEndian, .utf16BigEndian, .utf32] {
      let bytes = Array("[1]".data(using: encoding) ?? Data())
      #expect(!bytes.isEmpty && JSONReference.read(bytes) == nil && refusal(bytes) != nil)
    }
    let marked = [0xEF, 0xBB, 0xBF] + Array("[1]".utf8)
    #expect(JSONReference.read(marked) == nil && refusal(marked) != nil)
  }
}

/// Random documents that are mostly good: spaces, escapes, many keys, edges of every kind.
enum JSONSamples {
  static func document(_ generator: inout SeededGenerator) -> [UInt8] {
    var text = ""
    if chance(12, &generator) {
      let depth = Int.random(in: 60...67, using: &generator)
      text = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    } else {
      value(&text, depth: 0, &generator)
    }
    return Array(text.utf8)
  }

  private static func chance(_ one: UInt64, _ generator: inout SeededGenerator) -> Bool {
    generator.next() % one == 0
  }

  private static func pick(_ list: [String], _ generator: inout SeededGenerator) -> String {
    list[Int.random(in: list.indices, using: &generator)]
  }

  private static func value(_ text: inout String, depth: Int, _ generator: inout SeededGenerator) {
    text += pick(["", "", "", " ", "\n\t", "\r"], &generator)
    switch Int.random(in: depth > 4 ? 2...5 : 0...5, using: &generator) {
    case 0: list("[", "]", &text, depth, &generator) { value(&$0, depth: depth + 1, &$1) }
    case 1:
      list("{", "}", &text, depth, &generator) {
        string(&$0, &$1)
        $0 += pick([":", " :", ": "], &$1)
        value(&$0, depth: depth + 1, &$1)
      }
    case 2: string(&text, &generator)
    case 3: text += pick(["null", "true", "false"], &generator)
    default: text += number(&generator)
    }
  }

  private static func list(
    _ open: String, _ close: String, _ text: inout String, _ depth: Int,
    _ generator: inout SeededGenerator, _ item: (inout String, inout SeededGenerator) -> Void
  ) {
    text += open
    // More than 16 keys are looked up in another way.
    let count = chance(9, &generator) ? 20 : Int.random(in: 0...4, using: &generator)
    for index in 0..<count {
      if index > 0 { text += "," }
      item(&text, &generator)
    }
    text += close
  }

  private static let pieces = [
    "a", "b", "key", "é", "e\u{301}", "😀", "\\u0061", "\\u00e9", "\\ud83d\\ude00", "\\n", "\\/",
    "\\\"", "\\\\", "\u{7F}", "\u{2028}", "0123456789abcdef",
  ]
  private static let faults = ["\\u0000", "\\ud800", "\\udc00x", "\\x", "\u{1}", "\\u12"]

  private static func string(_ text: inout String, _ generator: inout SeededGenerator) {
    text += "\""
    for _ in 0..<Int.random(in: 0...5, using: &generator) { text += pick(pieces, &generator) }
    if chance(60, &generator) { text += pick(faults, &generator) }
    text += "\(generator.next() % 500)\""
  }

  private static func number(_ generator: inout SeededGenerator) -> String {
    let edges = [
      "0", "-0", "-0.0", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
      "18446744073709551616", "1e308", "1E+308", "1e-400", "4.9e-324", "0.1", "1.5e3", "5e0",
      String(repeating: "9", count: 300), String(repeating: "9", count: 309), "1e309", "01", "1.",
      "0." + String(repeating: "3", count: 1_020), "0." + String(repeating: "3", count: 1_030),
    ]
    if chance(3, &generator) { return pick(edges, &generator) }
    return "\(Int64(truncatingIfNeeded: generator.next()) >> (generator.next() % 60))"
  }
}
