// SPDX-License-Identifier: Apache-2.0
// The routes of live updates that show events as they are: `/ws` and `/events`.
import Domain
import Engine
import NIOCore
import NIOHTTP1

enum LiveRoutes {
  /// `GET /ws`: a token in the request signs in; else the first message has to.
  static func webSocket(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let holder = try services.live.holder(of: request)
    return try WebSocketHandshake.response(to: request) { socket in
      WebSocketDoor(socket, services.live, services.limits).open(holder)
    }
  }

  /// `GET /events`: server-sent events.
  static func events(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    try request.checkOrigin()
    let holder = try services.live.holder(presenting: request.request.bearerToken)
    let topics = try topics(request)
    let since = try since(request)
    // What happens while the snapshot is read comes after it.
    let place = since ?? services.live.log.last
    let snapshot = try await services.live.snapshot(of: topics, isResuming: since != nil)
    var response = APIResponse(
      status: .ok,
      body: .stream { stream in
        EventStreamDoor(stream, services.live).open(holder, topics, since: place, snapshot)
      })
    response.contentType = "text/event-stream"
    // Proxies that collect answers would hold events back.
    response.headers = [("X-Accel-Buffering", "no")] + request.crossOriginHeaders
    return response
  }

  private static func topics(_ request: APIRequest) throws(ControlError) -> Set<Topic> {
    guard let texts = request.query()["topic"] else { return [.tasks(.everything), .agents] }
    guard texts.count <= Limits.topics else {
      throw ControlError(.invalidQuery, "At most \(Limits.topics) topics.", path: "topic")
    }
    var topics: Set<Topic> = []
    for text in texts { topics.insert(try Topic(text)) }
    return topics
  }

  /// The header of a client that comes back counts before the address it began with.
  private static func since(_ request: APIRequest) throws(ControlError) -> UInt64? {
    let texts = request.headers("last-event-id").first.map { [$0] } ?? request.query()["since"]
    guard let texts else { return nil }
    guard texts.count == 1, let text = texts.first else {
      throw ControlError(.invalidQuery, "This parameter is given once.", path: "since")
    }
    return Cursor.place(text)
  }
}

extension LiveHub {
  /// Who signs in with the request's header; nil without one. Fails for those who may not watch.
  func holder(of request: APIRequest) throws(ControlError) -> TokenHolder? {
    guard !request.headers("authorization").isEmpty else { return nil }
    return try holder(presenting: request.request.bearerToken)
  }

  func holder(presenting token: (some Collection<UInt8>)?) throws(ControlError) -> TokenHolder {
    guard let token, let holder = tokens.holder(of: token) else {
      throw ControlError(.unauthorized, "This token is not known.")
    }
    guard tokens.allows(holder, .viewer) else {
      throw ControlError(.forbidden, "This needs a token of the role viewer or more.")
    }
    return holder
  }

  /// Tasks are replayed to those who come back, not shown anew.
  func snapshot(
    of topics: Set<Topic>, isResuming: Bool
  ) async throws(ControlError) -> [LiveEvent] {
    let events = try await snapshot(of: topics)
    guard isResuming else { return events }
    return events.filter { event in
      if case .task = event.body { false } else { true }
    }
  }
}
