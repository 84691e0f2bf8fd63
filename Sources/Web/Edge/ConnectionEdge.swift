// SPDX-License-Identifier: Apache-2.0
// What HTTP/1.1 asks of a connection: its end, its deadlines, and notice of clients that leave.
import NIOCore
import NIOHTTP1

/// Sits between the decoder and the conversion to the framework's types.
///
/// It ends connections that cannot go on (`Connection: close`, HTTP/1.0, `Upgrade`, a body nobody
/// will read), refuses requests without `Host`, strips bodies of answers to HEAD, closes clients
/// that are too slow, and tells whoever waits on behalf of a client that it has gone.
final class ConnectionEdge: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  /// Asks, as a user event, to be called once when the client is gone; one at a time.
  struct Watch: Sendable {
    var onGone: @Sendable () -> Void
  }

  /// Says, as a user event, that the next answer is the connection's last.
  struct LastAnswer: Sendable {}

  /// Says, as a user event, that no answer follows this one: the connection ends as after a last.
  struct NoMore: Sendable {
    var written: EventLoopFuture<Void>
  }

  /// What may still arrive of a body that nobody wants before its connection is ended for it.
  private static let tolerated = 64 << 10
  /// How long, and for how many bytes, a refused client may go on sending so that it sees why.
  private static let lingering = TimeAmount.seconds(1)
  private static let lingeringBytes = 72 << 20

  private enum End {
    case open
    /// The last answer is being written.
    case afterAnswer(lingers: Bool)
    case lingering(bytes: Int)
  }

  /// Requests not yet answered; the last one is the one being read, if any is.
  private var exchanges = CircularBuffer<Exchange>()
  private var isReading = false
  private var unread = 0
  /// What arrives from now on is not passed on.
  private var isDeaf = false
  /// What came was no HTTP: the decoder gets no more of it.
  private var isGarbled = false
  private var heardInVain = 0
  private var isInputClosed = false
  private var end = End.open
  private var onGone: (@Sendable () -> Void)?
  private var context: ChannelHandlerContext?
  private var deadlines: ReadDeadlines
  private var overhead = Overhead()

  init(deadlines: ReadDeadlines.Times) { self.deadlines = ReadDeadlines(deadlines) }

  // MARK: In

  /// How many of the bytes that came are decoded first.
  func next(of count: Int) -> Int { overhead.next(of: count) }

  /// Bytes came, and are passed to the decoder by `decode`.
  func arrived(_ bytes: Int, context: ChannelHandlerContext, decode: () -> Void) {
    if case .lingering(let left) = end {
      guard left > bytes else { return context.close(promise: nil) }
      end = .lingering(bytes: left - bytes)
      return
    }
    if isDeaf {
      // The decoder may be keeping it.
      heardInVain += bytes
      let most = isGarbled ? Self.lingeringBytes : Self.tolerated
      if heardInVain > most { return context.close(promise: nil) }
    }
    // Answers to what came before it are still to be written.
    if isGarbled { return }
    deadlines.arrived(bytes)
    overhead.arrived(bytes)
    decode()
    deadlines.check(on: context.channel)
    if overhead.isTooMuch, !isDeaf { refuse() }
  }

  /// What comes is no request that could be answered. Nothing behind it is looked at.
  private func refuse() { garbled(HTTPParserError.unknown) }

  private func garbled(_ error: any Error) {
    isDeaf = true
    isGarbled = true
    deadlines.cancel()
    context?.fireErrorCaught(error)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard error is HTTPParserError else { return context.fireErrorCaught(error) }
    // What is behind the last request does not matter.
    if isDeaf { isGarbled = true } else { garbled(error) }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isDeaf else { return }
    switch unwrapInboundIn(data) {
    case .head(let head):
      deadlines.headEnded()
      isReading = true
      guard let exchange = Exchange(head) else { return refuse() }
      overhead.headEnded(isChunked: exchange.isChunked)
      unread = exchange.length
      exchanges.append(exchange)
    case .body(let bytes):
      unread -= min(unread, bytes.readableBytes)
      overhead.body(bytes.readableBytes)
    case .end:
      isReading = false
      overhead.requestEnded()
      deadlines.requestEnded()
      isDeaf = exchanges.last?.isLast ?? false
    }
    context.fireChannelRead(data)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event as? ChannelEvent == .inputClosed {
      gone()
      if case .lingering = end { context.close(promise: nil) }
    }
    context.fireUserInboundEventTriggered(event)
  }

  func channelInactive(context: ChannelHandlerContext) {
    gone()
    deadlines.cancel()
    context.fireChannelInactive()
  }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) {
    deadlines.cancel()
    self.context = nil
  }

  private func gone() {
    isInputClosed = true
    onGone?()
    onGone = nil
  }

  // MARK: Out

  func triggerUserOutboundEvent(
    context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?
  ) {
    if event is LastAnswer {
      if !exchanges.isEmpty { exchanges[exchanges.startIndex].isLast = true }
      promise?.succeed()
      return
    }
    if let event = event as? NoMore {
      isDeaf = true
      linger(context.channel, after: event.written)
      promise?.succeed()
      return
    }
    guard let watch = event as? Watch else {
      return context.triggerUserOutboundEvent(event, promise: promise)
    }
    if isInputClosed { watch.onGone() } else { onGone = watch.onGone }
    promise?.succeed()
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch unwrapOutboundIn(data) {
    case .head(var head):
      if head.status.code >= 200, mustEnd(head) {
        head.headers.replaceOrAdd(name: "connection", value: "close")
      }
      context.write(wrapOutboundOut(.head(head)), promise: promise)
    case .body:
      if exchanges.first?.isHead == true {
        promise?.succeed()
      } else {
        context.write(data, promise: promise)
      }
    case .end:
      onGone = nil
      if !exchanges.isEmpty { exchanges.removeFirst() }
      guard case .afterAnswer(let lingers) = end else {
        return context.write(data, promise: promise)
      }
      finish(context, data, promise, lingers: lingers)
    }
  }

  /// Decides, at the head of an answer, whether it is the connection's last.
  private func mustEnd(_ head: HTTPResponseHead) -> Bool {
    let isUnread = isReading && exchanges.count <= 1 && unread > Self.tolerated
    // Without a request it is the framework's answer to what was not understood.
    guard isUnread || exchanges.first?.isLast ?? true else { return false }
    isDeaf = true
    end = .afterAnswer(lingers: isReading || exchanges.isEmpty)
    return true
  }

  /// Writes the end of the last answer, then closes: at once if the request was read whole, or else
  /// after a moment, as closing on unread bytes would take the answer from the client.
  private func finish(
    _ context: ChannelHandlerContext, _ data: NIOAny, _ promise: EventLoopPromise<Void>?,
    lingers: Bool
  ) {
    let channel = context.channel
    let written = promise ?? channel.eventLoop.makePromise()
    deadlines.cancel()
    if lingers {
      linger(channel, after: written.futureResult)
    } else {
      written.futureResult.whenComplete { _ in channel.close(promise: nil) }
    }
    context.writeAndFlush(data, promise: written)
  }

  private func linger(_ channel: any Channel, after written: EventLoopFuture<Void>) {
    deadlines.cancel()
    end = .lingering(bytes: Self.lingeringBytes)
    channel.eventLoop.scheduleTask(in: Self.lingering) { channel.close(promise: nil) }
    written.whenSuccess { channel.close(mode: .output, promise: nil) }
  }
}
