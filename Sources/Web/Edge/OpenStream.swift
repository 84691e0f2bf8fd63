// SPDX-License-Identifier: Apache-2.0
// The body of an answer that goes on until somebody ends it.
import NIOCore
import NIOHTTP1

/// An answer that goes on. Confined to its event loop.
final class OpenStream: @unchecked Sendable {
  let loop: any EventLoop
  /// After `isWritable` became true again.
  var onWritable: () -> Void = {}
  /// Once, whatever the reason; `end` is one.
  var onClosed: () -> Void = {}

  private let channel: any Channel
  private var isOpen = true
  /// Ends the answer, so that the connection can go on.
  private var finish: (OpenStream) -> Void
  /// Gives back its place.
  private var release: () -> Void

  init(
    _ channel: any Channel, finish: @escaping (OpenStream) -> Void,
    release: @escaping () -> Void
  ) {
    self.channel = channel
    self.finish = finish
    self.release = release
    loop = channel.eventLoop
  }

  /// The client takes what is written.
  var isWritable: Bool { isOpen && channel.isWritable }

  func write(_ bytes: ByteBuffer) {
    loop.assertInEventLoop()
    guard isOpen, bytes.readableBytes > 0 else { return }
    channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(bytes)), promise: nil)
  }

  func end() {
    loop.assertInEventLoop()
    guard isOpen else { return }
    let finish = finish
    close()
    finish(self)
  }

  /// The connection is closed. May be called again, for who began to watch too late.
  func lost() { close() }

  private func close() {
    isOpen = false
    let (release, onClosed) = (release, onClosed)
    finish = { _ in }
    self.release = {}
    onWritable = {}
    self.onClosed = {}
    release()
    onClosed()
  }
}
