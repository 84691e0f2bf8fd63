// SPDX-License-Identifier: Apache-2.0
// The operator's calls against a real HTTP server: what goes out and what comes back.

import Foundation
import Synchronization
import Testing

@testable import OrreryClient

/// Delays that were asked for, without waiting.
final class Delays: Sendable {
  private let values = Mutex<[Int64]>([])
  var all: [Int64] { values.withLock { $0 } }
  func add(_ value: Int64) { values.withLock { $0.append(value) } }
}

/// Answers one after the other; the last one again and again.
final class Script: Sendable {
  private let replies: Mutex<[Reply]>
  init(_ replies: Reply...) { self.replies = Mutex(replies) }
  func next() -> Reply {
    replies.withLock { $0.count > 1 ? $0.removeFirst() : ($0.first ?? Reply()) }
  }
}

extension LoopbackServer {
  func client(_ delays: Delays = Delays()) throws -> OrreryClient {
    var client = try OrreryClient(url: url, token: "orr_test")
    client.clock.sleep = { delays.add($0) }
    return client
  }
}

@Suite struct ClientTests {
  static let taskJSON = """
    {"id":"T1","type":"scrape","state":"completed","priority":7,"attempt":2,"failures":1,
     "agentId":"a-1","progress":100,"message":"done","payload":{"u":1.0},
     "results":{"data":{"title":"Hi"}},"partial":false,"error":null,"waitingFor":null,
     "needsAttention":false,"labels":{"k":"v"},"createdAt":"2026-01-13T17:00:00.000Z",
     "completedAt":"2026-01-13T17:00:01.500Z","later":"unknown"}
    """

  @Test func `submits a task with everything it may have`() async throws {
    let reply = Reply.json(#"{"taskId":"T1","state":"queued"}"#, status: 201)
    try await LoopbackServer.serving({ _ in reply }) { server in
      var task = try TaskSubmission(type: "scrape", payload: ["url": "https://example.com/"])
      task.priority = .high
      task.labels = ["team": "docs"]
      task.idempotencyKey = "once"
      task.timeout = .seconds(30)
      task.runAt = Date(timeIntervalSince1970: 1_768_323_600.25)
      task.retry = TaskRetry(maxAttempts: 2)
      let receipt = try await server.client().submit(task)
      #expect(receipt.taskID == "T1" && receipt.isNew && receipt.state == .queued)
      let seen = try #require(server.seen.first)
      #expect(seen.method == "POST" && seen.uri == "/api/tasks")
      #expect(seen.header("authorization") == "Bearer orr_test")
      #expect(seen.header("idempotency-key") == nil, "the body has it, whatever its characters")
      #expect(
        seen.text == """
          {"type":"scrape","payload":{"url":"https://example.com/"},"labels":{"team":"docs"},\
          "priority":7,"idempotencyKey":"once","runAt":"2026-01-13T17:00:00.250Z",\
          "timeout":30000,"retry":{"maxAttempts":2}}
          """)
    }
  }

  @Test func `submits JSON with a key beside it`() async throws {
    let reply = Reply.json(#"{"taskId":"T1","state":"queued"}"#, status: 201)
    try await LoopbackServer.serving({ _ in reply }) { server in
      let json = TaskSubmission(type: "t").json
      _ = try await server.client().submit(json: json, idempotencyKey: "once")
      #expect(try #require(server.seen.first).header("idempotency-key") == "once")
    }
  }

  @Test func `submits many as lines`() async throws {
    let reply = Reply.json(#"{"taskIds":["A","B"]}"#, status: 201)
    try await LoopbackServer.serving({ _ in reply }) { server in
      let ids = try await server.client().submit([.init(type: "a"), .init(type: "b")])
      #expect(ids == ["A", "B"])
      let seen = try #require(server.seen.first)
      #expect(seen.uri == "/api/tasks/bulk")
      #expect(seen.header("content-type") == "application/x-ndjson")
      let line = { (type: String) in #"{"type":"\#(type)","payload":{}}"# + "\n" }
      #expect(seen.text == line("a") + line("b"))
    }
  }

  @Test func `reads a task and keeps what it does not know`() async throws {
    try await LoopbackServer.serving({ _ in .json(Self.taskJSON) }) { server in
      let task = try await server.client().task("T1")
      #expect(task.state == .completed && task.state.isEnd && task.attempt == 2)
      #expect(task.data?.text == #"{"title":"Hi"}"#)
      #expect(task.payload?.text == #"{"u":1.0}"#)
      #expect(task.error == nil && task.waitingFor == nil)
      #expect(task.completedAt == Date(timeIntervalSince1970: 1_768_323_601.5))
      #expect(task.json.text.contains(#""later":"unknown""#))
    }
  }

  @Test func `walks over all pages`() async throws {
    let page = { @Sendable (id: String, next: String) in
      Reply.json(#"{"tasks":[{"id":"\#(id)","type":"t","state":"queued"}],"nextCursor":\#(next)}"#)
    }
    try await LoopbackServer.serving({ seen in
      seen.query.contains("cursor=c1") ? page("B", "null") : page("A", "\"c1\"")
    }) { server in
      var query = TaskQuery(state: .queued, type: "t")
      query.labels = ["a b": "ü"]
      var ids: [String] = []
      for try await task in try server.client().tasks(query) { ids.append(task.id) }
      #expect(ids == ["A", "B"])
      #expect(
        server.seen.map(\.query) == [
          "limit=200&state=queued&type=t&label=a%20b:%C3%BC",
          "limit=200&cursor=c1&state=queued&type=t&label=a%20b:%C3%BC",
        ])
    }
  }

  @Test func `waits by long polls until the end`() async throws {
    let polls = Mutex(0)
    try await LoopbackServer.serving({ _ in
      let isLast = polls.withLock { count in
        count += 1
        return count == 3
      }
      return .json(#"{"id":"T","type":"t","state":"\#(isLast ? "failed" : "running")"}"#)
    }) { server in
      let task = try await server.client().wait(for: "T")
      #expect(task.state == .failed)
      #expect(server.seen.map(\.uri).last == "/api/tasks/T/wait?timeoutSeconds=30")
      #expect(server.seen.count == 3)
    }
  }

  @Test func `an error keeps what the server said`() async throws {
    let reply = Reply(
      status: 422,
      body: """
        {"type":"about:blank","title":"t","status":422,"detail":"Use 0 to 9.",
         "code":"invalid_field","path":"priority","requestId":"r-9"}
        """)
    try await LoopbackServer.serving({ _ in reply }) { server in
      let error = try await #require(throws: OrreryError.self) {
        try await server.client().submit(TaskSubmission(type: "t"))
      }
      #expect(error.code == .invalidField && error.path == "priority" && error.status == 422)
      #expect(error.message == "Use 0 to 9." && error.requestID == "r-9")
      #expect(server.seen.count == 1)
    }
  }

  @Test func `redirects are not followed`() async throws {
    let reply = Reply(status: 302, headers: [("location", "/elsewhere")])
    try await LoopbackServer.serving({ _ in reply }) { server in
      let error = try await #require(throws: OrreryError.self) {
        try await server.client().task("T")
      }
      #expect(error.code == .badAnswer && error.status == 302)
      #expect(server.seen.count == 1)
    }
  }

  @Test func `a page of a proxy is not an answer`() async throws {
    try await LoopbackServer.serving({ _ in Reply(body: "<html>") }) { server in
      let error = try await #require(throws: OrreryError.self) {
        try await server.client().agents()
      }
      #expect(error.code == .badAnswer)
    }
  }

  @Test func `every call goes where the contract says`() async throws {
    try await LoopbackServer.serving(Self.administration) { server in
      let client = try server.client()
      _ = try await client.cancel("T")
      _ = try await client.retry("T")
      _ = try await client.acknowledge("T")
      _ = try await client.register(AgentRegistration(name: "n", capabilities: ["c"]))
      _ = try await client.change(agent: "a", AgentChange(state: "draining"))
      _ = try await client.rotateSecret(ofAgent: "a", grace: .zero)
      try await client.remove(agent: "a")
      var change = TypeChange(isPaused: true)
      change.concurrency = .lift
      change.ratePerSecondPerKey = .set(2.5)
      _ = try await client.change(type: "a/b", change)
      _ = try await client.createToken(name: "ci", role: .operator)
      try await client.remove(token: "t")
      try await client.setSecret("S", to: "v\"")
      try await client.remove(secret: "S")
      #expect(try await client.rotateKeys().keyID == "k2")
      #expect(try await client.backup().bytes == 5)
      #expect(try await client.stats().types["t"]?.failed == 4)
      #expect(
        server.seen.map { "\($0.method) \($0.uri) \($0.text)" } == Self.calls)
    }
  }

  static let calls = [
    "POST /api/tasks/T/cancel ", "POST /api/tasks/T/retry ", "POST /api/tasks/T/acknowledge ",
    #"POST /api/agents {"name":"n","type":"http","capabilities":["c"]}"#,
    #"PATCH /api/agents/a {"state":"draining"}"#,
    #"POST /api/agents/a/rotate-secret {"graceSeconds":0}"#, "DELETE /api/agents/a ",
    #"PATCH /api/types/a%2Fb {"paused":true,"concurrency":null,"perKey":{"ratePerSecond":2.5}}"#,
    #"POST /api/tokens {"name":"ci","role":"operator"}"#, "DELETE /api/tokens/t ",
    #"PUT /api/secrets/S {"value":"v\""}"#, "DELETE /api/secrets/S ", "POST /api/keys/rotate ",
    "POST /api/backup {}", "GET /api/stats ",
  ]

  @Sendable static func administration(_ seen: Seen) async -> Reply {
    if seen.method == "DELETE" || seen.method == "PUT" { return Reply(status: 204) }
    return switch seen.path {
    case "/api/agents", "/api/agents/a/rotate-secret": .json(#"{"id":"a","secret":"s"}"#)
    case "/api/agents/a": .json(#"{"id":"a","state":"draining"}"#)
    case "/api/types/a%2Fb": .json(#"{"type":"a/b","paused":true}"#)
    case "/api/tokens": .json(#"{"id":"t","name":"ci","role":"operator","token":"orr_x"}"#)
    case "/api/keys/rotate": .json(#"{"keyId":"k2"}"#)
    case "/api/backup": .json(#"{"path":"/b","bytes":5}"#)
    case "/api/stats": .json(#"{"version":"1","tasks":{"queued":1},"types":{"t":{"failed":4}}}"#)
    default: .json(#"{"taskId":"T","state":"cancelled"}"#)
    }
  }
}
