// SPDX-License-Identifier: Apache-2.0
// The handlers of a connection, from bytes to the framework's requests.
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1

/// The framework's HTTP/1.1 channel with a `ConnectionEdge` next to the decoder.
struct EdgeChannel: HTTPChannelHandler {
  typealias Value = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

  let responder: HTTPChannelHandler.Responder
  var idleTimeout = Duration.seconds(75)
  var deadlines = ReadDeadlines.Times()

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
    channel.eventLoop.makeCompletedFuture {
      let pipeline = channel.pipeline.syncOperations
      let edge = ConnectionEdge(deadlines: deadlines)
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
      try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: false))
      try pipeline.addHandler(ExpectContinue())
      try pipeline.addHandler(HTTPConnectionStateHandler(idleTimeout: idleTimeout, logger: logger))
      return try Value(
        wrappingChannelSynchronously: channel,
        configuration: .init(isOutboundHalfClosureEnabled: true))
    }
  }

  func handle(value: Value, logger: Logger) async {
    await handleHTTP(asyncChannel: value, logger: logger)
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
