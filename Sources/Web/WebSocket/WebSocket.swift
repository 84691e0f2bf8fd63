// SPDX-License-Identifier: Apache-2.0
// One WebSocket as its route sees it: whole messages in and out, and its end.
import NIOCore

/// One WebSocket. Confined to its event loop.
final class WebSocket: @unchecked Sendable {
  /// What a client may send.
  struct Limits: Sendable, Equatable {
    /// Bytes of a message.
    var message = 64 << 10
    var fragments = 1_024
    /// Messages, pings and pongs.
    var messagesPerSecond = 20
    var burst = 40
  }

  struct Times: Sendable {
    /// Between pings.
    var ping = TimeAmount.seconds(25)
    /// From a ping to the first sign of life after it.
    var pong = TimeAmount.seconds(20)
    /// For the client's half of the end.
    var closing = TimeAmount.seconds(2)
  }

  private enum State { case open, closing, closed }

  let loop: any EventLoop
  /// May be set where the socket is opened.
  var limits = Limits()
  /// May be set where the socket is opened.
  var times = Times()
  /// Whole messages.
  var onText: (ByteBuffer) -> Void = { _ in }
  var onBinary: (ByteBuffer) -> Void = { _ in }
  /// After `isWritable` became true again.
  var onWritable: () -> Void = {}
  /// Once, whatever the reason.
  var onClosed: () -> Void = {}

  private let channel: any Channel
  private var state = State.open

  init(_ channel: any Channel) {
    self.channel = channel
    loop = channel.eventLoop
  }

  /// No end has begun.
  var isOpen: Bool { state == .open }

  /// The client takes what is sent. Nothing of it is read while it does not.
  var isWritable: Bool { channel.isWritable }

  func send(text: ByteBuffer) { write(frames: WebSocketFrame.text(text)) }

  func send(binary: ByteBuffer) { write(frames: WebSocketFrame.binary(binary)) }

  /// Writes frames of `WebSocketFrame` as they are.
  func write(frames: ByteBuffer) {
    loop.assertInEventLoop()
    guard isOpen else { return }
    channel.writeAndFlush(frames, promise: nil)
  }

  /// Sends a close frame and waits a moment for the client's; closes in any case.
  func close(code: UInt16, reason: String) {
    loop.assertInEventLoop()
    guard isOpen else { return }
    write(frames: WebSocketFrame.close(code, reason))
    state = .closing
    closeLater()
  }

  // MARK: For the handler

  /// The last frame, after which the client is only given time to take it: it said goodbye, or what
  /// it says is not understood.
  func finish(_ frame: ByteBuffer?) {
    loop.assertInEventLoop()
    guard state != .closed else { return }
    let isFirst = state == .open
    state = .closed
    // Closing on bytes that were not read would take the frame from the client.
    let written = channel.writeAndFlush(isFirst ? frame ?? ByteBuffer() : ByteBuffer())
    written.whenComplete { [channel] _ in channel.close(mode: .output, promise: nil) }
    if isFirst { closeLater() }
  }

  private func closeLater() {
    let timer = loop.scheduleTask(in: times.closing) { [channel] in channel.close(promise: nil) }
    channel.closeFuture.whenComplete { _ in timer.cancel() }
  }

  /// The connection is closed. May be called again, for who began to watch too late.
  func ended() {
    state = .closed
    let onClosed = onClosed
    onText = { _ in }
    onBinary = { _ in }
    onWritable = {}
    self.onClosed = {}
    onClosed()
  }
}
