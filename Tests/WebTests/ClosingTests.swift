// SPDX-License-Identifier: Apache-2.0
// Connections that close in the middle of a write, and clients that go on after the end.
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Synchronization
import Testing

@testable import Web

@Suite(.timeLimit(.minutes(1))) struct ClosingTests {
  /// Closes the connection when the flush comes for which nothing is left, as a broken socket does.
  private final class Breaking: ChannelOutboundHandler {
    typealias OutboundIn = HTTPServerResponsePart
    private var left: Int

    init(after flushes: Int) { left = flushes }

    func flush(context: ChannelHandlerContext) {
      left -= 1
      if left < 0 { context.close(promise: nil) } else { context.flush() }
    }
  }

  /// Keeps the other half open, which an embedded channel does not.
  private final class HalfClosing: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
      if mode == .output { promise?.succeed() } else { context.close(promise: promise) }
    }
  }

  private final class Ends: Sendable {
    let opened = Mutex(0)
    let closed = Mutex(0)
  }

  /// A connection whose answer is written while it breaks; not async, as it stays on its thread.
  private func answer(_ response: APIResponse, _ served: Served, after flushes: Int) throws {
    let channel = EmbeddedChannel()
    channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
    let pipeline = channel.pipeline.syncOperations
    try pipeline.addHandler(Breaking(after: flushes))
    let http = HTTPHandlers(deadlines: ReadDeadlines.Times())
    try pipeline.addHandlers(http.all)
    let handler = RequestHandler(
      channel, http: http, responder: served.responder, idleTimeout: .seconds(1), onTunnel: {})
    try pipeline.addHandler(handler)
    handler.answer(response)
    channel.embeddedEventLoop.run()
    #expect(!channel.isActive)
    var isOver = false
    handler.over.assumeIsolated().whenSuccess { isOver = true }
    #expect(isOver)
  }

  @Test func `a stream hears of its end whenever it breaks`() async throws {
    try await Served.run { served in
      for (flushes, opened) in [(0, 0), (1, 1)] {
        let ends = Ends()
        let response = APIResponse(
          status: .ok,
          body: .stream { stream in
            ends.opened.withLock { $0 += 1 }
            stream.write(ByteBuffer(string: "one"))
            stream.onClosed = { ends.closed.withLock { $0 += 1 } }
          })
        try answer(response, served, after: flushes)
        #expect(ends.opened.withLock { $0 } == opened && ends.closed.withLock { $0 } == opened)
        #expect(served.sockets.count(.stream) == 0)
      }
    }
  }

  @Test func `a socket hears of its end whenever it breaks`() async throws {
    try await Served.run { served in
      for (flushes, opened) in [(0, 0), (1, 1)] {
        let ends = Ends()
        let response = APIResponse(
          status: .switchingProtocols,
          body: .webSocket { socket in
            ends.opened.withLock { $0 += 1 }
            socket.send(text: ByteBuffer(string: "one"))
            socket.onClosed = { ends.closed.withLock { $0 += 1 } }
          })
        try answer(response, served, after: flushes)
        #expect(ends.opened.withLock { $0 } == opened && ends.closed.withLock { $0 } == opened)
        #expect(served.sockets.count(.webSocket) == 0)
      }
    }
  }

  @Test(arguments: [[0x81, 0x00], RawClient.frame(8, [0x03, 0xE8])] as [[UInt8]])
  func `nothing is kept of what comes after a socket's end`(_ end: [UInt8]) throws {
    let channel = EmbeddedChannel()
    channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
    let handler = WebSocketHandler(WebSocket(channel)) { _ in }
    try channel.pipeline.syncOperations.addHandlers(HalfClosing(), handler)
    try channel.writeInbound(ByteBuffer(bytes: end))
    let piece = ByteBuffer(repeating: 0x81, count: 1 << 20)
    var sent = 0
    while sent + piece.readableBytes <= WebSocketHandler.mostInVain {
      try channel.writeInbound(piece)
      sent += piece.readableBytes
      #expect(handler.parser.kept == 0)
    }
    #expect(channel.isActive)
    try channel.writeInbound(piece)
    #expect(!channel.isActive)
    channel.embeddedEventLoop.run()
  }

  @Test func `what waits is bounded in bytes and parts`() {
    var waiting = WaitingParts()
    let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/x", headers: ["host": "x"])
    for _ in 0...63 {
      #expect(!waiting.isFull)
      waiting.append(.head(head))
    }
    waiting.append(.end(nil))
    #expect(waiting.isFull)
    waiting.removeAll()
    #expect(waiting.isEmpty && !waiting.isFull)
    waiting.append(.body(ByteBuffer(repeating: 0, count: 64 << 10)))
    #expect(waiting.isFull)
    #expect(waiting.popFirst() != nil && !waiting.isFull && waiting.popFirst() == nil)
  }
}
