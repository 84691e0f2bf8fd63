// SPDX-License-Identifier: Apache-2.0
// Frames from the server: never masked, never in pieces, never compressed.
import NIOCore

/// Encodes. A frame may be written to any number of sockets.
enum WebSocketFrame {
  /// RFC 6455 §5.2.
  enum Opcode: UInt8 {
    case continuation = 0
    case text = 1
    case binary = 2
    case close = 8
    case ping = 9
    case pong = 10

    var isControl: Bool { rawValue >= 8 }
  }

  /// What a control frame may carry.
  static let mostControl = 125
  private static let allocator = ByteBufferAllocator()

  static func text(_ payload: ByteBuffer) -> ByteBuffer { frame(.text, payload) }
  static func binary(_ payload: ByteBuffer) -> ByteBuffer { frame(.binary, payload) }
  static func ping(_ payload: ByteBuffer = ByteBuffer()) -> ByteBuffer { frame(.ping, payload) }
  static func pong(_ payload: ByteBuffer) -> ByteBuffer { frame(.pong, payload) }

  /// - Parameter reason: cut to what fits.
  static func close(_ code: UInt16?, _ reason: String = "") -> ByteBuffer {
    guard let code else { return frame(.close, ByteBuffer()) }
    var payload = ByteBuffer(integer: code)
    for character in reason {
      guard payload.readableBytes + character.utf8.count <= mostControl else { break }
      payload.writeString(String(character))
    }
    return frame(.close, payload)
  }

  private static func frame(_ opcode: Opcode, _ payload: ByteBuffer) -> ByteBuffer {
    var frame = allocator.buffer(capacity: payload.readableBytes + 10)
    append(opcode, payload, to: &frame)
    return frame
  }

  /// Puts a frame behind what is in a buffer already: one write for many frames.
  static func append(_ opcode: Opcode, _ payload: ByteBuffer, to frames: inout ByteBuffer) {
    frames.writeInteger(0x80 | opcode.rawValue)
    switch payload.readableBytes {
    case ...125: frames.writeInteger(UInt8(truncatingIfNeeded: payload.readableBytes))
    case ...0xFFFF:
      frames.writeInteger(126 as UInt8)
      frames.writeInteger(UInt16(truncatingIfNeeded: payload.readableBytes))
    default:
      frames.writeInteger(127 as UInt8)
      frames.writeInteger(UInt64(payload.readableBytes))
    }
    frames.writeImmutableBuffer(payload)
  }
}
