// SPDX-License-Identifier: Apache-2.0
// Answers that go on.
import Domain
import Engine
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@testable import Web

@Suite(.timeLimit(.minutes(1))) struct StreamTests {
  final class Seen: Sendable {
    let streams = Mutex<[OpenStream]>([])
    let closed = Mutex(0)

    var first: OpenStream? { streams.withLock { $0.first } }
    var isClosed: Bool { closed.withLock { $0 } == 1 }
  }

  private static func route(_ seen: Seen) -> Route {
    Route("GET", "/stream", .open) { (_, _) throws(ControlError) in
      APIResponse(
        status: .ok,
        body: .stream { stream in
          stream.onClosed = { seen.closed.withLock { $0 += 1 } }
          seen.streams.withLock { $0.append(stream) }
          stream.write(ByteBuffer(string: "one"))
        }, contentType: "text/event-stream")
    }
  }

  private func later(_ seen: Seen, _ body: @Sendable @escaping (OpenStream) -> Void) {
    guard let stream = seen.first else { return }
    stream.loop.execute { body(stream) }
  }

  @Test func `the connection goes on after its end`() async throws {
    let seen = Seen()
    try await Served.run(routes: [Self.route(seen)]) { served in
      try await RawClient.connect(served.port) { client in
        try await client.send("GET /stream HTTP/1.1", "host: x")
        #expect(try await client.read(until: "3\r\none\r\n"))
        #expect(client.seen.contains("Transfer-Encoding: chunked\r\n"))
        #expect(client.seen.contains("Content-Type: text/event-stream\r\n"))
        #expect(served.sockets.count(.stream) == 1)
        try await client.send("GET /healthz HTTP/1.1", "host: x")
        later(seen) {
          $0.write(ByteBuffer(string: "two!"))
          $0.end()
          $0.write(ByteBuffer(string: "never"))
        }
        #expect(try await client.read(until: #"{"status":"ok"}"#))
        #expect(client.seen.contains("4\r\ntwo!\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"))
        #expect(seen.isClosed && served.sockets.count(.stream) == 0)
      }
    }
  }

  @Test(arguments: ["", "connection: close\r\n"])
  func `garbage behind it takes nothing from it`(_ end: String) async throws {
    let seen = Seen()
    try await Served.run(routes: [Self.route(seen)]) { served in
      try await RawClient.connect(served.port) { client in
        try await client.sendPart("GET /stream HTTP/1.1\r\nhost: x\r\n\(end)\r\n")
        #expect(try await client.read(until: "3\r\none\r\n"))
        for _ in 0..<4 {
          try await client.sendPart("\u{1}no request\r\n\r\n")
          _ = try await served.ask("GET /healthz")
        }
        later(seen) {
          $0.write(ByteBuffer(string: "two!"))
          $0.end()
        }
        let all = try await client.readToEnd()
        #expect(all.contains("4\r\ntwo!\r\n0\r\n\r\n"), "\(all)")
        #expect(all.contains("HTTP/1.1 400") == end.isEmpty, "\(all)")
      }
    }
  }

  @Test func `large requests behind it wait, and are answered`() async throws {
    let seen = Seen()
    try await Served.run(routes: [Self.route(seen)]) { served in
      let task = #"{"type":"work","payload":"\#(String(repeating: "x", count: 200_000))"}"#
      try await RawClient.connect(served.port) { client in
        try await client.send("GET /stream HTTP/1.1", "host: x")
        #expect(try await client.read(until: "one"))
        for _ in 0..<3 {
          try await client.send(
            "POST /api/tasks HTTP/1.1", "host: x", "authorization: Bearer \(served.token)",
            "content-length: \(task.utf8.count)", body: task)
        }
        later(seen) { $0.end() }
        try await client.send("GET /healthz HTTP/1.1", "host: x", "connection: close")
        let all = try await client.readToEnd()
        #expect(all.split(separator: "HTTP/1.1 201").count == 4, "\(all)")
        #expect(all.hasSuffix(#"{"status":"ok"}"#))
      }
    }
  }

  @Test func `clients of HTTP 1.0 read to the end of the connection`() async throws {
    let seen = Seen()
    try await Served.run(routes: [Self.route(seen)]) { served in
      try await RawClient.connect(served.port) { client in
        try await client.send("GET /stream HTTP/1.0")
        #expect(try await client.read(until: "one"))
        later(seen) { $0.end() }
        let all = try await client.readToEnd()
        #expect(!all.contains("chunked") && all.hasSuffix("\r\n\r\none"))
      }
    }
  }

  @Test func `HEAD gets the head`() async throws {
    let seen = Seen()
    try await Served.run(routes: [Self.route(seen)]) { served in
      try await RawClient.connect(served.port) { client in
        try await client.send("HEAD /stream HTTP/1.1", "host: x")
        try await client.send("GET /healthz HTTP/1.1", "host: x", "connection: close")
        let all = try await client.readToEnd()
        #expect(all.contains("text/event-stream") && !all.contains("one"), "\(all)")
        #expect(all.contains("\r\n\r\nHTTP/1.1 200 OK") && seen.first == nil)
      }
    }
  }

  @Test func `is told when the client leaves`() async throws {
    let seen = Seen()
    try await Served.run(routes: [Self.route(seen)]) { served in
      try await RawClient.connect(served.port) { client in
        try await client.send("GET /stream HTTP/1.1", "host: x")
        #expect(try await client.read(until: "one"))
      }
      try await until { seen.isClosed }
      #expect(served.sockets.count(.stream) == 0)
    }
  }

  @Test func `a stopping server ends it`() async throws {
    let seen = Seen()
    try await Served.run(routes: [Self.route(seen)]) { served in
      try await RawClient.connect(served.port) { client in
        try await client.send("GET /stream HTTP/1.1", "host: x")
        #expect(try await client.read(until: "one"))
        await served.stop()
        #expect(try await client.readToEnd().hasSuffix("3\r\none\r\n0\r\n\r\n"))
      }
    }
    #expect(seen.isClosed)
  }

  @Test func `says when the client takes no more, and when it does again`() async throws {
    let seen = Seen()
    let writable = Mutex(0)
    try await Served.run(routes: [Self.route(seen)]) { served in
      try await RawClient.connect(served.port) { client in
        try await client.send("GET /stream HTTP/1.1", "host: x", "connection: close")
        try await until { seen.first != nil }
        let stuck = Mutex(false)
        later(seen) { stream in
          // The sockets' buffers take some megabytes.
          for _ in 0..<32 { stream.write(ByteBuffer(repeating: 0x61, count: 1 << 20)) }
          stream.onWritable = {
            writable.withLock { $0 += 1 }
            stream.end()
          }
          stuck.withLock { $0 = !stream.isWritable }
        }
        try await until { stuck.withLock { $0 } }
        #expect(writable.withLock { $0 } == 0)
        var last: [UInt8] = []
        while try await client.more() {
          last = Array((last + client.bytes).suffix(5))
          client.bytes = []
        }
        #expect(last == Array("0\r\n\r\n".utf8))
      }
    }
    #expect(writable.withLock { $0 } == 1)
  }
}
