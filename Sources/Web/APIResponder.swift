// SPDX-License-Identifier: Apache-2.0
// From a request to its route and back: rights first, problems rendered once.
import Domain
import Engine
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore

/// Finds the route, lets in who may, and turns every error into a problem document.
struct APIResponder: HTTPResponder {
  typealias Context = APIContext
  private let routes: RouterResponder<APIContext>

  init(services: ControlServices) {
    let budget = BodyBudget()
    let router = Router(context: APIContext.self, options: .autoGenerateHeadEndpoints)
    for route in RouteTable.all {
      guard let method = HTTPRequest.Method(route.method) else { continue }
      router.on(RouterPath(route.path), method: method) { request, context in
        await Self.serve(route, request, context, services, budget)
      }
    }
    routes = router.buildResponder()
  }

  func respond(to request: Request, context: APIContext) async throws -> Response {
    var response = try await routes.respond(to: request, context: context)
    // The router's own answer where no route matches has no body; ours always say what they hold.
    if response.status == .notFound, response.headers[.contentType] == nil {
      response = Self.unmatched(request, context)
    }
    response.headers[.requestID] = context.requestID
    return response
  }

  private static func serve(
    _ route: Route, _ request: Request, _ context: APIContext,
    _ services: ControlServices, _ budget: BodyBudget
  ) async -> Response {
    let now = services.engine.world.now()
    let share = BodyShare(of: budget)
    defer { share.release() }
    let apiRequest = APIRequest(
      request: request, parameters: context.parameters, limits: services.limits, now: now,
      id: context.requestID, client: context.client, share: share)
    do {
      try admit(request, to: route, services)
      guard !route.isForJoiningOnly(context.parameters) else {
        return notAllowed(["POST"], context)
      }
      try apiRequest.checkQuery(route.query)
      return try await route.handler(apiRequest, services).response()
    } catch {
      log(error, route, context, services.logger)
      return problem(error, context)
    }
  }

  private static func log(
    _ error: ControlError, _ route: Route, _ context: APIContext, _ logger: Logger
  ) {
    guard error.code.status >= 500 else { return }
    logger.log(
      level: error.code == .internalError ? .error : .warning, "\(error.message)",
      metadata: [
        "requestId": "\(context.requestID)", "route": "\(route.method) \(route.path)",
        "code": "\(error.code.rawValue)",
      ])
  }

  // MARK: Rights

  private static func admit(
    _ request: Request, to route: Route, _ services: ControlServices
  ) throws(ControlError) {
    guard case .token(let needed) = route.access else { return }
    guard let token = bearerToken(request), let role = services.tokens.role(of: token) else {
      throw ControlError(
        .unauthorized, "Send a token that this server knows as Authorization: Bearer orr_…")
    }
    guard role.allows(needed) else {
      throw ControlError(
        .forbidden, "This needs a token of the role \(needed.rawValue); yours is \(role.rawValue).")
    }
  }

  private static func bearerToken(_ request: Request) -> Substring.UTF8View? {
    let values = request.headers[values: .authorization]
    guard values.count == 1, let value = values.first else { return nil }
    let parts = value.split(separator: " ", maxSplits: 1)
    guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
    return parts[1].utf8
  }

  // MARK: Problems

  private static func problem(_ error: ControlError, _ context: APIContext) -> Response {
    var response = APIResponse.problem(error, requestID: context.requestID).response()
    if error.code == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer" }
    return response
  }

  private static func notAllowed(_ methods: [String], _ context: APIContext) -> Response {
    let list = methods.joined(separator: ", ")
    var response = problem(ControlError(.methodNotAllowed, "Allowed here: \(list)."), context)
    response.headers[.allow] = list
    return response
  }

  /// The path is unknown, or known for other methods only.
  private static func unmatched(_ request: Request, _ context: APIContext) -> Response {
    let path = request.uri.path.split(separator: "/", omittingEmptySubsequences: true)
    let all = RouteTable.all.filter { $0.matches(path) }
    // A path that is spelled out hides those with parameters.
    let exact = all.filter { $0.path == "/" + path.joined(separator: "/") }
    guard !all.isEmpty else {
      return problem(
        ControlError(.notFound, "There is nothing at this path; see /openapi.json."), context)
    }
    return notAllowed((exact.isEmpty ? all : exact).map(\.method), context)
  }
}

extension HTTPField.Name {
  /// The name is a literal of the right form; a wrong one would be an unknown header, not a crash.
  fileprivate static let requestID = HTTPField.Name("x-request-id") ?? .ifMatch
}

extension Route {
  /// `/api/agents/join` in the place of an agent's id.
  fileprivate func isForJoiningOnly(_ parameters: Parameters) -> Bool {
    guard path == "/api/agents/{id}" else { return false }
    return parameters.get("id").flatMap(PercentEncoding.decode) == AgentRoutes.reservedID
  }

  fileprivate func matches(_ path: [Substring]) -> Bool {
    let own = self.path.split(separator: "/")
    return own.count == path.count && zip(own, path).allSatisfy { $0.hasPrefix("{") || $0 == $1 }
  }
}

/// What the framework keeps of a request, and its channel.
struct APIContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  let requestID = RequestID.next()
  let client: ClientConnection

  init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    client = ClientConnection(channel: source.channel)
  }
}
