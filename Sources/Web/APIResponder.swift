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
    let response = try await routes.respond(to: request, context: context)
    // The router's own answer where no route matches has no body; ours always say what they hold.
    guard response.status == .notFound, response.headers[.contentType] == nil else {
      return response
    }
    return Self.problem(Self.unmatched(request), context)
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
      return try await route.handler(apiRequest, services).response()
    } catch {
      if error.code == .internalError {
        context.logger.error("\(error.message)", metadata: ["route": "\(route.path)"])
      }
      return problem(error, context)
    }
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
    switch error.code {
    case .unauthorized: response.headers[.wwwAuthenticate] = "Bearer"
    case .methodNotAllowed:
      response.headers[.allow] = error.path
    default: break
    }
    return response
  }

  /// The path is unknown, or known for other methods only.
  private static func unmatched(_ request: Request) -> ControlError {
    let path = request.uri.path.split(separator: "/", omittingEmptySubsequences: true)
    let methods = RouteTable.all.filter { $0.matches(path) }.map(\.method)
    guard !methods.isEmpty else {
      return ControlError(.notFound, "There is nothing at this path; see /openapi.json.")
    }
    return ControlError(
      .methodNotAllowed, "Allowed here: \(methods.joined(separator: ", ")).",
      path: methods.joined(separator: ", "))
  }
}

extension Route {
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
