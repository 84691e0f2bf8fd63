// SPDX-License-Identifier: Apache-2.0
// Frames from clients, RFC 6455 to the letter: what is not allowed fails at its first byte.
import NIOCore

/// Takes bytes as they come, keeps at most one message and one control frame.
struct WebSocketParser {
  enum Event: Equatable {
    case text(ByteBuffer)
    case binary(ByteBuffer)
    case ping(ByteBuffer)
    case pong(ByteBuffer)
    /// Without a code if the frame has none.
    case close(UInt16?)
  }

  /// The close code that tells why the connection cannot go on.
  struct Failure: Error, Equatable {
    var code: UInt16
    var reason: String
  }

  private struct Frame {
    var opcode: WebSocketFrame.Opcode
    var isFinal: Bool
    var mask: UInt32
    var remaining: Int
    /// Bytes of the payload that were taken: the mask goes round with them.
    var taken = 0
  }

  /// Bytes of a message.
  var most: Int
  /// Frames of a message.
  var mostFragments: Int
  private var input = ByteBuffer()
  private var frame: Frame?
  /// Text or binary, while its last frame has not come.
  private var kind: WebSocketFrame.Opcode?
  private var message = ByteBuffer()
  private var fragments = 0
  private var control = ByteBuffer()
  private var utf8 = UTF8Check()

  init(most: Int, mostFragments: Int) {
    self.most = most
    self.mostFragments = mostFragments
  }

  mutating func feed(_ bytes: ByteBuffer) {
    if input.readableBytes == 0 { input = bytes } else { input.writeImmutableBuffer(bytes) }
  }

  /// Bytes of memory that are kept of what came.
  var kept: Int { input.capacity + message.capacity + control.capacity }

  /// The next event; nil if that needs more bytes. After a failure nothing more may be asked.
  mutating func next() throws(Failure) -> Event? {
    while true {
      if frame == nil {
        guard try readHead() else {
          letGo()
          return nil
        }
      }
      guard let frame = try readPayload() else {
        letGo()
        return nil
      }
      if let event = try finish(frame) { return event }
    }
  }

  /// What is left is a part of a head at most: it must not keep all that came with it, or before.
  private mutating func letGo() {
    input = input.readableBytes == 0 ? ByteBuffer() : ByteBuffer(buffer: input)
  }

  // MARK: Heads

  private mutating func readHead() throws(Failure) -> Bool {
    let start = input.readerIndex
    guard let first = input.getInteger(at: start, as: UInt8.self) else { return false }
    let (opcode, isFinal) = try kind(of: first)
    guard let second = input.getInteger(at: start + 1, as: UInt8.self) else { return false }
    guard second & 0x80 != 0 else { throw Self.wrong("frames of clients are masked") }
    if opcode.isControl, second & 0x7F > WebSocketFrame.mostControl {
      throw Self.wrong("a control frame has at most 125 bytes")
    }
    guard let (length, size) = try length(second & 0x7F, at: start + 2) else { return false }
    if !opcode.isControl { try admit(length) }
    guard let mask = input.getInteger(at: start + size, as: UInt32.self) else { return false }
    input.moveReaderIndex(forwardBy: size + 4)
    if !opcode.isControl { fragments += 1 }
    if opcode == .text || opcode == .binary { kind = opcode }
    frame = Frame(opcode: opcode, isFinal: isFinal, mask: mask, remaining: length)
    return true
  }

  /// What the first byte says.
  private func kind(of first: UInt8) throws(Failure) -> (WebSocketFrame.Opcode, isFinal: Bool) {
    guard first & 0x70 == 0 else { throw Self.wrong("no extension was agreed on") }
    guard let opcode = WebSocketFrame.Opcode(rawValue: first & 0x0F) else {
      throw Self.wrong("this opcode is reserved")
    }
    let isFinal = first & 0x80 != 0
    switch opcode {
    case .continuation where kind == nil: throw Self.wrong("there is nothing to continue")
    case .text, .binary:
      guard kind == nil else { throw Self.wrong("the message before it is not complete") }
    case .close, .ping, .pong:
      guard isFinal else { throw Self.wrong("control frames are not fragmented") }
    default: break
    }
    return (opcode, isFinal)
  }

  /// The length of the payload, and the head's size without the mask; nil if it is not here yet.
  private func length(
    _ short: UInt8, at index: Int
  ) throws(Failure) -> (length: Int, size: Int)? {
    switch short {
    case 126:
      guard let length = input.getInteger(at: index, as: UInt16.self) else { return nil }
      guard length > 125 else { throw Self.wrong("lengths are written as short as they can be") }
      return (Int(length), 4)
    case 127:
      guard let length = input.getInteger(at: index, as: UInt64.self) else { return nil }
      guard length > 0xFFFF, let length = Int(exactly: length) else {
        throw Self.wrong("lengths are written as short as they can be")
      }
      return (length, 10)
    default: return (Int(short), 2)
    }
  }

  /// Before anything of it is kept.
  private func admit(_ length: Int) throws(Failure) {
    guard length <= most - message.readableBytes else {
      throw Failure(code: 1009, reason: "a message has at most \(most) bytes")
    }
    guard fragments < mostFragments else {
      throw Failure(code: 1008, reason: "a message has at most \(mostFragments) frames")
    }
  }

  // MARK: Payloads

  /// Takes what is here; the frame, once it is whole.
  private mutating func readPayload() throws(Failure) -> Frame? {
    guard var current = frame else { return nil }
    let count = min(current.remaining, input.readableBytes)
    if count > 0, let piece = input.readSlice(length: count) {
      if current.opcode.isControl {
        Self.append(piece, to: &control, current)
      } else {
        Self.append(piece, to: &message, current)
        try checkText(count)
      }
      current.remaining -= count
      current.taken += count
    }
    frame = current.remaining == 0 ? nil : current
    return current.remaining == 0 ? current : nil
  }

  /// Puts a piece, unmasked, at the end of a buffer.
  private static func append(_ piece: ByteBuffer, to buffer: inout ByteBuffer, _ frame: Frame) {
    buffer.writeImmutableBuffer(piece)
    buffer.withUnsafeMutableReadableBytes { all in
      let added = UnsafeMutableRawBufferPointer(rebasing: all.suffix(piece.readableBytes))
      Unmasking.apply(frame.mask, from: frame.taken, to: added)
    }
  }

  /// Checks what was added last.
  private mutating func checkText(_ count: Int) throws(Failure) {
    guard kind == .text else { return }
    var check = utf8
    let isGood = message.withUnsafeReadableBytes { all in
      check.take(UnsafeRawBufferPointer(rebasing: all.suffix(count)))
    }
    guard isGood else { throw Self.badText }
    utf8 = check
  }

  // MARK: Ends

  private mutating func finish(_ frame: Frame) throws(Failure) -> Event? {
    if frame.opcode.isControl { return try finishControl(frame.opcode) }
    guard frame.isFinal, let kind else { return nil }
    guard utf8.isComplete else { throw Self.badText }
    let whole = message
    self.kind = nil
    message = ByteBuffer()
    fragments = 0
    return kind == .text ? .text(whole) : .binary(whole)
  }

  private mutating func finishControl(
    _ opcode: WebSocketFrame.Opcode
  ) throws(Failure) -> Event? {
    var payload = control
    control = ByteBuffer()
    switch opcode {
    case .ping: return .ping(payload)
    case .pong: return .pong(payload)
    default: break
    }
    guard payload.readableBytes > 0 else { return .close(nil) }
    guard let code = payload.readInteger(as: UInt16.self), Self.mayBeSent(code) else {
      throw Self.wrong("this close code is not for sending")
    }
    guard String(validating: payload.readableBytesView, as: UTF8.self) != nil else {
      throw Self.badText
    }
    return .close(code)
  }

  /// RFC 6455 §7.4, with the codes that were registered since.
  private static func mayBeSent(_ code: UInt16) -> Bool {
    switch code {
    case 1000...1003, 1007...1014, 3000...4999: true
    default: false
    }
  }

  private static let badText = Failure(code: 1007, reason: "text is UTF-8")

  private static func wrong(_ reason: String) -> Failure { Failure(code: 1002, reason: reason) }
}

/// RFC 6455 §5.3, eight bytes at a time.
enum Unmasking {
  /// - Parameter start: how many bytes of the payload came before these.
  static func apply(_ mask: UInt32, from start: Int, to bytes: UnsafeMutableRawBufferPointer) {
    // The mask's first byte is its highest: turned so that the one for bytes[0] comes first.
    let turn = UInt32(truncatingIfNeeded: (start & 3) * 8)
    let turned = turn == 0 ? mask : mask << turn | mask >> (32 - turn)
    let word = (UInt64(turned) << 32 | UInt64(turned)).bigEndian
    var index = 0
    while bytes.count - index >= 8 {
      let value = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) ^ word
      bytes.storeBytes(of: value, toByteOffset: index, as: UInt64.self)
      index += 8
    }
    var rest = word.littleEndian
    while index < bytes.count {
      bytes[index] ^= UInt8(truncatingIfNeeded: rest)
      rest >>= 8
      index += 1
    }
  }
}
