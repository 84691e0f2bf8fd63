// SPDX-License-Identifier: Apache-2.0
// Random damage to documents: the scanner never traps, and never accepts what the judge refuses.

import Domain
import Foundation
import Testing

@Suite struct JSONFuzzTests {
  static let seeds: [String] = [
    #"{"type":"scrape","priority":5,"payload":{"url":"https://a.example/é","tags":["a"]}}"#,
    #"[0,-1,1.5,1e10,-0.25E-3,true,false,null,"",{},[],[[]],{"a":{"b":[]}}]"#,
    #"{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00","é☃😀":[1,2,3],"\u0061b":"x"}"#,
    #" { "k" : [ 1 , { "x" : "y" } ] , "l" : "0123456789abcdef" } "#,
  ]

  /// Bytes that matter to the grammar come up more often than others.
  static let telling =
    Array("{}[]:,\"\\/ubfnrt0123456789eE+-.tfnalsu \n\u{0}\u{1F}".utf8)
    + [0x80, 0xC0, 0xC3, 0xE2, 0xED, 0xF0, 0xF4, 0xFF, 0xA0, 0x9F]

  @Test(arguments: 0..<8)
  func `damaged documents`(seed: Int) throws {
    var generator = SeededGenerator(seed: UInt64(seed))
    var accepted = 0
    for round in 0..<2_500 {
      let bytes = Self.damaged(Array(Self.seeds[round % Self.seeds.count].utf8), &generator)
      guard let root = try? JSONDocument(bytes).root else { continue }
      accepted += 1
      let judge = Result {
        try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
      }
      if case .failure(let error) = judge {
        Issue.record("accepted \(bytes): \(text(bytes)): \(error)")
      }
      try Self.walk(root)
    }
    #expect(accepted > 100, "the fuzz must also reach the accepting side")
  }

  @Test(arguments: 0..<4)
  func `noise`(seed: Int) throws {
    var generator = SeededGenerator(seed: UInt64(1_000 + seed))
    for _ in 0..<5_000 {
      let length = Int.random(in: 0...24, using: &generator)
      let bytes = (0..<length).map { _ in Self.byte(&generator) }
      guard let root = try? JSONDocument(bytes).root else { continue }
      _ = try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
      try Self.walk(root)
    }
  }

  @Test func `every prefix of a document is refused`() {
    for seed in Self.seeds {
      let bytes = Array(seed.utf8)
      let end = bytes.lastIndex { $0 != 0x20 } ?? 0
      for length in 0...end {
        #expect(refusal(Array(bytes.prefix(length))) != nil, "\(text(bytes.prefix(length)))")
      }
    }
  }

  /// Touches everything that can be read, and checks that the canonical form is stable.
  private static func walk(_ root: JSONNode) throws {
    let canonical = root.canonicalBytes
    #expect(try JSONDocument(canonical).root.canonicalBytes == canonical)
    var open = [root]
    while let node = open.popLast() {
      _ = (node.stringValue, node.int64Value, node.doubleValue, node.boolValue, node.rawBytes)
      if node.kind == .number { #expect(node.doubleValue != nil) }
      for member in node.members {
        #expect(node[member.key]?.byteOffset == member.value.byteOffset)
        open.append(member.value)
      }
      open.append(contentsOf: node.elements)
    }
  }

  static func damaged(
    _ source: [UInt8], _ generator: inout SeededGenerator
  ) -> [UInt8] {
    var bytes = source
    for _ in 0..<Int.random(in: 1...3, using: &generator) where !bytes.isEmpty {
      let place = Int.random(in: 0..<bytes.count, using: &generator)
      switch Int.random(in: 0...5, using: &generator) {
      case 0: bytes[place] = byte(&generator)
      case 1: bytes.insert(byte(&generator), at: place)
      case 2: bytes.remove(at: place)
      case 3: bytes.removeLast(Int.random(in: 0...min(8, bytes.count), using: &generator))
      case 4: bytes[place] ^= 1 << UInt8.random(in: 0...7, using: &generator)
      default:
        let end = min(place + Int.random(in: 1...6, using: &generator), bytes.count)
        bytes.insert(contentsOf: Array(bytes[place..<end]), at: place)
      }
    }
    return bytes
  }

  private static func byte(_ generator: inout SeededGenerator) -> UInt8 {
    if generator.next() % 4 == 0 { return UInt8(truncatingIfNeeded: generator.next()) }
    return telling[Int.random(in: 0..<telling.count, using: &generator)]
  }
}
