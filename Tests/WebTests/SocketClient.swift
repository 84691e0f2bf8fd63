// SPDX-License-Identifier: Apache-2.0
// A WebSocket client that sends exactly the bytes it is told to.
import NIOCore

@testable import Web

/// What a server's frame says.
struct SeenFrame: Equatable {
  var opcode: UInt8
  var payload: [UInt8]

  var text: String { String(decoding: payload, as: UTF8.self) }

  /// Of a close frame.
  var code: UInt16? {
    payload.count < 2 ? nil : UInt16(payload[0]) << 8 | UInt16(payload[1])
  }
}

extension RawClient {
  static let upgrade = [
    "host: x", "connection: keep-alive, Upgrade", "upgrade: WebSocket",
    "sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
  ].joined(separator: "\r\n")

  /// Asks for a socket and leaves what follows the answer's head to be read.
  mutating func open(_ path: String = "/echo", behind frames: [UInt8] = []) async throws -> Bool {
    try await sendPart(Array("GET \(path) HTTP/1.1\r\n\(Self.upgrade)\r\n\r\n".utf8) + frames)
    while bytes.count < 4 || !Self.hasHead(bytes) {
      guard try await more() else { return false }
    }
    guard let end = Self.headEnd(bytes) else { return false }
    let head = String(decoding: bytes[..<end], as: UTF8.self)
    bytes.removeFirst(end)
    return head.hasPrefix("HTTP/1.1 101 Switching Protocols\r\n")
      && head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")
  }

  /// The next frame of the server; nil if the connection ends first.
  mutating func frame() async throws -> SeenFrame? {
    while true {
      if let (frame, size) = Self.parse(bytes) {
        bytes.removeFirst(size)
        return frame
      }
      guard try await more() else { return nil }
    }
  }

  /// A frame of a client.
  static func frame(
    _ opcode: UInt8, _ payload: [UInt8], isFinal: Bool = true,
    mask: [UInt8] = [0x11, 0xA2, 0x33, 0xC4]
  ) -> [UInt8] {
    var frame: [UInt8] = [(isFinal ? 0x80 : 0) | opcode]
    switch payload.count {
    case ...125: frame.append(0x80 | UInt8(payload.count))
    case ...0xFFFF: frame += [0xFE, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
    default:
      frame.append(0xFF)
      frame += (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> ((7 - $0) * 8)) }
    }
    return frame + mask + payload.enumerated().map { $0.element ^ mask[$0.offset % 4] }
  }

  static func text(_ text: String) -> [UInt8] { frame(1, Array(text.utf8)) }

  private static func hasHead(_ bytes: [UInt8]) -> Bool { headEnd(bytes) != nil }

  private static func headEnd(_ bytes: [UInt8]) -> Int? {
    let end = Array("\r\n\r\n".utf8)
    return (0...max(0, bytes.count - 4)).first { Array(bytes[$0...].prefix(4)) == end }
      .map { $0 + 4 }
  }

  private static func parse(_ bytes: [UInt8]) -> (SeenFrame, Int)? {
    guard bytes.count >= 2 else { return nil }
    var start = 2
    var length = Int(bytes[1])
    let wide = length == 126 ? 2 : length == 127 ? 8 : 0
    if wide > 0 {
      guard bytes.count >= 2 + wide else { return nil }
      length = bytes[2..<2 + wide].reduce(0) { $0 << 8 | Int($1) }
      start += wide
    }
    guard bytes.count >= start + length else { return nil }
    let payload = Array(bytes[start..<start + length])
    return (SeenFrame(opcode: bytes[0] & 0x0F, payload: payload), start + length)
  }
}
