// SPDX-License-Identifier: Apache-2.0
// What is refused ahead of the routes, and how requests are named.
import Domain
import Testing

@testable import Web

@Suite(.timeLimit(.minutes(1))) struct RequestTests {
  @Test func `unknown query parameters are refused everywhere`() async throws {
    try await Served.run { served in
      for route in RouteTable.all where route.query != Route.anyQuery {
        guard case .agent = route.access else {
          let path = route.path.replacing("{id}", with: "x").replacing("{type}", with: "x")
            .replacing("{name}", with: "x")
          let answer = try await served.ask("\(route.method) \(path)?colour=red")
          #expect(answer.contains("invalid_query"), "\(route.method) \(path): \(answer)")
          continue
        }
      }
    }
  }

  @Test func `a method that is not allowed is named in Allow only`() async throws {
    try await Served.run { served in
      for method in ["GET", "PATCH", "DELETE"] {
        let answer = try await served.ask("\(method) /api/agents/join")
        #expect(answer.hasPrefix("HTTP/1.1 405") && answer.contains("Allow: POST\r\n"), "\(answer)")
        #expect(!answer.contains(#""path""#))
      }
    }
  }

  @Test func `the id join is for nobody`() async throws {
    try await Served.run { served in
      let entry = #"{"id":"join","name":"a","type":"http","capabilities":["a"]}"#
      let refused = try await served.ask("POST /api/agents", body: entry)
      #expect(refused.hasPrefix("HTTP/1.1 422"), "\(refused)")
      let named = #"{"name":"join","type":"http","capabilities":["a"]}"#
      let renamed = try await served.ask("POST /api/agents", body: named)
      #expect(renamed.contains(#""id":"join-agent"#), "\(renamed)")
    }
  }

  @Test func `bulk takes no idempotency key`() async throws {
    try await Served.run { served in
      let answer = try await served.ask(
        "POST /api/tasks/bulk", body: #"[{"type":"a","payload":{}}]"#, "idempotency-key: k")
      #expect(answer.hasPrefix("HTTP/1.1 422") && answer.contains("Idempotency-Key"), "\(answer)")
    }
  }

  @Test func `a request has one id, in its answer and in the log`() async throws {
    try await Served.run { served in
      let good = try await served.ask("GET /healthz")
      #expect(good.contains("x-request-id: "))
      let bad = try await served.ask("POST /api/backup", body: "{}")
      let id = try #require(bad.firstMatch(of: /x-request-id: ([0-9a-f]{16})/)).1
      #expect(bad.hasPrefix("HTTP/1.1 500") && bad.contains(#""requestId":"\#(id)""#), "\(bad)")
      #expect(served.log.all.contains { $0.hasPrefix("The cause.") && $0.contains(id) })
    }
  }

  @Test func `a foreign ULID in a report is not found`() async throws {
    try await Served.run { served in
      let body = #"{"taskId":"01K3ZJ7Q2M8V5R4T6W9X0Y1ABC","agentId":"puller","status":"success"}"#
      let answer = try await served.ask(
        "POST /api/agent-callback", body: body, served.signed(body))
      #expect(answer.hasPrefix("HTTP/1.1 404"), "\(answer)")
    }
  }

  @Test func `an unsigned report is refused before its body is sent`() async throws {
    try await Served.run { served in
      try await RawClient.connect(served.port) { client in
        try await client.send(
          "POST /api/agent-callback HTTP/1.1", "host: x", "content-length: 8000000")
        #expect(try await client.read(until: "unauthorized"))
      }
    }
  }

  @Test func `bodies share a budget`() throws {
    let budget = BodyBudget(most: 10)
    let (one, other) = (BodyShare(of: budget), BodyShare(of: budget))
    try one.take(6)
    #expect(throws: ControlError.self) { try other.take(5) }
    try other.take(4)
    one.release()
    try other.take(6)
  }
}
