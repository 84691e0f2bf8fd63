// SPDX-License-Identifier: Apache-2.0
// Answers `Expect: 100-continue`, so that clients with large bodies do not wait a second.
import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// RFC 9110 §10.1.1. The interim answer is sent as soon as the head is here.
final class ExpectContinue: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart
  typealias OutboundOut = HTTPResponsePart

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if case .head(let head) = unwrapInboundIn(data),
      head.headerFields[.expect]?.lowercased() == "100-continue"
    {
      let interim = HTTPResponse(status: .continue)
      context.writeAndFlush(wrapOutboundOut(.head(interim)), promise: nil)
    }
    context.fireChannelRead(data)
  }
}
