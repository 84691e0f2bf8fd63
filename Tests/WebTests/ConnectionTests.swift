// SPDX-License-Identifier: Apache-2.0
// When connections end, and what clients get on them.
import Domain
import NIOCore
import Testing

@testable import Engine
@testable import Web

@Suite(.timeLimit(.minutes(1))) struct ConnectionTests {
  private func answer(_ served: Served, _ lines: String...) async throws -> String {
    try await served.exchange(lines.joined(separator: "\r\n"))
  }

  @Test(arguments: [
    "HTTP/1.1\r\nhost: x\r\nConnection: Close", "HTTP/1.0",
    "HTTP/1.1\r\nhost: x\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c",
  ])
  func `the connection ends after the answer`(_ end: String) async throws {
    try await Served.run { served in
      let all = try await answer(served, "GET /healthz \(end)")
      #expect(all.hasPrefix("HTTP/1.") && all.contains(" 200 OK"))
      #expect(all.lowercased().contains("connection: close"))
      #expect(all.hasSuffix(#"{"status":"ok"}"#))
    }
  }

  @Test(arguments: ["", "\r\nhost: a\r\nhost: b"])
  func `one host is needed`(_ hosts: String) async throws {
    try await Served.run { served in
      let all = try await answer(served, "GET /healthz HTTP/1.1\(hosts)")
      #expect(all.hasPrefix("HTTP/1.1 400"), "\(all)")
    }
  }

  @Test(arguments: ["/nowhere", "/api/backup", "/healthz"])
  func `answers to HEAD have no body`(_ path: String) async throws {
    try await Served.run { served in
      let all = try await answer(
        served, "HEAD \(path) HTTP/1.1", "host: x", "connection: close")
      #expect(all.hasPrefix("HTTP/1.1 ") && all.hasSuffix("\r\n\r\n"), "\(all)")
    }
  }

  @Test(arguments: ["content-length: 900000000", "transfer-encoding: chunked"])
  func `a body that nobody reads ends the connection`(_ length: String) async throws {
    try await Served.run { served in
      for path in ["/api/tasks", "/nowhere", "/healthz"] {
        let all = try await answer(served, "POST \(path) HTTP/1.1", "host: x", length)
        #expect(all.hasPrefix("HTTP/1.1 4") && all.contains("connection: close"), "\(all)")
      }
    }
  }

  @Test func `a connection goes on after small refusals`() async throws {
    try await Served.run { served in
      try await RawClient.connect(served.port) { client in
        for number in 1...3 {
          try await client.send(
            "POST /api/tasks HTTP/1.1", "host: x", "content-length: 2", body: "{}")
          #expect(try await client.read(until: "unauthorized"), "\(number)")
          #expect(!client.seen.contains("connection: close"))
          client.seen = ""
        }
      }
    }
  }

  @Test func `pipelined requests are answered in order`() async throws {
    try await Served.run { served in
      let admin = "authorization: Bearer \(served.token)"
      let submit = #"{"type":"work","priority":9}"#
      let requests = (0..<50).flatMap { number in
        [
          "GET /healthz?n=\(number) HTTP/1.1\r\nhost: x\r\n\r\n",
          "POST /api/tasks HTTP/1.1\r\nhost: x\r\n\(admin)\r\n"
            + "content-length: \(submit.utf8.count)\r\n\r\n\(submit)",
        ]
      }
      try await RawClient.connect(served.port) { client in
        try await client.sendPart(requests.joined())
        try await client.send("GET /readyz HTTP/1.1", "host: x", "connection: close")
        let answers = try await client.readToEnd().components(of: "HTTP/1.1 ")
        #expect(answers.count == 101)
        for (index, answer) in answers.enumerated().dropLast() {
          // A query is not known there; a task is created.
          #expect(answer.hasPrefix(index.isMultiple(of: 2) ? "400" : "201"), "\(index): \(answer)")
        }
        #expect(answers.last?.hasPrefix("200") == true)
      }
    }
  }

  @Test func `a body may come in pieces`() async throws {
    try await Served.run { served in
      let task = #"{"type":"work","payload":{"text":"\#(String(repeating: "x", count: 300_000))"}}"#
      try await RawClient.connect(served.port) { client in
        try await client.send(
          "POST /api/tasks HTTP/1.1", "host: x", "authorization: Bearer \(served.token)",
          "content-length: \(task.utf8.count)")
        for piece in task.pieces(of: 50_000) { try await client.sendPart(piece) }
        #expect(try await client.read(until: "201 Created"))
        client.seen = ""
        try await client.send(
          "POST /api/tasks HTTP/1.1", "host: x", "authorization: Bearer \(served.token)",
          "transfer-encoding: chunked")
        for piece in task.pieces(of: 50_000) {
          let size = String(piece.utf8.count, radix: 16)
          try await client.sendPart("\(size)\r\n\(piece)\r\n")
        }
        try await client.sendPart("0\r\n\r\n")
        #expect(try await client.read(until: "201 Created"))
      }
    }
  }

  @Test func `who does not read his answers is not worked for`() async throws {
    try await Served.run { served in
      let page = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"
      let asked = 150
      let answered = { @Sendable in
        served.engine.meters.snapshot.requests.values[
          LabelValues("GET /openapi.json", "200")]?.count ?? 0
      }
      try await RawClient.connect(served.port) { client in
        try await client.sendPart(String(repeating: page, count: asked))
        try await until { answered() > 2 }
        for _ in 0..<50 { _ = try await served.ask("GET /healthz") }
        // Each answer has 256 KiB: what is there waits in the sockets' buffers.
        #expect(answered() < 100)
        try await client.send("GET /healthz HTTP/1.1", "host: x", "connection: close")
        let all = try await client.readToEnd()
        #expect(all.components(of: "HTTP/1.1 200").count == asked + 1)
      }
    }
  }

  @Test func `slow heads and slow bodies are cut`() async throws {
    let short = ReadDeadlines.Times(
      head: .milliseconds(200), body: .milliseconds(200), bytesPerSecond: 1 << 20)
    try await Served.run(deadlines: short) { served in
      try await RawClient.connect(served.port) { client in
        try await client.sendPart("GET /he")
        #expect(try await client.readToEnd() == "")
      }
      try await RawClient.connect(served.port) { client in
        try await client.send(
          "POST /api/tasks HTTP/1.1", "host: x", "authorization: Bearer \(served.token)",
          "content-length: 100", body: "{")
        let all = try await client.readToEnd()
        #expect(!all.contains("HTTP/1.1 2"))
      }
    }
  }

  @Test func `a poll ends when its client leaves, and takes no task`() async throws {
    try await Served.run { served in
      let body = #"{"max":1,"waitSeconds":30}"#
      let headers = served.signed(body)
      try await RawClient.connect(served.port) { client in
        try await client.send(
          "POST /api/agents/puller/lease HTTP/1.1", "host: x", headers,
          "content-length: \(body.utf8.count)", body: body)
        try await until { !served.engine.polls.isEmpty }
      }
      try await until { served.engine.polls.isEmpty }
      let task = NewTask(demand: Demand(type: "work"), payload: Array("{}".utf8))
      let id = try #require(
        await served.engine.submit([Engine.Submission(task: task, bodyHash: nil)]).first
      ).id
      let taken = await served.engine.lease(served.agent, max: 1, wait: 5_000)
      #expect(taken.first?.task.running.id == id && taken.first?.task.running.attempt == 1)
    }
  }

  @Test func `a wait ends when its client leaves`() async throws {
    try await Served.run { served in
      let task = NewTask(demand: Demand(type: "other"), payload: Array("{}".utf8))
      let id = try #require(
        await served.engine.submit([Engine.Submission(task: task, bodyHash: nil)]).first
      ).id
      try await RawClient.connect(served.port) { client in
        try await client.send(
          "GET /api/tasks/\(id)/wait?timeoutSeconds=60 HTTP/1.1", "host: x",
          "authorization: Bearer \(served.token)")
        try await until { !served.engine.waiters.isEmpty }
      }
      try await until { served.engine.waiters.isEmpty }
    }
  }
}

extension String {
  fileprivate func components(of separator: String) -> [Substring] {
    split(separator: separator, omittingEmptySubsequences: true)
  }

  fileprivate func pieces(of size: Int) -> [String] {
    stride(from: 0, to: utf8.count, by: size).map { start in
      String(decoding: Array(utf8)[start..<min(start + size, utf8.count)], as: UTF8.self)
    }
  }
}
