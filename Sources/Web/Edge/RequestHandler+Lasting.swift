// SPDX-License-Identifier: Apache-2.0
// Answers that last: streams, and connections that become WebSockets.
import Engine
import NIOCore
import NIOHTTP1

extension RequestHandler {
  /// A watched stream or socket that takes nothing is told so early.
  private static let waterMarks = ChannelOptions.Types.WriteBufferWaterMark(
    low: 64 << 10, high: 256 << 10)

  // MARK: Streams

  func stream(_ response: APIResponse, _ open: @Sendable (OpenStream) -> Void) {
    var fields = response.fields
    guard !isHead else {
      writeHead(response.status, fields)
      return writeEnd()
    }
    let sockets = responder.sockets
    guard sockets.enter(.stream) else { return answer(responder.full()) }
    if !isOld { fields.add(name: "Transfer-Encoding", value: "chunked") }
    let stream = OpenStream(
      channel, finish: { [weak self] in self?.finish($0) }, release: { sockets.leave(.stream) })
    // Writing may close the connection at once: from here on its end is the stream's.
    state = .streaming(stream)
    writeHead(response.status, fields)
    channel.flush()
    widen()
    setReading(true)
    guard channel.isActive else { return end() }
    open(stream)
    // What was first written to it may have closed it before it was watched.
    guard channel.isActive else { return stream.lost() }
    // The server stops.
    if isLast { stream.end() }
  }

  private func finish(_ stream: OpenStream) {
    guard case .streaming(let current) = state, current === stream else { return }
    writeEnd()
    // The edge was not told so at the head.
    if isLast { closeWhenWritten() }
  }

  private func widen() {
    do {
      try channel.syncOptions?.setOption(.writeBufferWaterMark, value: Self.waterMarks)
    } catch {
      // The connection is closing; it will be told.
    }
  }

  // MARK: WebSockets

  func tunnel(_ response: APIResponse, _ open: @Sendable (WebSocket) -> Void) {
    guard !isIncomplete else { return answer(responder.malformed()) }
    let sockets = responder.sockets
    let kind = response.socketKind
    guard sockets.enter(kind) else { return answer(responder.full()) }
    channel.closeFuture.whenComplete { [ended] _ in
      sockets.leave(kind)
      ended.succeed()
    }
    let head = HTTPResponseHead(
      version: .http1_1, status: response.status, headers: response.fields)
    channel.writeAndFlush(HTTPServerResponsePart.head(head), promise: nil)
    // Writing may have closed it: a socket would never hear of that.
    guard channel.isActive else { return end() }
    state = .upgraded
    widen()
    setReading(true)
    let socket = WebSocket(channel)
    become(socket, open)
    onTunnel()
    // The server stops.
    if isLast { socket.close(code: 1001, reason: "the server stops") }
  }

  /// Takes the HTTP handlers out of the pipeline; what the client sent behind its request reaches
  /// the socket after it was opened.
  private func become(_ socket: WebSocket, _ open: (WebSocket) -> Void) {
    let meters = responder.meters
    let handler = WebSocketHandler(socket) { meters.limitHit($0) }
    do {
      try channel.pipeline.syncOperations.addHandler(handler)
    } catch {
      return channel.close(promise: nil)
    }
    http.remove(from: channel.pipeline.syncOperations)
    channel.pipeline.syncOperations.removeHandler(self, promise: nil)
    open(socket)
    handler.start(on: channel)
  }
}
