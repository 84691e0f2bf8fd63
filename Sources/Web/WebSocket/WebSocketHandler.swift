// SPDX-License-Identifier: Apache-2.0
// The last handler of a connection that became a WebSocket.
import Engine
import NIOCore

/// Frames to messages, pings to pongs, silence and nonsense to an end. Confined to its event loop.
final class WebSocketHandler: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// What a client may send after its socket came to an end, so that it sees why; it is dropped.
  static let mostInVain = 8 << 20

  private let socket: WebSocket
  private let onLimit: (LimitHit) -> Void
  private(set) var parser: WebSocketParser
  private var rate: MessageRate
  private var lastSeen = NIODeadline.now()
  private var timer: Scheduled<Void>?
  /// A read that waits until the client takes what it was sent.
  private var isReadHeld = false

  init(_ socket: WebSocket, onLimit: @escaping (LimitHit) -> Void) {
    self.socket = socket
    self.onLimit = onLimit
    parser = WebSocketParser(
      most: socket.limits.message, mostFragments: socket.limits.fragments)
    rate = MessageRate(socket.limits)
  }

  /// Takes up what was set when the socket was opened.
  func start(on channel: any Channel) {
    parser.most = socket.limits.message
    parser.mostFragments = socket.limits.fragments
    rate = MessageRate(socket.limits)
    schedulePing(in: socket.times.ping, channel)
  }

  // MARK: In

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let bytes = unwrapInboundIn(data)
    guard !isDeaf else { return drop(bytes.readableBytes, context) }
    lastSeen = .now()
    parser.feed(bytes)
    do {
      while let event = try nextEvent() { take(event, context) }
    } catch {
      if error.code == 1009 { onLimit(.messageSize) }
      stopListening()
      socket.finish(WebSocketFrame.close(error.code, error.reason))
    }
  }

  /// The client's close frame was seen, or what came made no sense.
  private var isDeaf = false
  private var heardInVain = 0

  private func stopListening() {
    isDeaf = true
    parser = WebSocketParser(most: 0, mostFragments: 0)
  }

  private func drop(_ count: Int, _ context: ChannelHandlerContext) {
    heardInVain += count
    if heardInVain > Self.mostInVain { context.close(promise: nil) }
  }

  private func nextEvent() throws(WebSocketParser.Failure) -> WebSocketParser.Event? {
    guard !isDeaf else { return nil }
    return try parser.next()
  }

  private func take(_ event: WebSocketParser.Event, _ context: ChannelHandlerContext) {
    if case .close(let code) = event {
      stopListening()
      return socket.finish(WebSocketFrame.close(code))
    }
    guard socket.isOpen else { return }
    guard rate.take(.now()) else {
      onLimit(.messageRate)
      return socket.close(code: 1008, reason: "too many messages")
    }
    switch event {
    case .text(let text): socket.onText(text)
    case .binary(let bytes): socket.onBinary(bytes)
    // Who does not take what is sent gets no pongs on top of it.
    case .ping(let payload) where socket.isWritable:
      socket.write(frames: WebSocketFrame.pong(payload))
    case .ping, .pong, .close: break
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is ChannelShouldQuiesceEvent {
      socket.close(code: 1001, reason: "the server stops")
    } else if event as? ChannelEvent == .inputClosed {
      context.close(promise: nil)
    }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    timer?.cancel()
    socket.ended()
    context.fireChannelInactive()
  }

  /// A connection that closed while this was added did not say so.
  func handlerRemoved(context: ChannelHandlerContext) {
    timer?.cancel()
    socket.ended()
  }

  // MARK: Back-pressure

  func read(context: ChannelHandlerContext) {
    if context.channel.isWritable { context.read() } else { isReadHeld = true }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable {
      if isReadHeld {
        isReadHeld = false
        context.read()
      }
      if socket.isOpen { socket.onWritable() }
    }
    context.fireChannelWritabilityChanged()
  }

  // MARK: Silence

  private func schedulePing(in time: TimeAmount, _ channel: any Channel) {
    timer = channel.eventLoop.assumeIsolated().scheduleTask(in: time) { [weak self] in
      self?.ping(channel)
    }
  }

  private func ping(_ channel: any Channel) {
    guard socket.isOpen else { return }
    let asked = NIODeadline.now()
    socket.write(frames: WebSocketFrame.ping())
    timer = channel.eventLoop.assumeIsolated().scheduleTask(in: socket.times.pong) {
      [weak self] in self?.check(since: asked, channel)
    }
  }

  private func check(since asked: NIODeadline, _ channel: any Channel) {
    guard lastSeen > asked else {
      return socket.close(code: 1002, reason: "no answer to a ping")
    }
    let left = socket.times.ping - socket.times.pong
    schedulePing(in: max(left, .nanoseconds(0)), channel)
  }
}

/// A bucket that a message takes from and time refills.
struct MessageRate {
  private let perSecond: Double
  private let burst: Double
  private var left: Double
  private var filled = NIODeadline.now()

  init(_ limits: WebSocket.Limits) {
    perSecond = Double(limits.messagesPerSecond)
    burst = Double(limits.burst)
    left = burst
  }

  /// False if there was nothing left.
  mutating func take(_ now: NIODeadline) -> Bool {
    let seconds = Double((now - filled).nanoseconds) / 1e9
    filled = now
    left = min(burst, left + max(seconds, 0) * perSecond)
    guard left >= 1 else { return false }
    left -= 1
    return true
  }
}
