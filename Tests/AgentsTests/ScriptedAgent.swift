// SPDX-License-Identifier: Apache-2.0
// A loopback HTTP server that answers each request as a test says, down to the byte.

import Domain
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// What the server does with one request.
enum Scripted: Sendable {
  case status(Int, body: String = "", headers: [(String, String)] = [])
  /// These bytes as they are, then nothing more.
  case raw(String)
  /// These bytes, then the end of the connection.
  case rawThenClose(String)
  /// These pieces, one every so many milliseconds.
  case drip([String], every: Int64)
  case hang
  case close
}

struct ReceivedRequest: Sendable {
  var method: String
  var uri: String
  var headers: HTTPHeaders
  var body: [UInt8]

  func header(_ name: String) -> String? { headers.first(name: name) }
}

final class ScriptedAgent: Sendable {
  private let channel: any Channel
  private let log: RequestLog

  var port: Int { channel.localAddress?.port ?? 0 }
  var url: String { "http://127.0.0.1:\(port)/dispatch" }
  var requests: [ReceivedRequest] { log.requests.withLock { $0 } }
  var connections: Int { log.connections.withLock { $0 } }

  init(_ script: @escaping @Sendable (ReceivedRequest) -> Scripted) async throws {
    let log = RequestLog()
    self.log = log
    channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        log.connections.withLock { $0 += 1 }
        return channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(
            ByteToMessageHandler(HTTPRequestDecoder()))
          try channel.pipeline.syncOperations.addHandler(
            ScriptedHandler(script: script, log: log))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
  }

  func stop() async throws {
    try await channel.close()
  }

  /// Runs `body` with a server and closes it afterwards.
  static func with<Value>(
    _ script: @escaping @Sendable (ReceivedRequest) -> Scripted,
    _ body: (ScriptedAgent) async throws -> Value
  ) async throws -> Value {
    let agent = try await ScriptedAgent(script)
    do {
      let value = try await body(agent)
      try await agent.stop()
      return value
    } catch {
      try await agent.stop()
      throw error
    }
  }
}

private final class RequestLog: Sendable {
  let requests = Mutex<[ReceivedRequest]>([])
  let connections = Mutex(0)
}

private final class ScriptedHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart

  private let script: @Sendable (ReceivedRequest) -> Scripted
  private let log: RequestLog
  private var request: ReceivedRequest?

  init(script: @escaping @Sendable (ReceivedRequest) -> Scripted, log: RequestLog) {
    self.script = script
    self.log = log
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      request = ReceivedRequest(
        method: head.method.rawValue, uri: head.uri, headers: head.headers, body: [])
    case .body(let part): request?.body.append(contentsOf: part.readableBytesView)
    case .end:
      guard let received = request else { return }
      request = nil
      log.requests.withLock { $0.append(received) }
      perform(script(received), context.channel)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }

  private func perform(_ scripted: Scripted, _ channel: any Channel) {
    switch scripted {
    case .status(let status, let body, let headers):
      var text = "HTTP/1.1 \(status) X\r\n"
      for (name, value) in headers { text += "\(name): \(value)\r\n" }
      if status != 204 { text += "content-length: \(body.utf8.count)\r\n" }
      channel.writeAndFlush(ByteBuffer(string: text + "\r\n" + body), promise: nil)
    case .raw(let text): channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
    case .rawThenClose(let text):
      channel.writeAndFlush(ByteBuffer(string: text)).whenComplete { _ in
        channel.close(promise: nil)
      }
    case .drip(let pieces, let every): drip(pieces[...], every, channel)
    case .hang: break
    case .close: channel.close(promise: nil)
    }
  }

  private func drip(_ pieces: ArraySlice<String>, _ every: Int64, _ channel: any Channel) {
    guard let first = pieces.first else { return }
    channel.writeAndFlush(ByteBuffer(string: first), promise: nil)
    let rest = pieces.dropFirst()
    channel.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(every)) {
      self.drip(rest, every, channel)
    }
  }
}
