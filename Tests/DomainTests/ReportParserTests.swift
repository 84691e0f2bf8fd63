// SPDX-License-Identifier: Apache-2.0
// Reports, progress and pull requests as agents send them: what is understood and what is refused.

import Testing

@testable import Domain

@Suite struct ReportParserTests {
  static let id = TaskID.first(at: 1_800_000_000_000)
  static let now = Timestamp(milliseconds: 1_800_000_000_000)

  static func parse(_ rest: String, limits: Limits = Limits()) throws -> ParsedReport {
    let body = #"{"taskId":"\#(id)"\#(rest.isEmpty ? "" : ",")\#(rest)}"#
    return try ReportParser(limits: limits).parse(Array(body.utf8), receivedAt: now)
  }

  static func error(_ rest: String, limits: Limits = Limits()) -> ControlError? {
    do {
      _ = try parse(rest, limits: limits)
      return nil
    } catch { return error as? ControlError }
  }

  static func text(_ bytes: [UInt8]?) -> String? {
    bytes.map { String(decoding: $0, as: UTF8.self) }
  }

  // MARK: Results

  @Test(arguments: [
    (#"{"data":{"a": 1}}"#, #"{"data":{"a": 1},"artifacts":[],"logs":[],"metrics":{}}"#),
    (#"{"metrics":{"n":1},"x":2}"#, #"{"data":null,"artifacts":[],"logs":[],"metrics":{"n":1}}"#),
    (#"{"title":"t"}"#, #"{"data":{"title":"t"},"artifacts":[],"logs":[],"metrics":{}}"#),
    ("[1,2]", #"{"data":[1,2],"artifacts":[],"logs":[],"metrics":{}}"#),
    ("5", #"{"data":5,"artifacts":[],"logs":[],"metrics":{}}"#),
    ("{}", #"{"data":{},"artifacts":[],"logs":[],"metrics":{}}"#),
    (#"{"data":null,"logs":null}"#, #"{"data":null,"artifacts":[],"logs":[],"metrics":{}}"#),
  ])
  func `results take one form`(given: String, stored: String) throws {
    let report = try Self.parse(#""status":"success","results":\#(given)"#).report
    #expect(Self.text(report.results) == stored)
  }

  @Test func `no results are no results`() throws {
    #expect(try Self.parse(#""status":"success""#).report.results == nil)
    #expect(try Self.parse(#""status":"success","results":null"#).report.results == nil)
  }

  @Test func `log lines are read`() throws {
    let lines = """
      [{"message":"a"},{"timestamp":"2026-01-13T17:00:00.000Z","level":"warn","message":"b",
      "metadata":{"k":1}},{"level":"ERROR","message":""}]
      """
    let report = try Self.parse(#""status":"success","results":{"logs":\#(lines)}"#).report
    #expect(report.logs.map(\.message) == ["a", "b", ""])
    #expect(report.logs.map(\.level) == [.info, .warning, .error])
    #expect(report.logs[0].time == Self.now)
    #expect(report.logs[1].time.description == "2026-01-13T17:00:00.000Z")
    #expect(Self.text(report.logs[1].metadata) == #"{"k":1}"#)
  }

  // MARK: Errors of the agent

  @Test func `a failure always has an error, a success never`() throws {
    let bare = try Self.parse(#""status":"failure""#).report
    #expect(bare.errorCode == "AGENT_ERROR" && bare.retryable == nil)
    #expect(
      Self.text(bare.error) == #"{"code":"AGENT_ERROR","message":"The agent gave no message."}"#)
    let full = try Self.parse(
      #""status":"failure","error":{"code":"C","message":"m","stack":"s","retryable":false,"#
        + #""retryAfter":7,"x":1}"#
    ).report
    #expect(full.errorCode == "C" && full.retryable == false && full.retryAfter == 7)
    #expect(
      Self.text(full.error)
        == #"{"code":"C","message":"m","stack":"s","retryable":false,"retryAfter":7}"#)
    let success = try Self.parse(#""status":"success","error":{"code":"C"}"#).report
    #expect(success.error == nil && success.errorCode == nil)
    #expect(try Self.parse(#""status":"partial""#).report.error == nil)
    #expect(try Self.parse(#""status":"partial","error":{"code":"C"}"#).report.errorCode == "C")
  }

  @Test func `long error texts are cut between characters`() throws {
    let long = String(repeating: "é", count: 3_000)
    let report = try Self.parse(#""status":"failure","error":{"message":"x\#(long)"}"#).report
    let stored = try #require(report.error)
    let message = try #require(try JSONDocument(stored).root["message"]?.stringValue)
    #expect(message.utf8.count == 4_095 && message.hasPrefix("xé"))
    #expect("abc".cut(toUTF8: 0) == "" && "é".cut(toUTF8: 1) == "" && "aé".cut(toUTF8: 2) == "a")
  }

  @Test func `who and which attempt`() throws {
    let parsed = try Self.parse(
      #""status":"success","agentId":"a","attempt":2,"leaseToken":"t","duration":12345"#)
    #expect(parsed.taskID == Self.id && parsed.agentID == "a" && parsed.attempt == 2)
    #expect(parsed.leaseToken == "t" && parsed.report.duration == 12_345)
    let answer = try ReportParser(limits: Limits()).parse(
      Array(#"{"status":"success"}"#.utf8), receivedAt: Self.now, isTaskKnown: true)
    #expect(answer.taskID == nil && answer.attempt == nil)
  }

  // MARK: Refusals

  @Test(arguments: [
    ("", ControlError.Code.missingField, "status"),
    (#""status":"odd""#, .invalidField, "status"),
    (#""status":1"#, .invalidField, "status"),
    (#""status":"success","attempt":0"#, .invalidField, "attempt"),
    (#""status":"success","attempt":"1""#, .invalidField, "attempt"),
    (#""status":"success","agentId":1"#, .invalidField, "agentId"),
    (#""status":"success","timestamp":"today""#, .invalidField, "timestamp"),
    (#""status":"success","duration":-1"#, .invalidField, "duration"),
    (#""status":"failure","error":"x""#, .invalidField, "error"),
    (#""status":"failure","error":{"code":5}"#, .invalidField, "error.code"),
    (#""status":"failure","error":{"retryable":1}"#, .invalidField, "error.retryable"),
    (#""status":"failure","error":{"retryAfter":-1}"#, .invalidField, "error.retryAfter"),
    (#""status":"success","results":{"metrics":[]}"#, .invalidField, "results.metrics"),
    (#""status":"success","results":{"logs":{}}"#, .invalidField, "results.logs"),
    (#""status":"success","results":{"logs":[{}]}"#, .missingField, "results.logs[0].message"),
    (
      #""status":"success","results":{"logs":[{"message":"m","level":"x"}]}"#, .invalidField,
      "results.logs[0].level"
    ),
    (#""status":"success","results":{"artifacts":{}}"#, .invalidField, "results.artifacts"),
    (#""status":"success","results":{"artifacts":[1]}"#, .invalidField, "results.artifacts[0]"),
    (
      #""status":"success","results":{"artifacts":[{"base64":""}]}"#, .missingField,
      "results.artifacts[0].name"
    ),
    (
      #""status":"success","results":{"artifacts":[{"name":"a"}]}"#, .missingField,
      "results.artifacts[0].base64"
    ),
    (
      #""status":"success","results":{"artifacts":[{"name":"a","base64":"a!=="}]}"#, .invalidField,
      "results.artifacts[0].base64"
    ),
    (
      #""status":"success","results":{"artifacts":[{"name":"a","sha256":"x","size":1}]}"#,
      .artifactUnknown, "results.artifacts[0]"
    ),
  ])
  func `is refused with its path`(rest: String, code: ControlError.Code, path: String) {
    let error = Self.error(rest)
    #expect(error?.code == code && error?.path == path, "\(String(describing: error))")
  }

  @Test func `sizes are bounded`() {
    var limits = Limits()
    limits.results = 100
    limits.artifact = 3
    limits.logLinesPerReport = 1
    let long = #""status":"success","results":"\#(String(repeating: "x", count: 99))""#
    #expect(Self.error(long, limits: limits)?.code == .payloadTooLarge)
    func artifact(_ content: String) -> String {
      #""status":"success","results":{"artifacts":[{"name":"a","base64":"\#(content)"}]}"#
    }
    #expect(Self.error(artifact("AAAA"), limits: limits) == nil)
    #expect(Self.error(artifact("AAAAAA=="), limits: limits)?.code == .invalidField)
    let lines = #""status":"success","results":{"logs":[{"message":"a"},{"message":"b"}]}"#
    #expect(Self.error(lines, limits: limits)?.path == "results.logs")
  }

  @Test func `an id that cannot be one is refused as an id`() {
    let parser = ReportParser(limits: Limits())
    #expect(throws: ControlError(.invalidID, "This is not the id of a task.", path: "taskId")) {
      try parser.parse(
        Array(#"{"taskId":"x","status":"success"}"#.utf8), receivedAt: Self.now)
    }
  }

  // MARK: Progress, leases, heartbeats

  @Test func `progress`() throws {
    let parser = ProgressParser(limits: Limits())
    let report = try parser.parse(
      Array(#"{"progress":12.5,"message":"m","logs":[{"message":"l"}],"leaseToken":"t"}"#.utf8),
      receivedAt: Self.now)
    #expect(report.progress == 12.5 && report.message == "m" && report.logs.count == 1)
    #expect(report.taskID == nil && report.leaseToken == "t")
    for bad in [#"{"progress":101}"#, #"{"progress":"5"}"#, #"{"progress":-1}"#, "[]", "{"] {
      #expect(throws: ControlError.self) {
        try parser.parse(Array(bad.utf8), receivedAt: Self.now)
      }
    }
  }

  @Test func `leases and heartbeats`() throws {
    let query = try LeaseQuery(Array(#"{"max":4,"waitSeconds":30,"x":1}"#.utf8), limits: Limits())
    #expect(query.max == 4 && query.waitSeconds == 30)
    #expect(try LeaseQuery([], limits: Limits()).max == 1)
    for bad in [#"{"max":0}"#, #"{"max":1001}"#, #"{"waitSeconds":61}"#, #"{"max":1.5}"#] {
      #expect(throws: ControlError.self) { try LeaseQuery(Array(bad.utf8), limits: Limits()) }
    }
    let beat = try Heartbeat(
      Array(#"{"status":"draining","running":[{"taskId":"a","leaseToken":"b"}]}"#.utf8),
      limits: Limits())
    #expect(beat.isDraining && beat.running.map(\.taskID) == ["a"])
    #expect(try !Heartbeat(Array("{}".utf8), limits: Limits()).isDraining)
    for bad in [#"{"status":"x"}"#, #"{"running":[{"taskId":"a"}]}"#, #"{"running":{}}"#] {
      #expect(throws: ControlError.self) { try Heartbeat(Array(bad.utf8), limits: Limits()) }
    }
  }

  @Test func `tokens are spelled with sixteen digits`() {
    #expect(LeaseToken.text(-1) == "ffffffffffffffff" && LeaseToken.text(0x1F).hasSuffix("001f"))
    #expect(LeaseToken.matches("000000000000001f", 0x1F))
    #expect(!LeaseToken.matches("1f", 0x1F) && !LeaseToken.matches("000000000000001F", 0x1F))
  }
}
