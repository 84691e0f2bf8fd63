// SPDX-License-Identifier: Apache-2.0
// Requests and their traces: taken from the caller, kept with the task, told to the agent.
import Domain
import Engine
import Logging
import Testing

@testable import Web

@Suite(.timeLimit(.minutes(1))) struct RequestTracingTests {
  private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
  private static let given = "00-\(trace)-00f067aa0ba902b7-01"

  /// What a pull agent gets, as text.
  private func lease(_ served: Served) async throws -> String {
    let body = #"{"max":4,"waitSeconds":5}"#
    return try await served.exchange(
      """
      POST /api/agents/puller/lease HTTP/1.1\r\nhost: x\r\nconnection: close\r
      content-length: \(body.utf8.count)\r\n\(served.signed(body))
      """, body)
  }

  @Test func `a single task keeps the caller's trace`() async throws {
    try await Served.run { served in
      let answer = try await served.ask(
        "POST /api/tasks", body: #"{"type":"work"}"#, "traceparent: \(Self.given)",
        "tracestate: congo=t61rcWkgMzE")
      #expect(answer.hasPrefix("HTTP/1.1 201") && !answer.contains("traceparent"))
      let dispatches = try await lease(served)
      #expect(dispatches.contains(#""traceparent":"00-\#(Self.trace)-"#))
      #expect(!dispatches.contains(Self.given))
      #expect(dispatches.contains(#""tracestate":"congo=t61rcWkgMzE""#))
    }
  }

  @Test func `every task of a bulk keeps it`() async throws {
    try await Served.run { served in
      _ = try await served.ask(
        "POST /api/tasks/bulk", body: #"[{"type":"work"},{"type":"work"}]"#,
        "traceparent: \(Self.given)")
      let page = try await served.engine.list(TaskQuery())
      for task in page.tasks {
        #expect(try await served.engine.task(task.id).trace?.traceparent == Self.given)
      }
      #expect(page.tasks.count == 2)
    }
  }

  @Test(arguments: [
    "00-\(trace)-0000000000000000-01", "nonsense", "\(given)\r\ntraceparent: \(given)",
  ])
  func `a bad one is as good as none`(header: String) async throws {
    try await Served.run { served in
      let answer = try await served.ask(
        "POST /api/tasks", body: #"{"type":"work"}"#, "traceparent: \(header)")
      #expect(answer.hasPrefix("HTTP/1.1 201"))
      let task = try #require(try await served.engine.list(TaskQuery()).tasks.first)
      #expect(try await served.engine.task(task.id).trace == nil)
      let other = #/"traceparent":"00-([0-9a-f]{32})-[0-9a-f]{16}-01"/#
      let found = try #require(try await lease(served).firstMatch(of: other))
      #expect(found.1 != Self.trace)
    }
  }

  @Test func `requests become spans, and tasks stand below them`() async throws {
    let spans = SpanRecorder()
    try await Served.run(spans: spans) { served in
      _ = try await served.ask(
        "POST /api/tasks", body: #"{"type":"work"}"#, "traceparent: \(Self.given)")
      _ = try await served.ask("POST /api/tasks", body: #"{"type":"work"}"#)
      _ = try await served.ask("GET /nowhere")
      let found = spans.take()
      try #require(found.map(\.name) == ["POST /api/tasks", "POST /api/tasks", "GET"])
      #expect(found.allSatisfy { $0.kind == .server && $0.failure == nil })
      #expect(found[0].context.traceID.description == Self.trace)
      #expect(found[0].parent?.description == "00f067aa0ba902b7")
      #expect(found[1].parent == nil && found[1].context.traceID != found[0].context.traceID)
      let status = found.map { $0.attributes.first { $0.name == "http.response.status_code" } }
      #expect(status.map { $0?.value } == [.int(201), .int(201), .int(404)])
      let tasks = try await served.engine.list(TaskQuery()).tasks.reversed()
      for (task, span) in zip(tasks, found) {
        #expect(try await served.engine.task(task.id).trace == span.context)
      }
    }
  }

  @Test func `log lines say the trace`() async throws {
    try await Served.run { served in
      _ = try await served.ask(
        "POST /api/backup", body: "{}", "traceparent: \(Self.given)")
      #expect(served.log.all.contains { $0.contains(Self.trace) })
    }
  }
}
