// SPDX-License-Identifier: Apache-2.0
// The handlers of a connection, from bytes to requests and back.
import Engine
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL

/// HTTP/1.1 with a `ConnectionEdge` next to the decoder and a `RequestHandler` behind it.
struct EdgeChannel: ServerChildChannel {
  /// One accepted connection.
  struct Value: ServerChildChannelValue {
    let channel: any Channel
    /// Its last request is answered, and it is closed.
    let over: EventLoopFuture<Void>
  }

  let responder: APIResponder
  let limit: ConnectionLimit
  let addresses: AddressLimit
  /// Nil for plain HTTP.
  var certificates: TLSCertificates?
  var handshake = TimeAmount.seconds(10)
  var slowReader = SlowReader.Times()
  var idleTimeout = TimeAmount.seconds(75)
  var deadlines = ReadDeadlines.Times()

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
    guard addresses.admit(channel) else { return refuse(channel) }
    return channel.eventLoop.makeCompletedFuture {
      let pipeline = channel.pipeline.syncOperations
      try addTransport(to: pipeline)
      let http = HTTPHandlers(deadlines: deadlines)
      try pipeline.addHandlers(http.all)
      let requests = RequestHandler(
        channel, http: http, responder: responder, idleTimeout: idleTimeout,
        onTunnel: limit.makesRoom)
      try pipeline.addHandler(requests)
      return Value(channel: channel, over: requests.over)
    }
  }

  /// What is between the socket and HTTP.
  private func addTransport(to pipeline: ChannelPipeline.SynchronousOperations) throws {
    let meters = responder.meters
    try pipeline.addHandler(SlowReader(slowReader) { meters.limitHit(.slowReader) })
    guard let certificates else { return }
    try pipeline.addHandler(NIOSSLServerHandler(context: certificates.context))
    try pipeline.addHandler(HandshakeDeadline(handshake) { meters.limitHit(.handshake) })
  }

  /// Closed once it is a connection: a failure here would be one of the listener.
  private func refuse(_ channel: any Channel) -> EventLoopFuture<Value> {
    responder.meters.limitHit(.connectionsPerAddress)
    channel.eventLoop.execute { channel.close(promise: nil) }
    return channel.eventLoop.makeSucceededFuture(
      Value(channel: channel, over: channel.closeFuture))
  }

  /// The handlers do the work; the server counts the connection as its own until it is over.
  func handle(value: Value, logger: Logger) async {
    await withTaskCancellationHandler {
      do { try await value.over.get() } catch { logger.trace("a connection failed") }
    } onCancel: {
      value.channel.close(promise: nil)
    }
  }
}

/// What speaks HTTP on a connection, from its bytes to its requests. Confined to its event loop.
struct HTTPHandlers {
  private let arrivals: Arrivals
  private let encoder: HTTPResponseEncoder
  private let decoder: ByteToMessageHandler<HTTPRequestDecoder>
  private let edge: ConnectionEdge

  init(deadlines: ReadDeadlines.Times) {
    var limits = NIOHTTPDecoderLimitConfiguration()
    limits.maxHeaderFieldSize = 16 << 10
    limits.maxHeaderListSize = 32 << 10
    limits.maxHeaderFieldCount = 100
    // Answers say themselves how long they are.
    var framing = HTTPResponseEncoder.Configuration()
    framing.automaticallySetFramingHeaders = false
    edge = ConnectionEdge(deadlines: deadlines)
    arrivals = Arrivals(edge: edge)
    encoder = HTTPResponseEncoder(configuration: framing)
    decoder = ByteToMessageHandler(
      HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: limits))
  }

  var all: [any ChannelHandler] { [arrivals, encoder, decoder, edge] }

  /// Takes them out. What came behind the last request goes to the next handler a moment later.
  func remove(from pipeline: ChannelPipeline.SynchronousOperations) {
    for handler in [arrivals, encoder, edge, decoder] as [any RemovableChannelHandler] {
      pipeline.removeHandler(handler, promise: nil)
    }
  }
}

/// Shows the edge what arrives before it is decoded.
private final class Arrivals: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  private let edge: ConnectionEdge

  init(edge: ConnectionEdge) { self.edge = edge }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var bytes = unwrapInboundIn(data)
    while let piece = bytes.readSlice(length: edge.next(of: bytes.readableBytes)),
      piece.readableBytes > 0
    {
      edge.arrived(piece.readableBytes, context: context) {
        context.fireChannelRead(wrapInboundOut(piece))
      }
    }
  }
}
