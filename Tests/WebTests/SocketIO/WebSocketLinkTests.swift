// SPDX-License-Identifier: Apache-2.0
// A WebSocket on another event loop than its session's.
import NIOCore
import NIOEmbedded
import Testing

@testable import Web

@Suite struct WebSocketLinkTests {
  private let channel = EmbeddedChannel()
  private let home = EmbeddedEventLoop()

  /// Until neither loop has anything left to do.
  private func run() {
    for _ in 0..<3 {
      channel.embeddedEventLoop.run()
      home.run()
    }
  }

  @Test func `a socket on another loop is written to again when all has arrived`() throws {
    let link = WebSocketLink(WebSocket(channel), loop: home)
    let bench = try SessionBench(loop: home)
    link.attach(to: bench.session)
    link.onSessionLoop { [session = bench.session] in session.offer(link) }
    run()
    bench.session.received(text: Array("5".utf8), from: link)
    #expect(bench.session.wantsFrames && bench.session.isWritable)
    let before = bench.application.notices.count
    bench.session.write(ByteBuffer(repeating: 0, count: 300 << 10))
    #expect(!bench.session.isWritable)
    run()
    #expect(bench.session.isWritable)
    #expect(bench.application.notices[before...] == ["writable"])
    let written = try channel.readOutbound(as: ByteBuffer.self)
    #expect(written?.readableBytes == 300 << 10)
  }

  @Test func `a socket that ended meanwhile is no candidate`() throws {
    let bench = try SessionBench(loop: home)
    let socket = WebSocket(channel)
    let link = WebSocketLink(socket, loop: home)
    link.attach(to: bench.session)
    link.onSessionLoop { [session = bench.session] in session.offer(link) }
    socket.ended()
    run()
    #expect(bench.session.candidate == nil && bench.session.isOpen)
  }

  @Test func `a socket on the session's loop is offered at once`() throws {
    let numbers = Counter()
    let server = SocketIOServer(settings: EngineIOSettings(), random: { numbers.next() }) {
      session, _ in EchoApplication(session)
    }
    let loop = channel.embeddedEventLoop
    let session = try #require(server.open(on: loop, token: nil))
    let socket = WebSocket(channel)
    server.take(socket, for: session, token: nil)
    #expect(session.candidate != nil)
    socket.ended()
    #expect(session.candidate == nil)
  }
}
