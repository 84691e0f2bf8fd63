// SPDX-License-Identifier: Apache-2.0
// Packets of Engine.IO 4, one by one and joined for long-polling.
import Domain

/// One packet: a kind and its text, or bytes.
enum EngineIOPacket: Equatable, Sendable {
  /// Named by the digit that it is sent as.
  enum Kind: UInt8, Sendable, CaseIterable {
    case open = 0x30
    case close, ping, pong, message, upgrade, noop
  }

  case text(Kind, ArraySlice<UInt8>)
  case binary([UInt8])

  static let close = EngineIOPacket.text(.close, [])
  static let ping = EngineIOPacket.text(.ping, [])
  static let noop = EngineIOPacket.text(.noop, [])
  /// Asks, and answers, whether a WebSocket gets through.
  static let probe = Array("probe".utf8)

  /// A packet as it comes in a text frame; nil if it is none.
  init?(frame text: some Collection<UInt8>) {
    guard let first = text.first, let kind = Kind(rawValue: first) else { return nil }
    self = .text(kind, ArraySlice(text.dropFirst()))
  }

  /// The packet as it stands in a long-polling payload.
  func append(to payload: inout [UInt8]) {
    switch self {
    case .text(let kind, let data):
      payload.append(kind.rawValue)
      payload.append(contentsOf: data)
    case .binary(let bytes):
      payload.append(EngineIOPayload.binaryMark)
      payload.append(contentsOf: Base64.encode(bytes).utf8)
    }
  }

  /// The text of the frame that carries it; nil for bytes, which are a frame of their own kind.
  var frameText: [UInt8]? {
    guard case .text = self else { return nil }
    var text: [UInt8] = []
    append(to: &text)
    return text
  }
}

/// Packets joined into the body of a request or an answer.
enum EngineIOPayload {
  static let separator: UInt8 = 0x1E
  static let binaryMark = UInt8(ascii: "b")

  static func encode(_ packets: some Sequence<EngineIOPacket>) -> [UInt8] {
    var payload: [UInt8] = []
    for packet in packets { append(packet, to: &payload) }
    return payload
  }

  static func append(_ packet: EngineIOPacket, to payload: inout [UInt8]) {
    if !payload.isEmpty { payload.append(separator) }
    packet.append(to: &payload)
  }

  /// Whether this many packets are too many is known before any of them is read.
  static func count(_ payload: some Collection<UInt8>) -> Int {
    payload.count { $0 == separator } + 1
  }

  /// Nil unless all of it is packets in UTF-8.
  static func decode(_ payload: some Collection<UInt8>) -> [EngineIOPacket]? {
    guard String(validating: payload, as: UTF8.self) != nil else { return nil }
    var packets: [EngineIOPacket] = []
    for part in payload.split(separator: separator, omittingEmptySubsequences: false) {
      guard let packet = decode(part: part) else { return nil }
      packets.append(packet)
    }
    return packets
  }

  private static func decode(part: some Collection<UInt8>) -> EngineIOPacket? {
    guard part.first == binaryMark else { return EngineIOPacket(frame: part) }
    return Base64.decode(part.dropFirst()).map(EngineIOPacket.binary)
  }
}
