// SPDX-License-Identifier: Apache-2.0
// Ends connections that do not get through the TLS handshake.
import NIOCore
import NIOTLS

final class HandshakeDeadline: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = NIOAny

  private let time: TimeAmount
  private let onLimit: () -> Void
  private var timer: Scheduled<Void>?

  init(_ time: TimeAmount, onLimit: @escaping () -> Void) {
    self.time = time
    self.onLimit = onLimit
  }

  func handlerAdded(context: ChannelHandlerContext) {
    let channel = context.channel
    timer = context.eventLoop.assumeIsolated().scheduleTask(in: time) { [onLimit] in
      onLimit()
      channel.close(mode: .all, promise: nil)
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    context.fireUserInboundEventTriggered(event)
    guard case .handshakeCompleted = event as? TLSUserEvent else { return }
    timer?.cancel()
    context.pipeline.syncOperations.removeHandler(self, promise: nil)
  }

  func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }
}
