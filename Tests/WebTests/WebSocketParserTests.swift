// SPDX-License-Identifier: Apache-2.0
// Every rule for frames, fed whole and byte by byte.
import NIOCore
import Testing

@testable import Web

@Suite struct WebSocketParserTests {
  private typealias Event = WebSocketParser.Event

  /// Events and the code of the failure, if there was one.
  private func parse(
    _ bytes: [UInt8], by size: Int, most: Int = 1 << 20
  ) -> (events: [Event], code: UInt16?) {
    var parser = WebSocketParser(most: most, mostFragments: 8)
    var events: [Event] = []
    do {
      for start in stride(from: 0, to: bytes.count, by: size) {
        parser.feed(ByteBuffer(bytes: bytes[start..<min(start + size, bytes.count)]))
        while let event = try parser.next() { events.append(event) }
      }
      return (events, nil)
    } catch {
      return (events, error.code)
    }
  }

  private func text(_ text: String) -> Event { .text(ByteBuffer(string: text)) }

  @Test(arguments: [1, 2, 3, 7, 100_000])
  func `messages of every length form arrive`(_ size: Int) {
    for length in [0, 1, 7, 8, 9, 125, 126, 127, 128, 65_535, 65_536] {
      let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      let (events, code) = parse(RawClient.frame(2, payload), by: size)
      #expect(events == [.binary(ByteBuffer(bytes: payload))] && code == nil, "\(length)")
    }
  }

  @Test(arguments: [1, 5, 100])
  func `fragments are put together, control frames come in between`(_ size: Int) {
    let bytes =
      RawClient.frame(1, Array("Grü".utf8.dropLast()), isFinal: false) + RawClient.frame(9, [7])
      + RawClient.frame(0, [0xBC], isFinal: false) + RawClient.frame(10, [])
      + RawClient.frame(0, Array("ße".utf8)) + RawClient.text("next")
    let (events, code) = parse(bytes, by: size)
    #expect(
      events == [
        .ping(ByteBuffer(bytes: [7])), .pong(ByteBuffer()), text("Grüße"), text("next"),
      ])
    #expect(code == nil)
  }

  @Test func `keeps no more than what is not read`() throws {
    let frame = RawClient.frame(2, [UInt8](repeating: 7, count: 3_000))
    var parser = WebSocketParser(most: 4_096, mostFragments: 8)
    parser.feed(ByteBuffer(bytes: frame.prefix(3)))
    for _ in 0..<200 {
      #expect(try parser.next() == nil)
      #expect(parser.kept < 64)
      // The rest of it, and the first bytes of the next.
      parser.feed(ByteBuffer(bytes: frame.dropFirst(3) + frame.prefix(3)))
      #expect(try parser.next() != nil)
    }
  }

  @Test(
    arguments: [
      ("an extension bit", [0xC1], 1002), ("another", [0xA1], 1002), ("a third", [0x91], 1002),
      ("a reserved opcode", [0x83], 1002), ("a reserved control opcode", [0x8B], 1002),
      ("no mask", [0x81, 0x01], 1002), ("nothing to continue", [0x80], 1002),
      ("a fragmented ping", [0x09], 1002), ("a long ping", [0x89, 0xFE], 1002),
      ("a long form", [0x82, 0xFE, 0, 125], 1002),
      ("a longer form", [0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], 1002),
      ("a negative length", [0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0], 1002),
      ("too much", [0x82, 0xFF, 0, 0, 0, 0, 0, 0x10, 0, 1], 1009),
      ("a message within one", RawClient.frame(1, [], isFinal: false) + [0x81], 1002),
      ("half a close code", RawClient.frame(8, [3]), 1002),
      ("a close reason of no text", RawClient.frame(8, [3, 232, 0xFF]), 1007),
    ] as [(String, [UInt8], UInt16)])
  func `is refused at once`(_ name: String, _ bytes: [UInt8], _ code: UInt16) {
    for size in [1, 100] {
      let seen = parse(bytes, by: size)
      #expect(seen.code == code && seen.events.isEmpty, "\(name)")
    }
  }

  @Test func `close codes`() {
    let good: Set<Int> = Set(1000...1003).union(1007...1014).union(3000...4999)
    for code in [0, 999] + Array(999...1020) + [2999, 3000, 3999, 4000, 4999, 5000, 65_535] {
      let frame = RawClient.frame(8, [UInt8(code >> 8), UInt8(code & 0xFF)])
      let seen = parse(frame, by: 1)
      #expect((seen.code == nil) == good.contains(code), "\(code)")
    }
    #expect(parse(RawClient.frame(8, []), by: 1).events == [.close(nil)])
  }

  @Test func `fragments count together`() {
    let piece = RawClient.frame(0, [1, 2, 3, 4], isFinal: false)
    let start = RawClient.frame(2, [1, 2, 3, 4], isFinal: false)
    #expect(parse(start + piece, by: 3, most: 8).code == nil)
    #expect(parse(start + piece + piece, by: 3, most: 8).code == 1009)
    let empty = RawClient.frame(0, [], isFinal: false)
    #expect(parse(start + Array(repeating: empty, count: 8).joined(), by: 9).code == 1008)
  }

  @Test(
    arguments: [
      [0x80], [0xC0], [0xC1], [0xE0, 0x9F], [0xED, 0xA0], [0xF0, 0x8F], [0xF4, 0x90], [0xF5],
      [0xFE], [0xFF], [0xE2, 0x82, 0x41], [0x41, 0xC3, 0x41],
    ] as [[UInt8]])
  func `text fails at its first wrong byte`(_ wrong: [UInt8]) {
    let head = Array("twelve bytes".utf8)
    // The frame promises more than what comes.
    let whole = RawClient.frame(1, head + wrong + [UInt8](repeating: 0x41, count: 9))
    #expect(parse(whole.dropLast(9), by: 1).code == 1007)
    #expect(parse(whole.dropLast(10), by: 1).code == nil)
    #expect(parse(whole, by: 100).code == 1007)
    let parts = RawClient.frame(1, head, isFinal: false) + RawClient.frame(0, wrong, isFinal: false)
    #expect(parse(parts, by: 100).code == 1007)
  }

  @Test func `text ends with a whole character`() {
    for cut in [[0xC3], [0xE2, 0x82], [0xF0, 0x9F, 0x98]] as [[UInt8]] {
      #expect(parse(RawClient.frame(1, cut), by: 1).code == 1007)
    }
    let all = "\u{7F}\u{80}\u{7FF}\u{800}\u{D7FF}\u{E000}\u{FFFF}\u{10000}\u{10FFFF} und 8 Zeichen"
    for size in 1...9 { #expect(parse(RawClient.text(all), by: size).events == [text(all)]) }
  }

  @Test func `the mask goes round whatever the pieces`() {
    let bytes = [UInt8](0...255)
    for start in 0..<9 {
      for count in 0..<40 {
        var part = Array(bytes[..<count])
        part.withUnsafeMutableBytes { Unmasking.apply(0x1122_3344, from: start, to: $0) }
        let mask: [UInt8] = [0x11, 0x22, 0x33, 0x44]
        #expect(part == (0..<count).map { bytes[$0] ^ mask[(start + $0) % 4] })
      }
    }
  }

  @Test func `frames of the server`() {
    #expect(
      Array(WebSocketFrame.text(ByteBuffer(string: "hi")).readableBytesView)
        == [0x81, 2, 0x68, 0x69])
    let long = WebSocketFrame.binary(ByteBuffer(repeating: 1, count: 70_000))
    #expect(Array(long.readableBytesView.prefix(10)) == [0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70])
    #expect(long.readableBytes == 70_010)
    let close = WebSocketFrame.close(1008, String(repeating: "ä", count: 100))
    #expect(close.readableBytes == 2 + 2 + 122)
    var many = ByteBuffer()
    WebSocketFrame.append(.text, ByteBuffer(repeating: 0x61, count: 126), to: &many)
    WebSocketFrame.append(.text, ByteBuffer(string: "b"), to: &many)
    #expect(Array(many.readableBytesView.prefix(4)) == [0x81, 126, 0, 126])
    #expect(Array(many.readableBytesView.suffix(3)) == [0x81, 1, 0x62])
  }
}
