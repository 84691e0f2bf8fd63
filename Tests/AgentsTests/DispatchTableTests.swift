// SPDX-License-Identifier: Apache-2.0
// Every row of the dispatch table, against a real server on loopback.

import Agents
import Domain
import Engine
import NIOCore
import NIOPosix
import Testing

@Suite(.timeLimit(.minutes(1))) struct DispatchTableTests {
  struct Row: Sendable, CustomTestStringConvertible {
    let name: String
    let script: Scripted
    let expected: String
    var testDescription: String { name }

    init(_ name: String, _ script: Scripted, _ expected: String) {
      self.name = name
      self.script = script
      self.expected = expected
    }
  }

  static let bodies: [Row] =
    [200, 201, 202, 206, 299].map {
      Row("\($0) accepted", .status($0, body: #"{"accepted":true}"#), "accepted")
    } + [
      Row("200 success", .status(200, body: #"{"status":"success"}"#), "report success"),
      Row(
        "200 partial", .status(200, body: #"{"status":"partial","results":5}"#), "report partial"),
      Row("200 failure", .status(200, body: #"{"status":"failure"}"#), "report failure"),
      Row(
        "accepted wins", .status(200, body: #"{"accepted":true,"status":"success"}"#), "accepted"),
      Row("204", .status(204), "failed BAD_ANSWER"),
      Row("201 status", .status(201, body: #"{"status":"success"}"#), "failed BAD_ANSWER"),
      Row(
        "another task",
        .status(
          200, body: #"{"status":"success","taskId":"\#(TaskID.first(at: 1_700_000_000_000))"}"#),
        "failed BAD_ANSWER"),
      Row(
        "another attempt", .status(200, body: #"{"status":"success","attempt":2}"#),
        "failed BAD_ANSWER"),
      Row(
        "another token", .status(200, body: #"{"status":"success","leaseToken":"x"}"#),
        "failed BAD_ANSWER"),
      Row(
        "this attempt",
        .status(
          200,
          body: #"{"status":"success","attempt":3,"leaseToken":"0123456789abcdef"}"#),
        "report success"),
    ]
    + [
      "", "null", "[]", "{}", "not json", #"{"accepted":false}"#, #"{"accepted":"true"}"#,
      #"{"accepted":true,"accepted":true}"#, #"{"status":"odd"}"#, #"{"status":1}"#,
      String(repeating: "[", count: 5_000),
      #"{"status":"success","results":{"artifacts":[{"name":"a","sha256":"x"}]}}"#,
    ].map { Row("200 \($0.prefix(40))", .status(200, body: $0), "failed BAD_ANSWER") }

  static let statuses: [Row] =
    [400, 402, 405, 408, 409, 413, 418, 422, 451].map {
      Row("\($0)", .status($0), "failed AGENT_REFUSED")
    }
    + [500, 501, 502, 504, 599].map {
      Row("\($0)", .status($0), "failed AGENT_FAILED breaker")
    }
    + [401, 403, 404, 410].map {
      Row("\($0)", .status($0), "undelivered breaker unhealthy")
    }
    + [301, 302, 303, 307, 308].map {
      Row("\($0)", .status($0, headers: [("location", "http://127.0.0.1:9/")]), "failed BAD_ANSWER")
    } + [
      Row("429", .status(429), "undelivered"),
      Row("429 after", .status(429, headers: [("Retry-After", "7")]), "undelivered after 7000"),
      Row("503", .status(503), "undelivered breaker"),
      Row(
        "503 after", .status(503, headers: [("retry-after", "2")]), "undelivered breaker after 2000"
      ),
      Row(
        "404 after", .status(404, headers: [("retry-after", "1")]),
        "undelivered breaker unhealthy after 1000"),
      Row("nonsense", .status(503, headers: [("retry-after", "-5")]), "undelivered breaker"),
      Row(
        "huge", .status(503, headers: [("retry-after", "99999999999999999")]),
        "undelivered breaker after 604800000"),
      Row(
        "past", .status(503, headers: [("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]),
        "undelivered breaker after 0"),
    ]

  static let faults: [Row] = [
    Row("silence", .hang, "failed NO_ANSWER breaker"),
    Row("close", .close, "failed NO_ANSWER breaker"),
    Row("garbage", .rawThenClose("\u{0}\u{1}SSH-2.0-x\r\n"), "failed NO_ANSWER breaker"),
    Row(
      "101", .rawThenClose("HTTP/1.1 101 Switching\r\nupgrade: h2c\r\n\r\n"), "failed BAD_ANSWER"),
    Row(
      "two lengths",
      .rawThenClose("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!"),
      "failed NO_ANSWER breaker"),
    Row(
      "shorter than announced",
      .rawThenClose("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"accepted\":true}"),
      "failed NO_ANSWER breaker"),
    Row(
      "body that never ends", .raw("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"),
      "failed NO_ANSWER breaker"),
    Row(
      "drip of headers",
      .drip(["HTTP/1.1 200 OK\r\nx-slow: "] + Array(repeating: "y", count: 400), every: 20),
      "failed NO_ANSWER breaker"),
    Row(
      "drip of a body",
      .drip(
        ["HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n"] + Array(repeating: " ", count: 400),
        every: 20),
      "failed NO_ANSWER breaker"),
    Row(
      "above 4 MiB",
      .status(
        200, body: #"{"accepted":true,"x":""# + String(repeating: "x", count: 5 << 20) + #""}"#),
      "failed BAD_ANSWER"),
    Row(
      "endless chunks",
      .drip(
        ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"]
          + Array(
            repeating: "10000\r\n" + String(repeating: "x", count: 65_536) + "\r\n", count: 90),
        every: 1),
      "failed BAD_ANSWER"),
    Row(
      "flood of headers",
      .raw(
        "HTTP/1.1 200 OK\r\n"
          + (0..<20_000).map { "x-\($0): \(String(repeating: "y", count: 100))\r\n" }.joined()),
      "failed NO_ANSWER breaker"),
    Row(
      "flood of 100",
      .raw(String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 50_000)),
      "failed NO_ANSWER breaker"),
  ]

  @Test(arguments: bodies + statuses)
  func `an answer means`(row: Row) async throws {
    let answer = try await Fixture.answer(to: row.script)
    #expect(answer.summary == row.expected, "\(answer)")
  }

  @Test(arguments: faults)
  func `a fault means`(row: Row) async throws {
    let began = World.live.uptime()
    let answer = try await Fixture.answer(to: row.script)
    #expect(answer.summary == row.expected, "\(answer)")
    #expect(World.live.uptime() - began < 8_000)
  }

  // MARK: Nothing delivered

  @Test func `a refused connection delivers nothing`() async throws {
    let agent = try await ScriptedAgent { _ in .hang }
    let url = agent.url
    try await agent.stop()
    let answer = try await Self.dispatch(to: url)
    #expect(answer.summary == "undelivered breaker", "\(answer)")
  }

  @Test func `an unknown name delivers nothing`() async throws {
    let answer = try await Self.dispatch(to: "http://no-such-host.invalid/x")
    #expect(answer.summary == "undelivered breaker", "\(answer)")
  }

  @Test func `a failed TLS handshake delivers nothing`() async throws {
    let agent = try await ScriptedAgent { _ in .status(200, body: #"{"accepted":true}"#) }
    let answer = try await Self.dispatch(to: "https://127.0.0.1:\(agent.port)/x")
    #expect(answer.summary == "undelivered breaker", "\(answer)")
    #expect(agent.requests.isEmpty)
    try await agent.stop()
  }

  @Test(arguments: ["ftp://127.0.0.1/x", "unix:///tmp/x", "http+unix://x/y", ""])
  func `other schemes deliver nothing`(url: String) async throws {
    let answer = try await Self.dispatch(to: url)
    #expect(answer.summary == "undelivered unhealthy", "\(answer)")
  }

  static func dispatch(to url: String) async throws -> DispatchAnswer {
    try await Fixture.withConnector { connector in
      await connector.start(
        try Fixture.dispatch(), on: try Fixture.agent(url),
        secrets: [try AgentSecret(Fixture.secret)])
    }
  }

  // MARK: Time

  @Test func `a synchronous agent may take longer`() async throws {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n"
    let slow = Scripted.drip(
      [head, "x: y\r\n", "\r\n", #"{"status":"#, #""success"}"#], every: 120)
    let answer = try await Fixture.answer(to: slow, answers: .sync, answerTimeout: 100)
    #expect(answer.summary == "report success", "\(answer)")
  }

  @Test func `a synchronous agent has until the attempt's end`() async throws {
    let began = World.live.uptime()
    let silent = try await Fixture.answer(to: .hang, answers: .sync, timeout: 300)
    #expect(silent.summary == "failed TIMEOUT breaker", "\(silent)")
    let slow = Scripted.drip(
      ["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"] + Array(repeating: " ", count: 9), every: 200
    )
    let dripping = try await Fixture.answer(to: slow, answers: .sync, timeout: 300)
    #expect(dripping.summary == "failed TIMEOUT breaker", "\(dripping)")
    #expect(World.live.uptime() - began < 3_000)
  }
}
