// SPDX-License-Identifier: Apache-2.0
// One connection's requests, one after another: collected, answered by a task, written back.
import NIOCore
import NIOHTTP1

/// A request whose body came with its head costs one task and two hops. Pipelined requests wait for
/// their turn; reading stops while too much waits, or while the client does not take its answers.
/// Confined to its event loop.
final class RequestHandler: ChannelDuplexHandler, RemovableChannelHandler, @unchecked Sendable {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  enum State {
    case idle
    /// The head is here; the body may come with the same bytes.
    case receiving(HTTPRequestHead, ByteBuffer?)
    /// A task works on it.
    case answering(BodyStream?)
    /// The answer goes on until its route, its client or the server ends it.
    case streaming(OpenStream)
    /// Answered before it was read whole: the rest is thrown away.
    case discarding
    /// The connection does not speak HTTP any more.
    case upgraded
    case closed
  }

  /// Bytes of an answer that are not counted.
  private static let smallAnswer = 32 << 10

  let channel: any Channel
  let http: HTTPHandlers
  let responder: APIResponder
  private let client: ClientConnection
  private let idleTimeout: TimeAmount
  let ended: EventLoopPromise<Void>
  let onTunnel: () -> Void
  var state = State.idle
  /// The request in hand: nothing of a body may go out, or its length has to be the connection's.
  private(set) var isHead = false
  private(set) var isOld = false
  /// The client sends its body when it is told to go on.
  private var awaitsContinue = false
  /// Whether the request in hand has not come to its end.
  private(set) var isIncomplete = false
  private var waiting = WaitingParts()
  /// The next answer is the connection's last.
  private(set) var isLast = false
  private var isInputClosed = false
  /// The client does not take what was answered: nothing more is begun until it does.
  private var isBlocked = false
  /// What came after the request in hand was not HTTP.
  private var isGarbled = false
  private var mayRead = true
  private var wantsRead = false
  /// The last answer's way to the socket.
  var written: EventLoopFuture<Void>?
  private var idleSince = NIODeadline.now()
  private var idleTimer: Scheduled<Void>?

  /// - Parameter onTunnel: called when the connection stops speaking HTTP.
  init(
    _ channel: any Channel, http: HTTPHandlers, responder: APIResponder, idleTimeout: TimeAmount,
    onTunnel: @escaping () -> Void
  ) {
    self.channel = channel
    self.http = http
    self.onTunnel = onTunnel
    self.responder = responder
    self.idleTimeout = idleTimeout
    client = ClientConnection(channel: channel)
    ended = channel.eventLoop.makePromise()
  }

  /// The connection is closed, and nobody works on a request of it any more.
  var over: EventLoopFuture<Void> { ended.futureResult }

  func handlerAdded(context: ChannelHandlerContext) { becomeIdle() }

  // MARK: In

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let part = unwrapInboundIn(data)
    if isBusyWithEarlier {
      waiting.append(part)
      if waiting.isFull { setReading(false) }
    } else {
      take(part)
    }
  }

  /// A task works on a request that has been read whole: what comes belongs to the next one.
  private var isBusyWithEarlier: Bool {
    switch state {
    case .answering, .streaming: return !isIncomplete
    default: return isBlocked || !waiting.isEmpty
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    startStreaming()
    context.fireChannelReadComplete()
  }

  /// Who waits for more of a body must not wait with the answer: it may be a refusal.
  private func startStreaming() {
    guard case .receiving(let head, let body) = state else { return }
    let stream = BodyStream(body, on: channel.eventLoop) { self.setReading($0) }
    awaitsContinue = body == nil && head.expectsContinue
    stream.onWait = { self.sendContinue() }
    start(EdgeRequest(head: head, body: .stream(stream)), stream)
  }

  private func take(_ part: HTTPServerRequestPart) {
    switch (part, state) {
    case (.head(let head), .idle):
      isIncomplete = true
      state = .receiving(head, nil)
    case (.body(let bytes), .receiving(let head, var body)):
      if body == nil { body = bytes } else { body?.writeImmutableBuffer(bytes) }
      state = .receiving(head, body)
    case (.body(let bytes), .answering(let stream)):
      awaitsContinue = false
      stream?.push(bytes)
    case (.end, .receiving(let head, let body)):
      isIncomplete = false
      start(EdgeRequest(head: head, body: .whole(body)), nil)
    case (.end, .answering(let stream)):
      isIncomplete = false
      stream?.finish()
    case (.end, .streaming): isIncomplete = false
    case (.end, .discarding):
      isIncomplete = false
      next()
    default: break
    }
  }

  private func start(_ request: EdgeRequest, _ stream: BodyStream?) {
    state = .answering(stream)
    isHead = request.head.method == .HEAD
    isOld = request.head.version.minor < 1
    Task {
      let response = await responder.respond(to: request, from: client)
      channel.eventLoop.execute { self.answer(response) }
    }
  }

  /// RFC 9110 §10.1.1: a client that asks first sends its body when the route wants it.
  private func sendContinue() {
    guard awaitsContinue else { return }
    awaitsContinue = false
    let head = HTTPResponseHead(version: .http1_1, status: .continue)
    channel.writeAndFlush(HTTPServerResponsePart.head(head), promise: nil)
  }

  // MARK: Out

  func answer(_ response: APIResponse) {
    channel.eventLoop.assertInEventLoop()
    guard channel.isActive else { return end() }
    // Refused before it was sent: nobody knows whether a body or the next request follows.
    if awaitsContinue, isIncomplete { isLast = true }
    awaitsContinue = false
    switch response.body {
    case .bytes(let bytes): hold(bytes.count, for: response) { $0.buffer(bytes: bytes) }
    case .shared(let bytes): write(response, bytes)
    case .stream(let open): stream(response, open)
    case .webSocket(let open): tunnel(response, open)
    }
  }

  /// The answer is written: on to what comes after it.
  func answered() {
    // Writing may have closed it.
    guard channel.isActive else { return end() }
    if isLast || isIncomplete {
      state = .discarding
      setReading(true)
    } else {
      next()
    }
  }

  /// Large answers are counted until their clients have taken them.
  private func hold(
    _ count: Int, for response: APIResponse, _ bytes: (ByteBufferAllocator) -> ByteBuffer
  ) {
    guard count > Self.smallAnswer else { return write(response, bytes(channel.allocator)) }
    let budget = responder.answers
    guard budget.take(count) else { return answer(responder.overfull()) }
    write(response, bytes(channel.allocator))
    written?.whenComplete { _ in budget.give(count) }
  }

  private func write(_ response: APIResponse, _ bytes: ByteBuffer) {
    writeHead(response.status, response.fields)
    if bytes.readableBytes > 0 {
      channel.write(HTTPServerResponsePart.body(.byteBuffer(bytes)), promise: nil)
    }
    writeEnd()
  }

  func writeHead(_ status: HTTPResponseStatus, _ fields: HTTPHeaders) {
    if isLast {
      waiting.removeAll()
      channel.triggerUserOutboundEvent(ConnectionEdge.LastAnswer(), promise: nil)
    }
    let head = HTTPResponseHead(version: .http1_1, status: status, headers: fields)
    channel.write(HTTPServerResponsePart.head(head), promise: nil)
  }

  func writeEnd() {
    written = channel.writeAndFlush(HTTPServerResponsePart.end(nil))
    answered()
  }

  /// Closing takes from the client what is not written yet.
  func closeWhenWritten() {
    guard let written else { return channel.close(promise: nil) }
    written.whenComplete { _ in self.channel.close(promise: nil) }
  }

  private func next() {
    becomeIdle()
    if isLast { return closeWhenWritten() }
    guard channel.isWritable else {
      isBlocked = true
      return setReading(false)
    }
    while let part = waiting.popFirst() {
      take(part)
      if case .answering = state, !isIncomplete { return }
    }
    setReading(true)
    if isGarbled {
      refuse()
    } else if isInputClosed {
      closeWhenWritten()
    } else {
      startStreaming()
    }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if channel.isWritable {
      if case .streaming(let stream) = state { stream.onWritable() }
      if isBlocked {
        isBlocked = false
        next()
      }
    }
    context.fireChannelWritabilityChanged()
  }

  /// The edge ends the connection with an answer to what was no request.
  private func refuse() {
    isIncomplete = true
    isLast = true
    answer(responder.malformed())
  }

  // MARK: The end

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard error is HTTPParserError else { return context.close(promise: nil) }
    switch state {
    case .idle where isBusyWithEarlier: isGarbled = true
    case .idle, .receiving: refuse()
    case .answering(let stream):
      // The rest of a body that is not HTTP has no end.
      if isIncomplete { isLast = true } else { isGarbled = true }
      isIncomplete = false
      stream?.fail()
    case .streaming:
      if isIncomplete { isLast = true } else { isGarbled = true }
      isIncomplete = false
    case .discarding:
      // The answer may not be written yet.
      let written = written ?? context.eventLoop.makeSucceededVoidFuture()
      context.triggerUserOutboundEvent(ConnectionEdge.NoMore(written: written), promise: nil)
    case .upgraded, .closed: context.close(promise: nil)
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    idleTimer?.cancel()
    if case .answering(let stream) = state { stream?.fail() } else { end() }
    context.fireChannelInactive()
  }

  func end() {
    let last = state
    if case .closed = last { return }
    state = .closed
    ended.succeed()
    if case .streaming(let stream) = last { stream.lost() }
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    idleTimer?.cancel()
    switch state {
    case .answering, .upgraded: return
    default: end()
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is ChannelShouldQuiesceEvent {
      isLast = true
      if case .idle = state { closeWhenWritten() }
      if case .streaming(let stream) = state { stream.end() }
    } else if event as? ChannelEvent == .inputClosed {
      isInputClosed = true
      if case .idle = state, !isBusyWithEarlier { closeWhenWritten() }
      if case .answering(let stream) = state, isIncomplete { stream?.fail() }
      if case .streaming(let stream) = state { stream.end() }
    }
    context.fireUserInboundEventTriggered(event)
  }

  // MARK: Idle

  private func becomeIdle() {
    state = .idle
    idleSince = .now()
    if idleTimer == nil { watchIdle(until: idleSince + idleTimeout) }
  }

  private func watchIdle(until time: NIODeadline) {
    idleTimer = channel.eventLoop.scheduleTask(deadline: time) { [weak self] in
      self?.isIdleLong()
    }
  }

  private func isIdleLong() {
    idleTimer = nil
    guard case .idle = state else { return }
    if idleSince + idleTimeout <= .now() {
      channel.close(promise: nil)
    } else {
      watchIdle(until: idleSince + idleTimeout)
    }
  }

  // MARK: Reading

  func read(context: ChannelHandlerContext) {
    if mayRead { context.read() } else { wantsRead = true }
  }

  func setReading(_ mayRead: Bool) {
    self.mayRead = mayRead
    guard mayRead, wantsRead else { return }
    wantsRead = false
    channel.read()
  }
}

extension HTTPRequestHead {
  fileprivate var expectsContinue: Bool {
    version.minor > 0 && headers.first(name: "expect")?.lowercased() == "100-continue"
  }
}
