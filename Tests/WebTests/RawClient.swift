// SPDX-License-Identifier: Apache-2.0
// A client that sends the bytes it is told to, and reads until it has seen enough.
import NIOCore
import NIOPosix

struct RawClient {
  typealias Outbound = NIOAsyncChannelOutboundWriter<ByteBuffer>

  var seen = ""
  /// What came after the handshake of a WebSocket and was not looked at.
  var bytes: [UInt8] = []
  private var inbound: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
  private let outbound: Outbound
  let channel: any Channel

  static func connect(
    _ port: Int, _ body: @Sendable (inout RawClient) async throws -> Void
  ) async throws {
    let connection = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .channelOption(ChannelOptions.allowRemoteHalfClosure, value: true)
      .connect(host: "127.0.0.1", port: port) { channel in
        channel.eventLoop.makeCompletedFuture {
          try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
            wrappingChannelSynchronously: channel,
            configuration: .init(isOutboundHalfClosureEnabled: true))
        }
      }
    try await connection.executeThenClose { inbound, outbound in
      var client = RawClient(
        inbound: inbound.makeAsyncIterator(), outbound: outbound, channel: connection.channel)
      try await body(&client)
    }
  }

  private init(
    inbound: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator, outbound: Outbound,
    channel: any Channel
  ) {
    self.inbound = inbound
    self.outbound = outbound
    self.channel = channel
  }

  func send(_ lines: String..., body: String = "") async throws {
    let head = lines.joined(separator: "\r\n") + "\r\n\r\n"
    try await outbound.write(ByteBuffer(string: head + body))
  }

  func sendPart(_ text: String) async throws {
    try await outbound.write(ByteBuffer(string: text))
  }

  func sendPart(_ bytes: [UInt8]) async throws {
    try await outbound.write(ByteBuffer(bytes: bytes))
  }

  /// Reads what comes next into `bytes`; false at the end.
  mutating func more() async throws -> Bool {
    do {
      guard let more = try await inbound.next() else { return false }
      bytes += Array(more.readableBytesView)
      return true
    } catch is IOError {
      return false
    }
  }

  /// Reads until the text was seen; false if the connection ends first. Takes out what was read.
  mutating func read(until text: String) async throws -> Bool {
    while !seen.contains(text) {
      guard let more = try await inbound.next() else { return false }
      seen += String(buffer: more)
    }
    return true
  }

  /// All that comes until the server closes.
  mutating func readToEnd() async throws -> String {
    do {
      while let more = try await inbound.next() { seen += String(buffer: more) }
    } catch is IOError {
      // A reset is an end too.
    }
    return seen
  }
}
