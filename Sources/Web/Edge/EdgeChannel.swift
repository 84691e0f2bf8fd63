// SPDX-License-Identifier: Apache-2.0
// The handlers of a connection, from bytes to requests and back.
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1

/// HTTP/1.1 with a `ConnectionEdge` next to the decoder and a `RequestHandler` behind it.
struct EdgeChannel: ServerChildChannel {
  /// One accepted connection.
  struct Value: ServerChildChannelValue {
    let channel: any Channel
    /// Its last request is answered, and it is closed.
    let over: EventLoopFuture<Void>
  }

  let responder: APIResponder
  var idleTimeout = TimeAmount.seconds(75)
  var deadlines = ReadDeadlines.Times()

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
    channel.eventLoop.makeCompletedFuture {
      let pipeline = channel.pipeline.syncOperations
      let edge = ConnectionEdge(deadlines: deadlines)
      let requests = RequestHandler(channel, responder: responder, idleTimeout: idleTimeout)
      var limits = NIOHTTPDecoderLimitConfiguration()
      limits.maxHeaderFieldSize = 16 << 10
      limits.maxHeaderListSize = 32 << 10
      limits.maxHeaderFieldCount = 100
      try pipeline.addHandler(Arrivals(edge: edge))
      try pipeline.configureHTTPServerPipeline(
        withPipeliningAssistance: false, withErrorHandling: false,
        withOutboundHeaderValidation: false, withEncoderConfiguration: .init(),
        withDecoderLimitConfiguration: limits)
      try pipeline.addHandler(edge)
      try pipeline.addHandler(requests)
      return Value(channel: channel, over: requests.over)
    }
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

/// Shows the edge what arrives before it is decoded.
private final class Arrivals: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  private let edge: ConnectionEdge

  init(edge: ConnectionEdge) { self.edge = edge }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    edge.arrived(unwrapInboundIn(data).readableBytes, context: context) {
      context.fireChannelRead(data)
    }
  }
}
