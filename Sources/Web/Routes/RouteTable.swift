// SPDX-License-Identifier: Apache-2.0
// Every route of the API, with who may use it and what serves it.
import Domain
package import Engine

/// Who may use a route.
package enum Access: Sendable {
  case open
  /// A bearer token of at least this role.
  case token(Role)
  /// A request signed by an agent; the route verifies it.
  case agent
}

package struct Route: Sendable {
  typealias Handler =
    @Sendable (APIRequest, ControlServices) async throws(ControlError) -> APIResponse
  package let method: String
  package let path: String
  package let access: Access
  /// Method and pattern, for logs and metrics.
  let name: String
  /// The query parameters that it knows; others are refused.
  let query: Set<String>
  let handler: Handler
  /// For a protocol whose clients add what they like.
  static let anyQuery: Set<String> = ["*"]

  init(
    _ method: String, _ path: String, _ access: Access, query: Set<String> = [],
    _ handler: @escaping Handler
  ) {
    self.method = method
    self.path = path
    self.access = access
    name = "\(method) \(path)"
    self.query = query
    self.handler = handler
  }
}

package enum RouteTable {
  package static let all: [Route] = [
    Route("POST", "/api/tasks", .token(.operator), TaskRoutes.submit),
    Route("GET", "/api/tasks", .token(.viewer), query: TaskListQuery.known, TaskRoutes.list),
    Route("POST", "/api/tasks/bulk", .token(.operator), BulkRoute.submit),
    Route("GET", "/api/tasks/{id}", .token(.viewer), TaskRoutes.get),
    Route(
      "GET", "/api/tasks/{id}/logs", .token(.viewer), query: ["limit", "cursor"], TaskRoutes.logs),
    Route(
      "GET", "/api/tasks/{id}/wait", .token(.viewer), query: ["timeoutSeconds"], TaskRoutes.wait),
    Route("POST", "/api/tasks/{id}/cancel", .token(.operator), TaskRoutes.cancel),
    Route("POST", "/api/tasks/{id}/retry", .token(.operator), TaskRoutes.retry),
    Route("POST", "/api/tasks/{id}/acknowledge", .token(.operator), TaskRoutes.acknowledge),
    Route("POST", "/api/tasks/{id}/progress", .agent, ReportRoutes.progress),
    Route("POST", "/api/agent-callback", .agent, ReportRoutes.callback),
    Route("GET", "/api/agents", .token(.viewer), AgentRoutes.list),
    Route("POST", "/api/agents", .token(.operator), AgentRoutes.register),
    Route("POST", "/api/agents/join", .token(.join), AgentRoutes.join),
    Route("GET", "/api/agents/{id}", .token(.viewer), AgentRoutes.get),
    Route("PATCH", "/api/agents/{id}", .token(.operator), AgentRoutes.change),
    Route("DELETE", "/api/agents/{id}", .token(.operator), AgentRoutes.remove),
    Route("POST", "/api/agents/{id}/rotate-secret", .token(.operator), AgentRoutes.rotate),
    Route("POST", "/api/agents/{id}/lease", .agent, PullRoutes.lease),
    Route("POST", "/api/agents/{id}/heartbeat", .agent, PullRoutes.heartbeat),
    Route("GET", "/api/types", .token(.viewer), TypeRoutes.list),
    Route("GET", "/api/types/{type}", .token(.viewer), TypeRoutes.get),
    Route("PATCH", "/api/types/{type}", .token(.operator), TypeRoutes.change),
    Route("GET", "/api/tokens", .token(.admin), AdminRoutes.listTokens),
    Route("POST", "/api/tokens", .token(.admin), AdminRoutes.createToken),
    Route("DELETE", "/api/tokens/{id}", .token(.admin), AdminRoutes.removeToken),
    Route("GET", "/api/secrets", .token(.admin), AdminRoutes.listSecrets),
    Route("PUT", "/api/secrets/{name}", .token(.admin), AdminRoutes.setSecret),
    Route("DELETE", "/api/secrets/{name}", .token(.admin), AdminRoutes.removeSecret),
    Route("POST", "/api/keys/rotate", .token(.admin), AdminRoutes.rotateKey),
    Route("POST", "/api/backup", .token(.admin), AdminRoutes.backup),
    Route("GET", "/api/stats", .token(.viewer), StatusRoutes.stats),
    Route("GET", "/socket.io/", .open, query: Route.anyQuery, SocketIORoutes.handle),
    Route("POST", "/socket.io/", .open, query: Route.anyQuery, SocketIORoutes.handle),
    Route("OPTIONS", "/socket.io/", .open, query: Route.anyQuery, SocketIORoutes.preflight),
    Route("GET", "/metrics", .token(.viewer), MetricsRoute.metrics),
    Route("GET", "/ws", .open, LiveRoutes.webSocket),
    Route("GET", "/events", .token(.viewer), query: ["topic", "since"], LiveRoutes.events),
    Route("GET", "/healthz", .open, StatusRoutes.healthz),
    Route("GET", "/readyz", .open, StatusRoutes.readyz),
    Route("GET", "/openapi.json", .open, StatusRoutes.openAPI),
  ]
}
