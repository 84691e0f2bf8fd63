// SPDX-License-Identifier: Apache-2.0
// Spans on their way to a collector: their form, repeats, losses, and the end.
import Domain
import Engine
import Foundation
import Logging
import ServiceLifecycle
import Synchronization
import Testing

@testable import Agents

@Suite(.timeLimit(.minutes(1))) struct TraceExporterTests {
  private static func span(_ name: String = "GET /x") throws -> Span {
    let context = try Fixture.trace
    var span = Span(
      name, .server, context: context, parent: SpanID(drawn: 0xAB), start: 1_000_000_001,
      end: 2_000_000_002)
    span.set("http.route", "/x\n")
    span.set("http.response.status_code", 503)
    span.failure = "store_unavailable"
    return span
  }

  private static func recorder(_ count: Int) throws -> SpanRecorder {
    let spans = SpanRecorder()
    for number in 0..<count { spans.record(try span("\(number)")) }
    return spans
  }

  /// Runs an exporter until everything is sent or lost.
  private static func exporting(
    to url: String, _ spans: SpanRecorder, log: KeptLines = KeptLines()
  ) async throws {
    let exporter = TraceExporter(
      settings: .init(
        endpoint: try EndpointURL(url), headers: [("x-key", "canary")],
        resource: TraceResource(attributes: [("service.name", "test")], version: "1")),
      spans: spans, server: ServerAddress(host: "127.0.0.1", port: 1), world: .live,
      logger: Logger(label: "test") { _ in log })
    let group = ServiceGroup(
      configuration: .init(services: [exporter], logger: Logger(label: "quiet")))
    async let running: Void = group.run()
    await group.triggerGracefulShutdown()
    try await running
  }

  @Test func `the JSON is that of the protocol`() throws {
    let body = OTLPTraces.body(
      [try Self.span()], TraceResource(attributes: [("service.name", "a\"b")], version: "7"))
    #expect(
      String(decoding: body, as: UTF8.self) == """
        {"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":\
        {"stringValue":"a\\"b"}}]},"scopeSpans":[{"scope":{"name":"orrery","version":"7"},\
        "spans":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7",\
        "parentSpanId":"00000000000000ab","traceState":"congo=t61rcWkgMzE","name":"GET /x",\
        "kind":2,"startTimeUnixNano":"1000000001","endTimeUnixNano":"2000000002",\
        "attributes":[{"key":"http.route","value":{"stringValue":"/x\\n"}},\
        {"key":"http.response.status_code","value":{"intValue":"503"}}],\
        "status":{"code":2,"message":"store_unavailable"}}]}]}]}
        """)
  }

  @Test func `what waits at the end is sent`() async throws {
    try await ScriptedAgent.with({ _ in .status(200, body: "{}") }) { collector in
      let spans = try Self.recorder(700)
      try await Self.exporting(to: collector.url + "/v1/traces", spans)
      let requests = collector.requests
      #expect(requests.count == 2 && requests.allSatisfy { $0.uri == "/dispatch/v1/traces" })
      #expect(requests.first?.header("content-type") == "application/json")
      #expect(requests.first?.header("x-key") == "canary")
      let counts = requests.map { request in
        String(decoding: request.body, as: UTF8.self).split(separator: "\"spanId\"").count - 1
      }
      #expect(counts == [512, 188] && spans.dropped == 0)
    }
  }

  @Test func `what a collector refuses is lost, counted and said once`() async throws {
    try await ScriptedAgent.with({ _ in .status(400, body: "{}") }) { collector in
      let spans = try Self.recorder(600)
      let log = KeptLines()
      try await Self.exporting(to: collector.url, spans, log: log)
      #expect(collector.requests.count == 2 && spans.dropped == 600)
      let lines = log.all
      #expect(lines.count == 1 && lines[0].contains("not sent") && !lines[0].contains("canary"))
    }
  }

  @Test func `what it rejects is counted`() async throws {
    let answer = #"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"x"}}"#
    try await ScriptedAgent.with({ _ in .status(200, body: answer) }) { collector in
      let spans = try Self.recorder(5)
      try await Self.exporting(to: collector.url, spans)
      #expect(spans.dropped == 2)
    }
  }

  @Test func `redirects are not followed`() async throws {
    try await ScriptedAgent.with({ _ in .status(302, headers: [("location", "/other")]) }) {
      collector in
      let spans = try Self.recorder(1)
      try await Self.exporting(to: collector.url, spans)
      #expect(collector.requests.count == 1 && spans.dropped == 1)
    }
  }

  @Test func `a collector that is away for a moment gets them the next time`() async throws {
    let first = Flag()
    try await ScriptedAgent.with({ _ in
      first.take() ? .status(503, headers: [("retry-after", "0")]) : .status(200, body: "")
    }) { collector in
      let spans = try Self.recorder(1)
      try await Self.exporting(to: collector.url, spans)
      #expect(collector.requests.count == 2 && spans.dropped == 0)
    }
  }
}

/// True once. Guarded by its lock.
private final class Flag: @unchecked Sendable {
  private let lock = NSLock()
  private var isSet = true

  func take() -> Bool {
    lock.withLock {
      defer { isSet = false }
      return isSet
    }
  }
}

/// Keeps what is logged.
private struct KeptLines: LogHandler {
  private final class Lines: Sendable { let all = Mutex<[String]>([]) }
  private let lines = Lines()
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.trace

  var all: [String] { lines.all.withLock { $0 } }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    lines.all.withLock { $0.append("\(event.message) \(event.metadata ?? [:])") }
  }
}
