// SPDX-License-Identifier: Apache-2.0
// `/socket.io/`: polls, posts and WebSockets of Socket.IO clients.
import Domain
import Engine
import NIOCore
import NIOHTTP1

/// Open at the level of HTTP: the token comes with the request, or in the first packet.
enum SocketIORoutes {
  static let path = "/socket.io/"

  static func handle(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    try await handle(request, services.socketIO)
  }

  static func handle(
    _ request: APIRequest, _ server: SocketIOServer
  ) async throws(ControlError) -> APIResponse {
    try request.checkOrigin()
    switch asked(request) {
    case .failure(let refusal): return answer(.refused(refusal), request)
    case .success(.webSocket(let id)): return try webSocket(id, request, server)
    case .success(.open): return try await open(request, server)
    case .success(.poll(let id)):
      guard let session = server.sessions[id] else { return unknownSession(request) }
      return answer(try await poll(session, request), request)
    case .success(.post(let id)):
      guard let session = server.sessions[id] else { return unknownSession(request) }
      return answer(try await post(session, request), request)
    }
  }

  static func preflight(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    try request.preflight()
  }

  private static func asked(
    _ request: APIRequest
  ) -> Result<EngineIORequest, EngineIORefusal> {
    let head = request.request.head
    do throws(EngineIORefusal) {
      return .success(
        try EngineIORequest(
          method: head.method.rawValue, query: request.query(),
          isUpgrade: head.headers.contains(name: "upgrade")))
    } catch {
      return .failure(error)
    }
  }

  // MARK: Answers

  /// To a method that nothing is served for; clients know this refusal.
  static func badMethod() -> APIResponse { answer(.refused(.badMethod)) }

  private static func unknownSession(_ request: APIRequest) -> APIResponse {
    answer(.refused(.unknownSession), request)
  }

  private static func answer(
    _ answer: EngineIOSession.Answer, _ request: APIRequest
  ) -> APIResponse {
    var response = self.answer(answer)
    response.headers += request.crossOriginHeaders
    return response
  }

  private static func answer(_ answer: EngineIOSession.Answer) -> APIResponse {
    switch answer {
    case .payload(let bytes):
      APIResponse(
        status: .ok, body: .bytes(bytes), contentType: "text/plain; charset=UTF-8")
    case .refused(let refusal):
      .json(.badRequest) {
        $0.object {
          $0.field("code", refusal.rawValue)
          $0.field("message", refusal.message)
        }
      }
    }
  }

  // MARK: WebSockets

  private static func webSocket(
    _ id: String?, _ request: APIRequest, _ server: SocketIOServer
  ) throws(ControlError) -> APIResponse {
    let session = id.flatMap { server.sessions[$0] }
    guard id == nil || session != nil else { return unknownSession(request) }
    guard session != nil || server.hasRoom() else { throw full }
    let token = request.request.bearerToken.map { Array($0) }
    return try WebSocketHandshake.response(to: request, kind: .socketIO) { socket in
      server.take(socket, for: session, token: token)
    }
  }

  // MARK: Long-polling

  private static func open(
    _ request: APIRequest, _ server: SocketIOServer
  ) async throws(ControlError) -> APIResponse {
    let loop = request.client.channel.eventLoop
    let token = request.request.bearerToken.map { Array($0) }
    let first: EngineIOSession.Answer? = await withCheckedContinuation { waiter in
      loop.execute {
        guard let session = server.open(on: loop, token: token) else {
          return waiter.resume(returning: nil)
        }
        // The handshake waits, so that the answer comes at once.
        _ = session.poll { waiter.resume(returning: $0) }
      }
    }
    guard let first else {
      throw full
    }
    return answer(first, request)
  }

  private static var full: ControlError {
    ControlError(
      .limitReached, "There are as many sockets as this server takes; retry.", retryAfter: 5)
  }

  private static func poll(
    _ session: EngineIOSession, _ request: APIRequest
  ) async throws(ControlError) -> EngineIOSession.Answer {
    try await request.client.whileThere { () throws(ControlError) in
      let pending = PendingPoll(session)
      return await withTaskCancellationHandler {
        await withCheckedContinuation { waiter in
          session.loop.execute { pending.begin { waiter.resume(returning: $0) } }
        }
      } onCancel: {
        session.loop.execute { pending.abandon() }
      }
    }
  }

  private static func post(
    _ session: EngineIOSession, _ request: APIRequest
  ) async throws(ControlError) -> EngineIOSession.Answer {
    if let refusal = await session.onLoop({ session.beginPost() }) { return .refused(refusal) }
    do throws(ControlError) {
      let body = try await request.body(most: session.settings.maxPayload)
      return await session.onLoop { session.endPost(body) }
    } catch {
      _ = await session.onLoop { session.endPost(nil) }
      throw error
    }
  }
}

/// A poll whose client may leave before it is answered. Confined to its session's event loop.
private final class PendingPoll: @unchecked Sendable {
  private let session: EngineIOSession
  private var number: Int?
  private var isAbandoned = false

  init(_ session: EngineIOSession) { self.session = session }

  func begin(_ reply: @escaping EngineIOSession.Reply) {
    number = session.poll(reply)
    if isAbandoned { abandon() }
  }

  func abandon() {
    isAbandoned = true
    if let number { session.abandon(number) }
  }
}

extension EngineIOSession {
  /// Runs `body` on the session's event loop.
  fileprivate func onLoop<Value: Sendable>(
    _ body: @escaping @Sendable () -> Value
  ) async -> Value {
    await withCheckedContinuation { waiter in
      loop.execute { waiter.resume(returning: body()) }
    }
  }
}
