// SPDX-License-Identifier: Apache-2.0
// The real program against a server on loopback: output, errors, exit codes, tokens.

import Foundation
import OrreryClient
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct ProgramTests {
  static func run(
    _ arguments: [String], input: String = "", _ answer: @escaping LoopbackServer.Answer
  ) async throws -> (Program, [Seen]) {
    try await LoopbackServer.serving(answer) { server in
      let program = try await Program.run(
        arguments, input: input,
        environment: ["ORRERY_URL": server.url, "ORRERY_TOKEN": "orr_test"])
      return (program, server.seen)
    }
  }

  static let queued = Reply.json(#"{"taskId":"T1","state":"queued"}"#, status: 201)

  @Test func `submit prints the id`() async throws {
    let (program, seen) = try await Self.run(
      [
        "submit", "scrape", "--payload", #"{"url": "x"}"#, "--priority", "high", "--label", "a=b",
        "--requires", "gpu", "--selector", "zone=1", "--timeout", "30s", "--max-attempts", "2",
        "--key", "k",
      ], { _ in Self.queued })
    #expect(program.status == 0 && program.output == "T1\n" && program.errors.isEmpty)
    #expect(
      seen.first?.text == """
        {"type":"scrape","payload":{"url": "x"},"requires":["gpu"],"selector":{"zone":"1"},\
        "labels":{"a":"b"},"priority":7,"key":"k","timeout":30000,"retry":{"maxAttempts":2}}
        """)
  }

  @Test func `a payload can come from standard input`() async throws {
    let (program, seen) = try await Self.run(
      ["submit", "t", "--payload", "-", "--json"], input: "[1,\n2]\n", { _ in Self.queued })
    #expect(program.output == #"{"taskId":"T1","state":"queued"}"# + "\n")
    #expect(seen.first?.text == "{\"type\":\"t\",\"payload\":[1,\n2]}")
  }

  @Test func `a payload that is not JSON does not go out`() async throws {
    let (program, seen) = try await Self.run(
      ["submit", "t", "--payload", "{"], { _ in Self.queued })
    #expect(program.status == 6 && seen.isEmpty)
    #expect(program.errors.hasPrefix("orrery: payload: The payload is not JSON."))
  }

  /// A task that runs when it is first looked at, and has failed the next time.
  private static func failing(_ seen: Seen, hasEvents: Bool, _ looks: Looks) -> Reply {
    if seen.method == "POST" { return queued }
    if seen.path == "/events" {
      guard hasEvents else { return .problem(404, "not_found") }
      let event = #"data: {"k":"task","id":"T1","v":7,"d":{"state":"running"}}"#
      return Reply(
        headers: [("content-type", "text/event-stream")],
        body: "retry: 1\nid: 6\n\nid: 7\nevent: task\n\(event)\n\n")
    }
    let hasEnded =
      switch (seen.path, seen.query) {
      case ("/api/tasks/T1", _): looks.count() > 1
      case (_, "timeoutSeconds=1"): looks.value > 0
      default: false
      }
    return .json(
      """
      {"id":"T1","type":"t","state":"\(hasEnded ? "failed" : "running")","attempt":1,
       "agentId":"a\\u001b[2J","error":{"code":"NO","message":"x\\ny"}}
      """)
  }

  @Test(arguments: [true, false])
  func `waiting shows each change once and ends with the state`(hasEvents: Bool) async throws {
    let looks = Looks()
    let (program, seen) = try await Self.run(["submit", "t", "--wait"]) { seen in
      Self.failing(seen, hasEvents: hasEvents, looks)
    }
    #expect(program.status == 1)
    #expect(program.errors == "T1  running  on a\\u{1b}[2J\nT1  failed  NO\n")
    #expect(program.output.contains("error     NO: x\\ny"))
    #expect(!program.output.contains("\u{1B}"))
    let events = seen.filter { $0.path == "/events" }
    #expect(events.first?.query == "topic=task:T1" && events.first?.header("last-event-id") == nil)
    #expect(events.dropFirst().allSatisfy { $0.header("last-event-id") == "7" })
    #expect(hasEvents ? events.count >= 2 : events.count == 1)
  }

  @Test func `all tasks are watched by a filter, one event a line`() async throws {
    let event = #"{"k":"task","id":"T1","v":7,"d":{"type":"t","state":"failed","x":1.50}}"#
    let (program, seen) = try await Self.run(
      [
        "tasks", "watch", "--json", "--state", "failed", "--type", "a b", "--type", "c",
        "--agent", "x", "--label", "team=a&b",
      ]
    ) { seen in
      guard seen.header("last-event-id") == nil else { return .problem(401, "unauthorized") }
      return Reply(
        headers: [("content-type", "text/event-stream; charset=utf-8")],
        body: "retry: 1\n\n: comment\n\nid: 7\r\nevent: task\r\ndata: \(event)\r\n\r\n")
    }
    #expect(program.output == event + "\n")
    #expect(program.status == 3 && program.errors.contains("unauthorized"))
    #expect(
      seen.first?.query == "topic=tasks%3Fstate%3Dfailed%26type%3Da%2520b%26type%3Dc%26agent%3Dx"
        + "%26label%3Dteam:a%2526b")
  }

  @Test func `JSON is what the server sent`() async throws {
    let body = #"{"tasks":[{"id":"A","type":"t","state":"queued","new":1.50}],"nextCursor":null}"#
    let (program, seen) = try await Self.run(
      ["tasks", "list", "--json", "--state", "queued", "--label", "a=b", "--needs-attention"],
      { _ in .json(body) })
    #expect(program.output == body + "\n")
    #expect(seen.first?.query == "limit=50&state=queued&label=a:b&needsAttention=true")
  }

  @Test func `tables are for people`() async throws {
    let body = """
      {"tasks":[{"id":"A","type":"t","state":"queued","priority":5,"attempt":0,
        "waitingFor":"no_agent"}],"nextCursor":"c"}
      """
    let (program, _) = try await Self.run(["tasks", "list", "--limit", "1"]) { _ in .json(body) }
    #expect(
      program.output == """
        ID  TYPE  STATE   PRI  TRY  DONE  AGENT  AGE
        A   t     queued    5    0                    waiting: no_agent
        More: --cursor c

        """)
  }

  @Test(arguments: [
    (401, "unauthorized", 3), (403, "forbidden", 3), (404, "not_found", 4), (409, "task_ended", 5),
    (422, "invalid_field", 6), (413, "payload_too_large", 7), (507, "disk_full", 8),
    (500, "internal", 9),
  ])
  func `errors have exit codes`(status: Int, code: String, exit: Int32) async throws {
    let (people, _) = try await Self.run(["tasks", "cancel", "T"]) { _ in .problem(status, code) }
    #expect(people.status == exit && people.output.isEmpty)
    #expect(people.errors.hasPrefix("orrery: No.") && people.errors.count { $0 == "\n" } == 1)
    let (json, _) = try await Self.run(["tasks", "cancel", "T", "--json"]) { _ in
      .problem(status, code)
    }
    #expect(json.status == exit && json.output.isEmpty)
    let problem = try JSONText(json.errors.trimmingCharacters(in: .newlines))
    #expect(problem.text.contains(#""code":"\#(code)""#))
  }

  @Test func `a secret's value comes from standard input`() async throws {
    let (program, seen) = try await Self.run(
      ["secrets", "set", "S"], input: "top secret\n", { _ in Reply(status: 204) })
    #expect(program.status == 0 && program.output == "S is stored.\n")
    #expect(seen.first?.uri == "/api/secrets/S" && seen.first?.method == "PUT")
    #expect(seen.first?.text == #"{"value":"top secret"}"#)
  }

  @Test func `without a server it is said what to do`() async throws {
    let server = try await LoopbackServer { _ in Reply() }
    let url = server.url
    try await server.stop()
    let environment = ["ORRERY_TOKEN": "orr_x"]
    let program = try await Program.run(["stats", "--server", url], environment: environment)
    #expect(program.status == 8)
    #expect(program.errors.contains("connection refused") && program.errors.contains("serve"))
  }

  @Test func `usage errors end with 2`() async throws {
    for arguments in [["nothing"], ["submit"], ["tasks", "get"], ["stats", "--nope"]] {
      let program = try await Program.run(arguments)
      #expect(program.status == 2 && !program.errors.isEmpty && program.output.isEmpty)
    }
  }

  @Test func `help has the exit codes`() async throws {
    let program = try await Program.run(["--help"])
    #expect(program.status == 0 && program.output.contains("EXIT CODES:"))
  }

  @Test(arguments: ["bash", "zsh", "fish"])
  func `completions are made`(shell: String) async throws {
    let program = try await Program.run(["--generate-completion-script", shell])
    #expect(program.status == 0 && program.output.contains("acknowledge"))
  }
}

@Suite(.timeLimit(.minutes(1))) struct TokenTests {
  /// A data folder with a token.
  static func withFolder<Value>(_ body: (URL) async throws -> Value) async throws -> Value {
    let name = "orrery-cli-\(ProcessInfo.processInfo.globallyUniqueString)"
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(name)
    let data = folder.appendingPathComponent("data")
    try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
    defer {
      do { try FileManager.default.removeItem(at: folder) } catch { Issue.record(error) }
    }
    try Data("orr_from_file\n".utf8).write(to: data.appendingPathComponent("admin-token"))
    return try await body(folder)
  }

  static let stats = Reply.json(#"{"version":"1"}"#)

  @Test func `the token is found in the data folder`() async throws {
    try await Self.withFolder { folder in
      try await LoopbackServer.serving({ _ in Self.stats }) { server in
        let environment = ["ORRERY_URL": server.url]
        let program = try await Program.run(["stats"], environment: environment, folder: folder)
        #expect(program.status == 0)
        _ = try await Program.run(
          ["stats", "--server", server.url, "--data", folder.path + "/data"])
        #expect(
          server.seen.map { $0.header("authorization") } == [
            "Bearer orr_from_file", "Bearer orr_from_file",
          ])
      }
    }
  }

  @Test func `it does not go to another machine unasked`() async throws {
    try await Self.withFolder { folder in
      let remote = ["stats", "--server", "https://orrery.invalid"]
      let unasked = try await Program.run(remote, folder: folder)
      #expect(unasked.status == 3 && unasked.errors.contains("no token"))
      let insecure = try await Program.run(
        ["stats", "--server", "http://192.0.2.1", "--data", "data"], folder: folder)
      #expect(insecure.status == 3 && insecure.errors.contains("--insecure-http"))
    }
  }

  @Test func `doctor works without a server`() async throws {
    try await Self.withFolder { folder in
      let server = try await LoopbackServer { _ in Reply() }
      let url = server.url
      try await server.stop()
      let program = try await Program.run(
        ["doctor", "--json", "--server", url], folder: folder)
      struct Report: Decodable {
        struct Check: Decodable {
          let name: String
          let status: String
        }
        let ok: Bool
        let checks: [Check]
      }
      let report = try JSONText(program.output).decode(as: Report.self)
      #expect((program.status == 0) == report.ok)
      let verdicts = report.checks.reduce(into: [:]) { $0[$1.name] = $1.status }
      #expect(verdicts["server"] == "warn" && verdicts["data folder"] == "ok")
      #expect(verdicts["token"] == "ok" && verdicts["fdatasync"] != nil)
      let left = try FileManager.default.contentsOfDirectory(atPath: folder.path + "/data")
      #expect(left == ["admin-token"])
    }
  }

  @Test func `doctor says what is wrong with a server`() async throws {
    try await Self.withFolder { folder in
      try await LoopbackServer.serving({ seen in
        switch seen.path {
        case "/healthz":
          Reply(
            headers: [("date", "Thu, 01 Jan 2026 00:00:00 GMT")], body: #"{"status":"ok"}"#)
        case "/readyz": .problem(503, "store_unavailable", "The disk is full.")
        default: .problem(401, "unauthorized")
        }
      }) { server in
        let program = try await Program.run(["doctor", "--server", server.url], folder: folder)
        #expect(program.status == 1)
        #expect(program.output.contains("fail  ready        The disk is full."))
        #expect(program.output.contains("fail  token        No."))
        #expect(program.output.contains("fail  clock        The server's clock is"))
      }
    }
  }
}

/// Counts looks at a task.
private final class Looks: Sendable {
  private let looks = Mutex(0)

  var value: Int { looks.withLock { $0 } }

  func count() -> Int {
    looks.withLock {
      $0 += 1
      return $0
    }
  }
}
