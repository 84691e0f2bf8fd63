// SPDX-License-Identifier: Apache-2.0
// Packets of Engine.IO: what is one, what is none, and that no bytes do harm.
import Testing

@testable import Web

@Suite struct EngineIOPacketTests {
  @Test func `a packet is a digit and text`() {
    #expect(EngineIOPacket(frame: "4hello".utf8) == .text(.message, Array("hello".utf8)[...]))
    #expect(EngineIOPacket(frame: "2probe".utf8) == .text(.ping, EngineIOPacket.probe[...]))
    #expect(EngineIOPacket(frame: "1".utf8) == .close)
    for text in ["", "7", "a", "abc", " 4", "b", "\u{1e}"] {
      #expect(EngineIOPacket(frame: text.utf8) == nil, "\(text)")
    }
  }

  @Test func `payloads are joined and taken apart`() {
    let packets: [EngineIOPacket] = [
      .text(.message, Array("hello".utf8)[...]), .ping, .binary([1, 2, 3, 4]),
      .text(.message, Array("€".utf8)[...]), .noop,
    ]
    let payload = EngineIOPayload.encode(packets)
    #expect(payload == Array("4hello\u{1e}2\u{1e}bAQIDBA==\u{1e}4€\u{1e}6".utf8))
    #expect(EngineIOPayload.decode(payload) == packets)
  }

  @Test(arguments: [
    "", "abc", "4a\u{1e}", "\u{1e}4a", "4a\u{1e}\u{1e}4b", "bAQI", "b****", "9",
  ])
  func `what is not packets throughout is none`(text: String) {
    #expect(EngineIOPayload.decode(text.utf8) == nil)
  }

  @Test func `payloads are UTF-8`() {
    #expect(EngineIOPayload.decode([0x34, 0xFF]) == nil)
    #expect(EngineIOPayload.decode([0x34, 0xED, 0xA0, 0x80]) == nil)
  }

  @Test func `what is decoded is encoded again`() {
    var random = SeededBytes(seed: 4)
    for _ in 0..<20_000 {
      let bytes = random.bytes(alphabet: "0123456b7\u{1e}AQ=[]\"{}-,/\u{7f}é")
      guard let packets = EngineIOPayload.decode(bytes) else { continue }
      #expect(EngineIOPayload.encode(packets) == bytes)
    }
  }

  @Test func `a packet's frame is what is read back`() {
    let packet = EngineIOPacket.text(.message, Array("2[\"a\"]".utf8)[...])
    #expect(packet.frameText.flatMap { EngineIOPacket(frame: $0) } == packet)
    #expect(EngineIOPacket.binary([1]).frameText == nil)
  }
}

/// Short byte strings from an alphabet, with now and then a byte of any kind; the same each time.
struct SeededBytes {
  private var state: UInt64

  init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }

  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

  mutating func bytes(alphabet: String, most: Int = 40) -> [UInt8] {
    let letters = alphabet.map { Array($0.utf8) }
    var bytes: [UInt8] = []
    for _ in 0..<below(most) {
      if below(60) == 0 {
        bytes.append(UInt8(truncatingIfNeeded: next()))
      } else {
        bytes += letters[below(letters.count)]
      }
    }
    return bytes
  }
}
