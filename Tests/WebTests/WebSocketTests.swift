// SPDX-License-Identifier: Apache-2.0
// Connections that become WebSockets, and how these end.
import Domain
import Engine
import NIOCore
import Synchronization
import Testing

@testable import Web

@Suite(.timeLimit(.minutes(1))) struct WebSocketTests {
  /// Sends back what comes; counts its ends.
  private static func echo(
    times: WebSocket.Times = WebSocket.Times(), closed: ClosedSockets = ClosedSockets(),
    greeting: Bool = false
  ) -> Route {
    Route("GET", "/echo", .open) { (request, _) throws(ControlError) in
      try WebSocketHandshake.response(to: request) { socket in
        socket.times = times
        socket.onText = { [weak socket] in
          if $0.readableBytes == 3 { socket?.close(code: 4000, reason: "bye") }
          socket?.send(text: $0)
        }
        socket.onBinary = { [weak socket] in socket?.send(binary: $0) }
        socket.onClosed = { closed.count.withLock { $0 += 1 } }
        if greeting { socket.send(text: ByteBuffer(string: "hello")) }
      }
    }
  }

  final class ClosedSockets: Sendable { let count = Mutex(0) }

  @Test func `a second request becomes a socket, left-over bytes are its first`() async throws {
    let closed = ClosedSockets()
    try await Served.run(routes: [Self.echo(closed: closed)]) { served in
      try await RawClient.connect(served.port) { client in
        try await client.send("GET /healthz HTTP/1.1", "host: x")
        #expect(try await client.read(until: #"{"status":"ok"}"#))
        let behind = RawClient.text("first") + RawClient.frame(2, [1, 2]).dropLast()
        #expect(try await client.open(behind: behind))
        #expect(try await client.frame()?.text == "first")
        try await client.sendPart([RawClient.frame(2, [1, 2]).last ?? 0])
        #expect(try await client.frame()?.payload == [1, 2])
        #expect(served.sockets.count(.webSocket) == 1)
        try await client.sendPart(RawClient.frame(9, [5]))
        #expect(try await client.frame() == SeenFrame(opcode: 10, payload: [5]))
        try await client.sendPart(RawClient.frame(8, [0x0F, 0xA1]))
        #expect(try await client.frame()?.code == 4001)
        #expect(try await client.frame() == nil)
      }
      try await until { closed.count.withLock { $0 } == 1 }
      #expect(served.sockets.count(.webSocket) == 0)
    }
  }

  @Test func `pipelined behind another request`() async throws {
    try await Served.run(routes: [Self.echo(greeting: true)]) { served in
      try await RawClient.connect(served.port) { client in
        try await client.sendPart("GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n")
        try await client.sendPart(
          Array("GET /echo HTTP/1.1\r\n\(RawClient.upgrade)\r\n\r\n".utf8)
            + RawClient.text("behind it"))
        #expect(try await client.read(until: "101 Switching"))
        #expect(client.seen.contains(#"{"status":"ready"}"#))
        #expect(try await client.read(until: "behind it"))
        #expect(client.seen.contains("hello"))
      }
    }
  }

  @Test(arguments: [
    ("sec-websocket-version: 13", "sec-websocket-version: 8", "426", "Sec-WebSocket-Version: 13"),
    ("upgrade: WebSocket", "upgrade: h2c", "426", "upgrade_required"),
    ("keep-alive, Upgrade", "keep-alive", "426", "upgrade_required"),
    ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==", "400", "invalid_request"),
    ("dGhlIHNhbXBsZSBub25jZQ==", "x", "400", "invalid_request"),
    ("host: x", "host: x\r\ncontent-length: 2", "400", "invalid_request"),
    ("host: x", "host: x\r\norigin: https://evil.example", "403", "origin_refused"),
    ("host: x", "host: x\r\norigin: null", "403", "origin_refused"),
  ])
  func `is no WebSocket`(
    _ part: String, _ instead: String, _ status: String, _ sign: String
  ) async throws {
    try await Served.run(routes: [Self.echo()]) { served in
      let headers = RawClient.upgrade.replacing(part, with: instead)
      let body = instead.contains("length") ? "{}" : ""
      let answer = try await served.exchange(
        "GET /echo HTTP/1.1\r\n\(headers)\r\nconnection: close", body)
      #expect(answer.hasPrefix("HTTP/1.1 \(status) ") && answer.contains(sign), "\(answer)")
      #expect(served.sockets.count(.webSocket) == 0)
    }
  }

  @Test(arguments: ["http://x", "http://X:80", "https://x", "https://page.example"])
  func `pages of the server and named ones are let in`(_ origin: String) async throws {
    try await Served.run(routes: [Self.echo()], origins: ["https://page.example"]) { served in
      try await RawClient.connect(served.port) { client in
        try await client.send("GET /echo HTTP/1.1", "origin: \(origin)", RawClient.upgrade)
        #expect(try await client.read(until: "101 Switching"))
      }
    }
  }

  @Test(
    arguments: [
      (RawClient.frame(1, [0xFF]), 1007), ([0x81, 0x00], 1002),
      ([0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 1], 1009),
    ] as [([UInt8], UInt16)])
  func `nonsense ends the socket`(_ bytes: [UInt8], _ code: UInt16) async throws {
    try await Served.run(routes: [Self.echo()]) { served in
      try await RawClient.connect(served.port) { client in
        #expect(try await client.open())
        try await client.sendPart(bytes)
        #expect(try await client.frame()?.code == code)
        #expect(try await client.frame() == nil)
      }
    }
  }

  @Test func `too many messages end the socket`() async throws {
    try await Served.run(routes: [Self.echo()]) { served in
      try await RawClient.connect(served.port) { client in
        #expect(try await client.open())
        try await client.sendPart(Array((0..<200).map { RawClient.text("\($0)") }.joined()))
        var seen = 0
        var last: SeenFrame?
        while let frame = try await client.frame() {
          seen += 1
          last = frame
        }
        #expect(last?.code == 1008 && seen > 40)
      }
      #expect(served.engine.meters.snapshot.limits[.messageRate] == 1)
    }
  }

  @Test func `who does not answer pings is closed`() async throws {
    let times = WebSocket.Times(
      ping: .milliseconds(20), pong: .milliseconds(200), closing: .milliseconds(50))
    let closed = ClosedSockets()
    try await Served.run(routes: [Self.echo(times: times, closed: closed)]) { served in
      try await RawClient.connect(served.port) { client in
        #expect(try await client.open())
        for _ in 0..<3 {
          #expect(try await client.frame()?.opcode == 9)
          try await client.sendPart(RawClient.frame(10, []))
        }
        #expect(try await client.frame()?.opcode == 9)
        #expect(try await client.frame()?.code == 1002)
        #expect(try await client.frame() == nil)
        try await until { closed.count.withLock { $0 } == 1 }
      }
    }
  }

  @Test func `a close of the server ends it even if the client says nothing`() async throws {
    let times = WebSocket.Times(closing: .milliseconds(50))
    try await Served.run(routes: [Self.echo(times: times)]) { served in
      try await RawClient.connect(served.port) { client in
        #expect(try await client.open())
        try await client.sendPart(RawClient.text("end"))
        let frame = try await client.frame()
        #expect(frame?.code == 4000 && frame?.payload.dropFirst(2) == ArraySlice("bye".utf8))
        #expect(try await client.frame() == nil)
      }
    }
  }

  @Test func `there is room for so many`() async throws {
    var limits = Limits()
    limits.sockets = 1
    try await Served.run(limits: limits, routes: [Self.echo()]) { served in
      try await RawClient.connect(served.port) { client in
        #expect(try await client.open())
        let answer = try await served.exchange("GET /echo HTTP/1.1\r\n\(RawClient.upgrade)")
        #expect(answer.hasPrefix("HTTP/1.1 429") && answer.contains("limit_reached"))
        let page = try await served.ask("GET /metrics")
        #expect(page.contains("websocket_connections{kind=\"websocket\"} 1\n"))
        #expect(page.contains("limits_hit_total{limit=\"sockets\"} 1\n"))
      }
      try await until { served.sockets.count(.webSocket) == 0 }
      try await RawClient.connect(served.port) { client in
        let isOpen = try await client.open()
        #expect(isOpen)
      }
    }
  }

  @Test func `sockets are no HTTP connections any more`() async throws {
    var limits = Limits()
    limits.connections = 1
    try await Served.run(limits: limits, routes: [Self.echo()]) { served in
      try await RawClient.connect(served.port) { first in
        #expect(try await first.open())
        try await RawClient.connect(served.port) { second in
          #expect(try await second.open())
          let answer = try await served.ask("GET /healthz")
          #expect(answer.hasPrefix("HTTP/1.1 200"))
        }
      }
    }
  }

  @Test func `a stopping server says goodbye`() async throws {
    let left = Mutex<UInt16?>(nil)
    try await Served.run(routes: [Self.echo()]) { served in
      try await RawClient.connect(served.port) { client in
        #expect(try await client.open())
        await served.stop()
        let code = try await client.frame()?.code
        left.withLock { $0 = code }
      }
    }
    #expect(left.withLock { $0 } == 1001)
  }
}
