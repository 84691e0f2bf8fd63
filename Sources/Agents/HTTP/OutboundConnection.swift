// SPDX-License-Identifier: Apache-2.0
// One kept connection: a request, its answer, the next request.
private import Domain
internal import NIOCore
internal import NIOHTTP1
private import NIOTLS

/// Carries one request at a time, without pipelining (RFC 9112, 9.3). Confined to its channel's
/// event loop.
final class OutboundConnection: ChannelInboundHandler, @unchecked Sendable {
  typealias InboundIn = HTTPClientResponsePart

  let channel: any Channel
  /// When it became free.
  private(set) var idleSince = NIODeadline.distantPast
  private let host: OutboundHost
  /// Succeeds after a TLS handshake; fails if the connection ends before.
  private let handshake: EventLoopPromise<Void>
  private var call: OutboundCall?
  private var body: [UInt8] = []
  private var isKept = false
  private var isWritten = false

  init(_ channel: any Channel, of host: OutboundHost) {
    self.channel = channel
    self.host = host
    handshake = channel.eventLoop.makePromise()
  }

  var isActive: Bool { channel.isActive }
  var secured: EventLoopFuture<Void> { handshake.futureResult }

  func close() { channel.close(promise: nil) }

  /// Writes the request at once; head and body leave together.
  func send(_ call: OutboundCall) {
    channel.eventLoop.assertInEventLoop()
    self.call = call
    call.connection = self
    call.markSent()
    body = []
    isWritten = false
    let request = call.request
    var head = HTTPRequestHead(
      version: .http1_1, method: request.method, uri: request.url.target,
      headers: request.headers)
    head.headers.add(name: "host", value: request.url.authority)
    if request.method != .GET {
      head.headers.add(name: "content-length", value: "\(request.body.count)")
    }
    channel.write(HTTPClientRequestPart.head(head), promise: nil)
    if !request.body.isEmpty {
      let buffer = channel.allocator.buffer(bytes: request.body)
      channel.write(HTTPClientRequestPart.body(.byteBuffer(buffer)), promise: nil)
    }
    channel.writeAndFlush(HTTPClientRequestPart.end(nil)).whenSuccess {
      self.isWritten = true
    }
  }

  // MARK: Answers

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    // Nobody has asked for anything: whatever follows cannot be trusted to be an answer.
    guard let call else { return close() }
    switch unwrapInboundIn(data) {
    case .head(let head):
      isKept = head.isKeepAlive
      call.answer(
        status: Int(head.status.code), retryAfter: head.headers.first(name: "retry-after"))
    case .body(let part):
      guard body.count + part.readableBytes <= call.request.answerLimit else {
        call.finish(.tooLarge)
        return close()
      }
      body.append(contentsOf: part.readableBytesView)
    case .end:
      self.call = nil
      call.finish(.bytes(body))
      body = []
      guard isKept, isWritten, channel.isActive else { return close() }
      idleSince = .now()
      host.release(self)
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .handshakeCompleted? = event as? TLSUserEvent { handshake.succeed() }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    handshake.fail(error)
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    handshake.fail(ChannelError.eof)
    call?.fail(.noConnection)
    call = nil
    host.forget(self)
    context.fireChannelInactive()
  }
}
