// SPDX-License-Identifier: Apache-2.0
// From a request to its route and back: rights first, problems rendered once.
import Domain
import Engine
import HummingbirdCore
import Logging
import NIOHTTP1

/// Finds the route, lets in who may, and turns every error into a problem document.
struct APIResponder: Sendable {
  private let services: ControlServices
  private let routes: RouteMatcher
  private let budget: BodyBudget
  /// What large answers take that their clients have not read.
  let answers: BodyBudget
  private let date = DateHeader()

  init(services: ControlServices, routes: [Route] = RouteTable.all) {
    self.services = services
    self.routes = RouteMatcher(routes)
    let meters = services.engine.meters
    budget = BodyBudget { meters.limitHit(.bodies) }
    answers = BodyBudget { meters.limitHit(.answers) }
  }

  var sockets: OpenSockets { services.sockets }
  var meters: Meters { services.engine.meters }

  func respond(to request: EdgeRequest, from client: ClientConnection) async -> APIResponse {
    let began = services.engine.world.nanoseconds()
    let id = RequestID.next()
    let tracing = RequestTracing(of: request, services)
    let uri = URI(request.head.uri)
    var route = "none"
    var response: APIResponse
    switch routes.find(request.head.method.rawValue, uri.path) {
    case .match(let match):
      route = match.route.name
      response = await serve(match, request, uri, client, id, tracing.trace)
    case .otherMethods(let methods): response = Self.notAllowed(methods, uri.path, id)
    case .none:
      let error = ControlError(.notFound, "There is nothing at this path; see /openapi.json.")
      response = .problem(error, requestID: id)
    }
    complete(&response, id)
    let took = services.engine.seconds(since: began)
    services.engine.meters.served(
      route, Int(response.status.code), seconds: took, problem: response.problem?.rawValue)
    tracing.end(request, route, response, id, seconds: took, services)
    return response
  }

  /// The answer to what was no request.
  func malformed() -> APIResponse {
    let id = RequestID.next()
    let error = ControlError(
      .invalidRequest, "This is no HTTP/1.1 request with one Host that this server understands.")
    var response = APIResponse.problem(error, requestID: id)
    complete(&response, id)
    return response
  }

  /// The answer in the place of a socket or stream for which there is no room.
  func full() -> APIResponse {
    meters.limitHit(.sockets)
    return refusal("There are as many sockets and event streams as this server takes; retry.")
  }

  /// The answer in the place of a large one, while too many of those are not read.
  func overfull() -> APIResponse {
    refusal("Too many large answers wait for their clients to read them; retry.")
  }

  private func refusal(_ why: String) -> APIResponse {
    let id = RequestID.next()
    let error = ControlError(.limitReached, why, retryAfter: 5)
    var response = APIResponse.problem(error, requestID: id)
    complete(&response, id)
    return response
  }

  private func complete(_ response: inout APIResponse, _ id: String) {
    response.headers.append(("x-request-id", id))
    response.headers.append(("Date", date.text(at: services.engine.world.now())))
  }

  private func serve(
    _ match: RouteMatcher.Match, _ request: EdgeRequest, _ uri: URI, _ client: ClientConnection,
    _ id: String, _ trace: Tracing.Request?
  ) async -> APIResponse {
    let share = BodyShare(of: budget)
    defer { share.release() }
    let route = match.route
    let apiRequest = APIRequest(
      request: request, uri: uri, parameters: match.parameters, limits: services.limits,
      origins: services.origins,
      now: services.engine.world.now(), id: id, client: client, share: share,
      trace: trace)
    do {
      try Self.admit(request, to: route, services)
      guard !route.isForJoiningOnly(apiRequest) else {
        return Self.notAllowed(["POST"], uri.path, id)
      }
      try apiRequest.checkQuery(route.query)
      return try await route.handler(apiRequest, services)
    } catch {
      Self.log(error, route, id, trace, services.logger)
      var response = APIResponse.problem(error, requestID: id)
      response.headers += Self.challenges(error.code)
      return response
    }
  }

  private static func log(
    _ error: ControlError, _ route: Route, _ id: String, _ trace: Tracing.Request?,
    _ logger: Logger
  ) {
    guard error.code.status >= 500 else { return }
    var metadata: Logger.Metadata = [
      "requestId": "\(id)", "route": "\(route.name)", "code": "\(error.code.rawValue)",
    ]
    if let trace { metadata["traceId"] = "\(trace.context.traceID)" }
    logger.log(
      level: error.code == .internalError ? .error : .warning, "\(error.message)",
      metadata: metadata)
  }

  // MARK: Rights

  private static func admit(
    _ request: EdgeRequest, to route: Route, _ services: ControlServices
  ) throws(ControlError) {
    guard case .token(let needed) = route.access else { return }
    guard let token = request.bearerToken, let role = services.tokens.role(of: token) else {
      throw ControlError(
        .unauthorized, "Send a token that this server knows as Authorization: Bearer orr_…")
    }
    guard role.allows(needed) else {
      throw ControlError(
        .forbidden, "This needs a token of the role \(needed.rawValue); yours is \(role.rawValue).")
    }
  }

  // MARK: Problems

  private static func challenges(_ code: ControlError.Code) -> [(String, String)] {
    switch code {
    case .unauthorized: [("WWW-Authenticate", "Bearer")]
    case .upgradeRequired: [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    default: []
    }
  }

  private static func notAllowed(
    _ methods: [String], _ path: String, _ id: String
  ) -> APIResponse {
    if path == SocketIORoutes.path { return SocketIORoutes.badMethod() }
    let list = methods.joined(separator: ", ")
    var response = APIResponse.problem(
      ControlError(.methodNotAllowed, "Allowed here: \(list)."), requestID: id)
    response.headers.append(("Allow", list))
    return response
  }
}

extension Route {
  /// `/api/agents/join` in the place of an agent's id.
  fileprivate func isForJoiningOnly(_ request: APIRequest) -> Bool {
    guard path == "/api/agents/{id}", let id = request.parameters.first?.value else { return false }
    return PercentEncoding.decode(id) == AgentRoutes.reservedID
  }
}
