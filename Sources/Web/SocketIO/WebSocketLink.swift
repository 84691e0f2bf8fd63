// SPDX-License-Identifier: Apache-2.0
// A WebSocket and the session that it belongs to, which may be at home on another event loop.
import NIOCore

/// Confined to the session's event loop; hops to the socket's where that is another one.
final class WebSocketLink: EngineIOLink, @unchecked Sendable {
  /// Bytes that may be on their way to the socket's event loop.
  private static let mostOnTheWay = 256 << 10

  private let socket: WebSocket
  private let loop: any EventLoop
  private let isNear: Bool
  private var isFarWritable = true
  private var onTheWay = 0
  /// To be told that there is room again; for a socket on another loop only.
  private weak var session: EngineIOSession?

  /// - Parameter loop: The session's.
  init(_ socket: WebSocket, loop: any EventLoop) {
    self.socket = socket
    self.loop = loop
    isNear = socket.loop === loop
  }

  var isWritable: Bool {
    isNear ? socket.isWritable : isFarWritable && onTheWay < Self.mostOnTheWay
  }

  /// Passes on what comes. On the socket's loop; the socket keeps the link until it ends.
  func attach(to session: EngineIOSession) {
    // The session's own pings do.
    socket.times.ping = .hours(24)
    onSessionLoop { self.session = session }
    socket.onText = { text in
      let bytes = Array(text.readableBytesView)
      self.onSessionLoop { session.received(text: bytes, from: self) }
    }
    socket.onBinary = { data in
      let bytes = Array(data.readableBytesView)
      self.onSessionLoop { session.received(binary: bytes, from: self) }
    }
    socket.onWritable = { self.onSessionLoop { self.becameWritable(session) } }
    socket.onClosed = { self.onSessionLoop { session.closed(self) } }
  }

  /// In order: a socket that ends is heard of after all that it was before.
  func onSessionLoop(_ body: @escaping @Sendable () -> Void) {
    if isNear { body() } else { loop.execute(body) }
  }

  private func becameWritable(_ session: EngineIOSession) {
    isFarWritable = true
    if isWritable { session.becameWritable(self) }
  }

  // MARK: Out

  func send(text: [UInt8]) { write(frames: WebSocketFrame.text(ByteBuffer(bytes: text))) }
  func send(binary: [UInt8]) { write(frames: WebSocketFrame.binary(ByteBuffer(bytes: binary))) }

  func write(frames: ByteBuffer) {
    loop.assertInEventLoop()
    guard !isNear else { return socket.write(frames: frames) }
    onTheWay += frames.readableBytes
    socket.loop.execute {
      self.socket.write(frames: frames)
      let isWritable = self.socket.isWritable
      self.loop.execute { self.arrived(frames.readableBytes, isWritable) }
    }
  }

  /// Bytes have reached the socket's loop.
  private func arrived(_ bytes: Int, _ isFarWritable: Bool) {
    let wasWritable = isWritable
    onTheWay -= bytes
    self.isFarWritable = isFarWritable
    if isWritable, !wasWritable, let session { session.becameWritable(self) }
  }

  func close(code: UInt16, reason: String) {
    guard !isNear else { return socket.close(code: code, reason: reason) }
    socket.loop.execute { self.socket.close(code: code, reason: reason) }
  }
}
