// SPDX-License-Identifier: Apache-2.0
// The trace of one request, its span, and its line in the access log.
import Domain
import Engine
import HummingbirdCore
import Logging
import NIOHTTP1

/// Begun with the head of a request, ended with its answer.
struct RequestTracing {
  let trace: Tracing.Request?
  private let began: Timestamp

  init(of request: EdgeRequest, _ services: ControlServices) {
    let world = services.engine.world
    began = world.now()
    let headers = request.head.headers
    let given = headers["traceparent"]
    let caller =
      given.isEmpty
      ? nil : TraceContext(traceparent: given, tracestate: headers["tracestate"])
    trace = services.engine.tracing.request(from: caller, random: world.random)
  }

  func end(
    _ request: EdgeRequest, _ route: String, _ response: APIResponse, _ id: String,
    seconds: Double, _ services: ControlServices
  ) {
    services.logger.debug(
      "request", metadata: line(route, response, id, seconds: seconds))
    guard let trace, trace.isRecorded, let spans = services.engine.tracing.spans else { return }
    spans.record(span(trace, request, route, response, id, seconds: seconds))
  }

  private func line(
    _ route: String, _ response: APIResponse, _ id: String, seconds: Double
  ) -> Logger.Metadata {
    var metadata: Logger.Metadata = [
      "requestId": "\(id)", "route": "\(route)", "status": "\(response.status.code)",
      "ms": "\((seconds * 1e6).rounded() / 1_000)",
    ]
    if let problem = response.problem { metadata["code"] = "\(problem.rawValue)" }
    if let trace { metadata["traceId"] = "\(trace.context.traceID)" }
    return metadata
  }

  /// OpenTelemetry's conventions for servers. The path is as the route has it: what stands in its
  /// place may be anything.
  private func span(
    _ trace: Tracing.Request, _ request: EdgeRequest, _ route: String, _ response: APIResponse,
    _ id: String, seconds: Double
  ) -> Span {
    let method = request.head.method
    let known = Self.methods.contains(method) ? method.rawValue : "_OTHER"
    let (end, overflow) = began.nanoseconds.addingReportingOverflow(
      UInt64(min(max(seconds, 0), 1e9) * 1e9))
    var span = Span(
      route.contains(" ") ? route : known, .server, context: trace.context, parent: trace.parent,
      start: began.nanoseconds, end: overflow ? .max : end)
    span.set("http.request.method", known)
    span.set("http.route", route.split(separator: " ").dropFirst().first.map(String.init))
    span.set("http.response.status_code", Int(response.status.code))
    span.set("url.scheme", "http")
    span.set("orrery.request.id", id)
    span.set("error.type", response.problem?.rawValue)
    if response.status.code >= 500 { span.failure = response.problem?.rawValue ?? "" }
    return span
  }

  private static let methods: [HTTPMethod] = [
    .GET, .HEAD, .POST, .PUT, .PATCH, .DELETE, .OPTIONS, .CONNECT, .TRACE,
  ]
}

extension APIRequest {
  /// What one task of this request keeps.
  var taskTrace: TraceContext? { trace?.context }

  /// What each of many tasks keeps: only a trace that the client began ties them together.
  var bulkTrace: TraceContext? { trace.flatMap { $0.isRemote ? $0.context : nil } }
}
