// SPDX-License-Identifier: Apache-2.0
// What Prometheus scrapes.
import Domain
import Engine
import NIOHTTP1

enum MetricsRoute {
  static func metrics(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let gauges = try await services.engine.gauges()
    let values = services.engine.meters.snapshot
    var page = PrometheusText()
    tasks(gauges, values, &page)
    agents(gauges, values, &page)
    server(gauges, values, &page)
    sockets(services.sockets, values, &page)
    page.value(
      "socketio_sessions", .gauge, "Open sessions of Socket.IO, over WebSockets and polling.",
      Double(services.socketIO.sessions.openCount))
    page.value(
      "telemetry_spans_dropped_total", .counter, "Spans that were not sent to the collector.",
      Double(services.engine.tracing.spans?.dropped ?? 0))
    let uptime = Double(request.now.milliseconds(since: services.startedAt)) / 1_000
    page.value("orrery_uptime_seconds", .gauge, "Time since the server started.", uptime)
    page.family(
      "orrery_build_info", .gauge, "The running version; always 1.", labels: ["version"],
      [(LabelValues(services.version), 1)])
    return APIResponse(
      status: .ok, body: .bytes(Array(page.text.utf8)), contentType: PrometheusText.contentType)
  }

  private static func tasks(
    _ gauges: Engine.Gauges, _ values: Meters.Values, _ page: inout PrometheusText
  ) {
    page.family(
      "task_queue_depth", .gauge, "Tasks that wait, by type.", labels: ["type"],
      gauges.types.map { (LabelValues($0.type), Double($0.counts.queued)) })
    page.family(
      "task_running", .gauge, "Tasks that an agent works on, by type.", labels: ["type"],
      gauges.types.map { (LabelValues($0.type), Double($0.counts.running)) })
    page.counters(
      "task_submissions_total", "New tasks since the start.", labels: ["type"], values.submissions)
    page.counters(
      "task_claims_total", "Attempts given out since the start.", labels: ["type"], values.claims)
    page.histograms(
      "task_wait_seconds", "From the submit to the begin of an attempt.", labels: ["type"],
      values.waits)
    page.histograms(
      "task_duration_seconds", "How long attempts took, by what they reported.",
      labels: ["type", "status"], values.durations)
    page.counters(
      "task_completions_total", "Tasks that ended since the start.", labels: ["status"],
      values.completions)
    page.value(
      "task_retries_total", .counter, "Attempts that failed and are tried again.",
      Double(values.retries))
    page.value(
      "task_late_reports_total", .counter, "Reports of attempts that were over.",
      Double(values.lateReports))
  }

  private static func agents(
    _ gauges: Engine.Gauges, _ values: Meters.Values, _ page: inout PrometheusText
  ) {
    let agents = gauges.agents
    page.family(
      "agent_health", .gauge, "1 if the agent gets work, 0 if it is unhealthy or disabled.",
      labels: ["agentId"], agents.map { (LabelValues($0.id.text), $0.isHealthy ? 1 : 0) })
    page.family(
      "agent_tasks_running", .gauge, "Attempts that the agent holds.", labels: ["agentId"],
      agents.map { (LabelValues($0.id.text), Double($0.inUse)) })
    page.family(
      "agent_uptime_ratio", .gauge,
      "The share of health checks since the start that found the agent healthy.",
      labels: ["agentId"], values.healthChecks.values.map { ($0.key, $0.value.ratio) })
    page.histograms(
      "agent_response_seconds", "From a dispatch to the agent's answer to it.",
      labels: ["agentId"], values.agentResponses)
    page.counters(
      "agent_tasks_total", "Attempts that the agent ended, by what it reported.",
      labels: ["agentId", "status"], values.agentTasks)
  }

  private static func sockets(
    _ sockets: OpenSockets, _ values: Meters.Values, _ page: inout PrometheusText
  ) {
    page.family(
      "websocket_connections", .gauge, "Open WebSockets, by what is spoken on them.",
      labels: ["kind"],
      [OpenSockets.Kind.webSocket, .socketIO].map {
        (LabelValues($0.rawValue), Double(sockets.count($0)))
      })
    page.value(
      "event_streams", .gauge, "Open streams of events over HTTP.", Double(sockets.count(.stream)))
    page.family(
      "limits_hit_total", .counter, "How often a bound was reached.", labels: ["limit"],
      LimitHit.allCases.map { (LabelValues($0.rawValue), Double(values.limits[$0] ?? 0)) })
  }

  private static func server(
    _ gauges: Engine.Gauges, _ values: Meters.Values, _ page: inout PrometheusText
  ) {
    page.histogram(
      "callback_latency_seconds", "From a callback's head to the commit of what it reports.",
      values.callbacks)
    page.histograms(
      "store_seconds", "Calls of the store, the wait for their turn included.",
      labels: ["operation"], values.storeCalls)
    page.value(
      "store_bytes", .gauge, "The database on disk, its log included.", Double(gauges.storeBytes))
    page.histograms(
      "http_request_seconds", "Requests by route and status; event streams count when they end.",
      labels: ["route", "status"], values.requests)
    page.counters(
      "http_problems_total", "Requests refused, by the code of the answer.", labels: ["code"],
      values.problems)
  }
}
