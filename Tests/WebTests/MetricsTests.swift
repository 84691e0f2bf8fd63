// SPDX-License-Identifier: Apache-2.0
// The page that Prometheus reads.
import Domain
import Engine
import Testing

@testable import Web

@Suite(.timeLimit(.minutes(1))) struct MetricsTests {
  @Test func `label values are escaped and series sorted`() {
    var page = PrometheusText()
    page.family(
      "x", .gauge, "Help.", labels: ["name"],
      [(LabelValues("b\"\\\n"), 1.5), (LabelValues("a"), 3)])
    #expect(
      page.text == """
        # HELP x Help.
        # TYPE x gauge
        x{name="a"} 3
        x{name="b\\"\\\\\\n"} 1.5

        """)
  }

  @Test func `buckets add up`() {
    var histogram = Histogram()
    for seconds in [0.001, 0.002, 9_999] { histogram.observe(seconds) }
    var page = PrometheusText()
    page.histogram("t_seconds", "Help.", histogram)
    #expect(page.text.contains("t_seconds_bucket{le=\"0.0005\"} 0\n"))
    #expect(page.text.contains("t_seconds_bucket{le=\"0.0025\"} 2\n"))
    #expect(page.text.contains("t_seconds_bucket{le=\"1800\"} 2\n"))
    #expect(page.text.contains("t_seconds_bucket{le=\"+Inf\"} 3\n"))
    #expect(page.text.hasSuffix("t_seconds_sum 9999.003\nt_seconds_count 3\n"))
  }

  @Test func `what is asked of the server is on its page`() async throws {
    try await Served.run { served in
      _ = try await served.ask("POST /api/tasks", body: #"{"type":"work"}"#)
      _ = try await served.ask("POST /api/tasks", body: #"{"type":"#)
      let page = try await served.ask("GET /metrics")
      #expect(page.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"))
      for line in [
        "task_queue_depth{type=\"work\"} 1", "task_submissions_total{type=\"work\"} 1",
        "agent_health{agentId=\"puller\"} 1", "http_problems_total{code=\"invalid_json\"} 1",
        "http_request_seconds_count{route=\"POST /api/tasks\",status=\"201\"} 1",
        "store_seconds_count{operation=\"submit\"} 1",
      ] {
        #expect(page.contains(line + "\n"), "\(line)\n\(page)")
      }
    }
  }

  @Test func `the page wants a token`() async throws {
    try await Served.run { served in
      let answer = try await served.exchange(
        "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close")
      #expect(answer.hasPrefix("HTTP/1.1 401"))
    }
  }
}
