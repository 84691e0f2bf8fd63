// SPDX-License-Identifier: Apache-2.0
// A real HTTP server on a free loopback port whose answers a test writes.

import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// What reached the server.
struct Seen: Sendable {
  var method: String
  var uri: String
  var headers: [(name: String, value: String)]
  var body: [UInt8]

  var text: String { String(decoding: body, as: UTF8.self) }
  var path: String { String(uri.prefix { $0 != "?" }) }
  var query: String { String(uri.drop { $0 != "?" }.dropFirst()) }

  func header(_ name: String) -> String? {
    headers.first { $0.name.lowercased() == name }?.value
  }
}

/// What the server shall answer.
struct Reply: Sendable {
  var status = 200
  var headers: [(String, String)] = [("content-type", "application/json")]
  var body = ""
  /// Close the connection instead of answering.
  var hangsUp = false

  static func json(_ body: String, status: Int = 200) -> Reply {
    Reply(status: status, body: body)
  }

  static func problem(_ status: Int, _ code: String, _ detail: String = "No.") -> Reply {
    Reply(
      status: status,
      body: """
        {"type":"about:blank","title":"t","status":\(status),"detail":"\(detail)","code":"\(code)",\
        "requestId":"r-1"}
        """)
  }

  static let hangUp = Reply(hangsUp: true)
}

final class LoopbackServer: Sendable {
  typealias Answer = @Sendable (Seen) async -> Reply

  private let channel: any Channel
  private let log: Log

  /// Everything that reached the server, in order.
  final class Log: Sendable {
    private let entries = Mutex<[Seen]>([])
    let arrivals: AsyncStream<Seen>
    private let arrival: AsyncStream<Seen>.Continuation

    init() {
      (arrivals, arrival) = AsyncStream.makeStream()
    }

    var all: [Seen] { entries.withLock { $0 } }

    func add(_ seen: Seen) {
      entries.withLock { $0.append(seen) }
      arrival.yield(seen)
    }
  }

  /// Waits for the next request whose path ends so; one task at a time may wait.
  ///
  /// Takes texts and no closure: closures inside and outside the testing macros of one function
  /// can get the same symbol.
  func next(_ suffix: String, containing text: String = "") async -> Seen? {
    for await seen in log.arrivals where seen.path.hasSuffix(suffix) {
      if text.isEmpty || seen.text.contains(text) { return seen }
    }
    return nil
  }

  /// Whether a request to a path that ends so had this text.
  func hasSeen(_ suffix: String, containing text: String) -> Bool {
    seen.contains { $0.path.hasSuffix(suffix) && $0.text.contains(text) }
  }

  func count(_ suffix: String) -> Int {
    seen.count { $0.path.hasSuffix(suffix) }
  }

  var url: String { "http://127.0.0.1:\(channel.localAddress?.port ?? 0)" }
  var seen: [Seen] { log.all }

  init(_ answer: @escaping Answer) async throws {
    let log = Log()
    self.log = log
    channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.pipeline.configureHTTPServerPipeline().flatMapThrowing {
          try channel.pipeline.syncOperations.addHandler(Exchange(log: log, answer: answer))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
  }

  func stop() async throws {
    try await channel.close()
  }

  /// Runs `body` with a server and stops it afterwards.
  @discardableResult
  static func serving<Value>(
    _ answer: @escaping Answer, _ body: (LoopbackServer) async throws -> Value
  ) async throws -> Value {
    let server = try await LoopbackServer(answer)
    let result: Result<Value, any Error>
    do { result = .success(try await body(server)) } catch { result = .failure(error) }
    try await server.stop()
    return try result.get()
  }
}

/// One connection: reads a request, asks for the answer, writes it.
private final class Exchange: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let log: LoopbackServer.Log
  private let answer: LoopbackServer.Answer
  private var seen = Seen(method: "", uri: "", headers: [], body: [])

  init(log: LoopbackServer.Log, answer: @escaping LoopbackServer.Answer) {
    self.log = log
    self.answer = answer
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      seen = Seen(
        method: head.method.rawValue, uri: head.uri,
        headers: head.headers.map { ($0.name, $0.value) }, body: [])
    case .body(let buffer): seen.body += buffer.readableBytesView
    case .end:
      let request = seen
      log.add(request)
      let channel = context.channel
      let answer = answer
      Task {
        let reply = await answer(request)
        try await Exchange.write(reply, to: channel)
      }
    }
  }

  private static func write(_ reply: Reply, to channel: any Channel) async throws {
    if reply.hangsUp { return try await channel.close() }
    var head = HTTPResponseHead(
      version: .http1_1, status: .init(statusCode: reply.status),
      headers: HTTPHeaders(reply.headers))
    head.headers.replaceOrAdd(name: "content-length", value: String(reply.body.utf8.count))
    let body = HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: reply.body)))
    channel.write(HTTPServerResponsePart.head(head), promise: nil)
    channel.write(body, promise: nil)
    try await channel.writeAndFlush(HTTPServerResponsePart.end(nil))
  }
}
