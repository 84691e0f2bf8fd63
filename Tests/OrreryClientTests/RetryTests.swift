// SPDX-License-Identifier: Apache-2.0
// Which failed calls are made again, how often and when.

import Testing

@testable import OrreryClient

@Suite struct RetryTests {
  static let stats = Reply.json(#"{"version":"1"}"#)
  static let receipt = Reply.json(#"{"taskId":"T","state":"queued"}"#, status: 201)

  @Test func `reading is repeated after 503, not sooner than asked`() async throws {
    var away = Reply.problem(503, "store_unavailable")
    away.headers.append(("retry-after", "7"))
    let script = Script(away, away, Self.stats)
    let delays = Delays()
    try await LoopbackServer.serving({ _ in script.next() }) { server in
      _ = try await server.client(delays).stats()
      #expect(server.seen.count == 3)
      #expect(delays.all == [7_000, 7_000])
    }
  }

  @Test func `it is given up after so many tries`() async throws {
    let delays = Delays()
    try await LoopbackServer.serving({ _ in .problem(503, "store_unavailable") }) { server in
      let error = try await #require(throws: OrreryError.self) {
        try await server.client(delays).stats()
      }
      #expect(error.code == .storeUnavailable && server.seen.count == 4)
      #expect(delays.all.count == 3)
    }
  }

  @Test func `waits are bounded in sum`() async throws {
    var away = Reply.problem(503, "store_unavailable")
    away.headers.append(("retry-after", "20"))
    let reply = away
    try await LoopbackServer.serving({ _ in reply }) { server in
      let error = try await #require(throws: OrreryError.self) {
        try await server.client().stats()
      }
      #expect(error.retryAfter == 20 && server.seen.count == 2)
    }
  }

  @Test(arguments: [Reply.hangUp, .problem(503, "store_unavailable")])
  func `a submit without a key is not repeated`(failure: Reply) async throws {
    let script = Script(failure, Self.receipt)
    try await LoopbackServer.serving({ _ in script.next() }) { server in
      await #expect(throws: OrreryError.self) {
        try await server.client().submit(TaskSubmission(type: "t"))
      }
      #expect(server.seen.count == 1)
    }
  }

  @Test(arguments: [Reply.hangUp, .problem(503, "store_unavailable")])
  func `a submit with a key is repeated`(failure: Reply) async throws {
    let script = Script(failure, Self.receipt)
    try await LoopbackServer.serving({ _ in script.next() }) { server in
      var task = TaskSubmission(type: "t")
      task.idempotencyKey = "k"
      let receipt = try await server.client().submit(task)
      #expect(receipt.taskID == "T")
      #expect(server.seen.map(\.text).count == 2)
      #expect(Set(server.seen.map(\.text)).count == 1)
    }
  }

  @Test func `after 429 everything is repeated`() async throws {
    let script = Script(.problem(429, "limit_reached"), Self.receipt)
    try await LoopbackServer.serving({ _ in script.next() }) { server in
      let receipt = try await server.client().submit(TaskSubmission(type: "t"))
      #expect(receipt.taskID == "T")
    }
  }

  @Test func `a deletion that arrived the first time has succeeded`() async throws {
    let script = Script(.hangUp, .problem(404, "not_found"))
    try await LoopbackServer.serving({ _ in script.next() }) { server in
      try await server.client().remove(token: "t")
      #expect(server.seen.count == 2)
    }
    try await LoopbackServer.serving({ _ in .problem(404, "not_found") }) { server in
      await #expect(throws: OrreryError.self) { try await server.client().remove(token: "t") }
    }
  }

  @Test func `a refused connection is repeated and then told`() async throws {
    let server = try await LoopbackServer { _ in Reply() }
    let delays = Delays()
    let client = try server.client(delays)
    let url = server.url
    try await server.stop()
    let error = try await #require(throws: OrreryError.self) {
      try await client.submit(TaskSubmission(type: "t"))
    }
    #expect(error.code == .unreachable && error.status == nil)
    #expect(error.message == "No answer from \(url): connection refused.")
    #expect(delays.all.count == 3)
  }

  @Test func `a cancelled task stops waiting`() async throws {
    let gate = Signal()
    try await LoopbackServer.serving({ _ in
      await gate.wait()
      return .hangUp
    }) { server in
      let client = try server.client()
      let waiting = Task { try await client.wait(for: "T") }
      _ = await server.next("/wait")
      waiting.cancel()
      await #expect(throws: CancellationError.self) { try await waiting.value }
      gate.set()
    }
  }

  @Test(arguments: [Reply.hangUp, .problem(503, "store_unavailable"), .problem(502, "x")])
  func `who waits for a task outlasts a restart`(away: Reply) async throws {
    let script = Script(
      away, away, away, away, away, away, away, away, away,
      .json(#"{"id":"T","type":"t","state":"completed"}"#))
    try await LoopbackServer.serving({ _ in script.next() }) { server in
      let task = try await server.client().wait(for: "T")
      #expect(task.state == .completed && server.seen.count == 10)
    }
  }

  @Test(arguments: [
    (Reply.problem(503, "store_unavailable"), "store_unavailable"),
    (.problem(404, "not_found"), "not_found"), (.hangUp, "unreachable"),
  ])
  func `waiting ends in an error all the same`(reply: Reply, code: String) async throws {
    let delays = Delays()
    try await LoopbackServer.serving({ _ in reply }) { server in
      let error = try await #require(throws: OrreryError.self) {
        try await server.client(delays).wait(for: "T")
      }
      #expect(error.code.rawValue == code)
      #expect(delays.all.isEmpty == (code == "not_found"))
    }
  }

  @Test(arguments: [
    "", "ftp://x", "127.0.0.1:3000", "http://", "http://u:p@h/", "http://h/?q", "http://h:0/",
  ])
  func `bad addresses are refused`(url: String) {
    #expect(throws: OrreryError.self) { try OrreryClient(url: url, token: nil) }
  }

  @Test(arguments: [
    ("http://127.0.0.1:3000", true), ("http://localhost/", true), ("http://[::1]:3000", true),
    ("http://127.9.9.9", true), ("https://orrery.example.com/x/", true),
    ("http://10.0.0.1:3000", false), ("http://127.0.0.1.example.com", false),
    ("http://localhost.example.com", false),
  ])
  func `tokens go to other machines over TLS only`(url: String, isAllowed: Bool) throws {
    if isAllowed {
      _ = try OrreryClient(url: url, token: "orr_x")
    } else {
      let error = try #require(throws: OrreryError.self) {
        try OrreryClient(url: url, token: "orr_x")
      }
      #expect(error.code == .insecure)
    }
    var options = OrreryClient.Options()
    options.allowsInsecureHTTP = true
    _ = try OrreryClient(url: url, token: "orr_x", options: options)
  }

  @Test(arguments: ["", ".", ".."])
  func `an id cannot lead to another path`(id: String) async throws {
    let client = try OrreryClient(url: "http://127.0.0.1:1", token: "orr_x")
    let error = try await #require(throws: OrreryError.self) { try await client.remove(agent: id) }
    #expect(error.code == .invalidID)
  }

  @Test func `a token with a line break cannot be used`() {
    #expect(throws: OrreryError.self) {
      try OrreryClient(url: "http://127.0.0.1:1", token: "orr_x\r\nx: y")
    }
  }
}
