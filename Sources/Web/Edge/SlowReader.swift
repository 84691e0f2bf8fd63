// SPDX-License-Identifier: Apache-2.0
// Ends connections whose clients ask but do not take the answers.
import NIOCore

/// The handler next to the socket. In each 30 seconds a client takes 32 KiB, or all there is.
/// A connection whose answers fit into the system's buffers costs no timer.
final class SlowReader: ChannelOutboundHandler, ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = IOData

  struct Times: Sendable {
    var window = TimeAmount.seconds(30)
    var bytes = 32 << 10
  }

  private let times: Times
  private let onLimit: () -> Void
  private var written = 0
  private var timer: Scheduled<Void>?

  init(_ times: Times, onLimit: @escaping () -> Void) {
    self.times = times
    self.onLimit = onLimit
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    written &+= unwrapOutboundIn(data).readableBytes
    context.write(data, promise: promise)
  }

  func flush(context: ChannelHandlerContext) {
    context.flush()
    guard timer == nil, let waiting = Self.waiting(context.channel), waiting > 0 else { return }
    watch(context.channel, taken: written &- waiting)
  }

  private func watch(_ channel: any Channel, taken: Int) {
    timer = channel.eventLoop.assumeIsolated().scheduleTask(in: times.window) { [weak self] in
      self?.check(channel, before: taken)
    }
  }

  private func check(_ channel: any Channel, before: Int) {
    timer = nil
    guard let waiting = Self.waiting(channel), waiting > 0 else { return }
    let taken = written &- waiting
    guard taken &- before >= times.bytes else {
      onLimit()
      return channel.close(promise: nil)
    }
    watch(channel, taken: taken)
  }

  /// Bytes that the system has not taken; nil if the connection is closed.
  private static func waiting(_ channel: any Channel) -> Int? {
    do { return try channel.syncOptions?.getOption(.bufferedWritableBytes) } catch { return nil }
  }

  func channelInactive(context: ChannelHandlerContext) {
    timer?.cancel()
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }
}
