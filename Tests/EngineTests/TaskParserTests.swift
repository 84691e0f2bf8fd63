// SPDX-License-Identifier: Apache-2.0
// Submitted tasks: what is taken, what is refused with which code and path, which bodies are equal.
import Domain
import Testing

@Suite struct TaskParserTests {
  static let now = Timestamp(milliseconds: 1_800_000_000_000)

  static func parse(
    _ text: String, limits: Limits = Limits(), path: String = "", header: String? = nil
  ) throws(ControlError) -> NewTask {
    let document = try JSONDocument(Array(text.utf8), limits: limits)
    return try TaskParser(limits: limits).parse(
      document.root, path: path, idempotencyKey: header, now: now)
  }

  /// Code and path of the refusal; nil if it is taken.
  static func refused(
    _ text: String, limits: Limits = Limits(), path: String = "", header: String? = nil
  ) -> String? {
    do throws(ControlError) {
      _ = try parse(text, limits: limits, path: path, header: header)
      return nil
    } catch { return "\(error.code.rawValue) \(error.path ?? "-")" }
  }

  @Test func `the shortest task`() throws {
    let task = try Self.parse(#"{"type":"work"}"#)
    #expect(task.demand == Demand(type: "work"))
    #expect(task.payload == Array("{}".utf8))
    #expect(task.priority == 5)
    #expect(task.retry == nil && task.timeout == nil && task.key == nil && task.labels.isEmpty)
    #expect(task.idempotencyKey == nil && task.runAt == nil && task.deadline == nil)
  }

  @Test(arguments: ["null", "0", "false", #""""#, "[]"]) func `any JSON is a payload`(
    text: String
  ) throws {
    #expect(try Self.parse(#"{"type":"work","payload":\#(text)}"#).payload == Array(text.utf8))
  }

  @Test func `every field`() throws {
    let task = try Self.parse(
      #"""
      {"type":"work","payload":[1, 2.50,"é"],"agentType":"browser","requires":["b","a","b"],
       "selector":{"zone":"eu"},"labels":{"z":"1","a":"2"},"priority":9,"key":"tenant 1",
       "idempotencyKey":"once","runAt":"2027-02-01T00:00:00Z","deadline":"2027-03-01T00:00:00Z",
       "timeout":1000,"retry":{"maxAttempts":2,"backoff":"fixed","base":1,"factor":1.5,"cap":9,
       "jitter":0}}
      """#)
    #expect(task.demand.agentType == .browser)
    #expect(task.demand.requires == ["a", "b"])
    #expect(task.demand.selector == [Label("zone", "eu")])
    #expect(task.labels == [Label("a", "2"), Label("z", "1")])
    #expect(task.payload == Array(#"[1, 2.50,"é"]"#.utf8), "as it came")
    #expect(task.priority == 9 && task.key == "tenant 1" && task.idempotencyKey == "once")
    #expect(task.timeout == 1_000)
    #expect(task.runAt?.description == "2027-02-01T00:00:00.000Z")
    #expect(task.deadline?.description == "2027-03-01T00:00:00.000Z")
    var retry = RetryPolicy()
    (retry.maxAttempts, retry.backoff, retry.base) = (2, .fixed, 1)
    (retry.factor, retry.cap, retry.jitter) = (1.5, 9, 0)
    #expect(task.retry == retry)
  }

  @Test(arguments: [
    (#""critical""#, 9), (#""high""#, 7), (#""medium""#, 5), (#""low""#, 2), ("0", 0), ("9", 9),
  ])
  func `priorities`(text: String, priority: Int) throws {
    #expect(try Self.parse(#"{"type":"work","priority":\#(text)}"#).priority == priority)
  }

  static let bad: [(String, String)] = [
    ("[]", "invalid_field -"),
    ("{}", "missing_field type"),
    (#"{"type":null}"#, "missing_field type"),
    (#"{"type":1}"#, "invalid_field type"),
    (#"{"type":""}"#, "invalid_field type"),
    (#"{"type":"a b"}"#, "invalid_field type"),
    (#"{"type":"é"}"#, "invalid_field type"),
    (#"{"type":"work","nonsense":1}"#, "unknown_field nonsense"),
    (#"{"type":"work","agentType":"robot"}"#, "invalid_field agentType"),
    (#"{"type":"work","requires":"a"}"#, "invalid_field requires"),
    (#"{"type":"work","requires":["a",1]}"#, "invalid_field requires[1]"),
    (#"{"type":"work","requires":[""]}"#, "invalid_field requires[0]"),
    (#"{"type":"work","selector":[]}"#, "invalid_field selector"),
    (#"{"type":"work","labels":{"a":1}}"#, "invalid_field labels.a"),
    (#"{"type":"work","priority":10}"#, "invalid_field priority"),
    (#"{"type":"work","priority":-1}"#, "invalid_field priority"),
    (#"{"type":"work","priority":1.5}"#, "invalid_field priority"),
    (#"{"type":"work","priority":"urgent"}"#, "invalid_field priority"),
    (#"{"type":"work","key":""}"#, "invalid_field key"),
    (#"{"type":"work","key":"a\nb"}"#, "invalid_field key"),
    (#"{"type":"work","idempotencyKey":"\u0001"}"#, "invalid_field idempotencyKey"),
    (#"{"type":"work","runAt":"soon"}"#, "invalid_field runAt"),
    (#"{"type":"work","runAt":1800000000000}"#, "invalid_field runAt"),
    (#"{"type":"work","deadline":"2020-01-01T00:00:00Z"}"#, "invalid_field deadline"),
    (
      #"{"type":"work","runAt":"2028-01-01T00:00:00Z","deadline":"2028-01-01T00:00:00Z"}"#,
      "invalid_field runAt"
    ),
    (#"{"type":"work","timeout":0}"#, "invalid_field timeout"),
    (#"{"type":"work","timeout":604800001}"#, "invalid_field timeout"),
    (#"{"type":"work","timeout":99999999999999999999}"#, "invalid_field timeout"),
    (#"{"type":"work","retry":3}"#, "invalid_field retry"),
    (#"{"type":"work","retry":{"maxAttempts":0}}"#, "invalid_field retry.maxAttempts"),
    (#"{"type":"work","retry":{"maxAttempts":1001}}"#, "invalid_field retry.maxAttempts"),
    (#"{"type":"work","retry":{"backoff":"none"}}"#, "invalid_field retry.backoff"),
    (#"{"type":"work","retry":{"base":-1}}"#, "invalid_field retry.base"),
    (#"{"type":"work","retry":{"factor":0.5}}"#, "invalid_field retry.factor"),
    (#"{"type":"work","retry":{"cap":"1m"}}"#, "invalid_field retry.cap"),
    (#"{"type":"work","retry":{"jitter":1.1}}"#, "invalid_field retry.jitter"),
    (#"{"type":"work","retry":{"tries":2}}"#, "unknown_field retry.tries"),
    (#"{"type":"work","type":"work"}"#, "invalid_json type"),
    (#"{"type":"work""#, "invalid_json -"),
    ("", "invalid_json -"),
  ]

  @Test(arguments: bad) func `is refused`(body: String, refusal: String) {
    #expect(Self.refused(body) == refusal, "\(body)")
  }

  @Test func `the path of a task in a batch`() {
    #expect(Self.refused(#"{"type":1}"#, path: "[3]") == "invalid_field [3].type")
    #expect(
      Self.refused(#"{"type":"a","retry":{"cap":-1}}"#, path: "[3]")
        == "invalid_field [3].retry.cap")
  }

  @Test func `limits`() {
    var limits = Limits()
    limits.payload = 10
    limits.identifier = 4
    limits.labels = 1
    #expect(Self.refused(#"{"type":"work","payload":"12345678"}"#, limits: limits) == nil)
    #expect(
      Self.refused(#"{"type":"work","payload":"123456789"}"#, limits: limits)
        == "payload_too_large payload")
    #expect(Self.refused(#"{"type":"works"}"#, limits: limits) == "invalid_field type")
    #expect(
      Self.refused(#"{"type":"work","key":"12345"}"#, limits: limits) == "invalid_field key")
    #expect(
      Self.refused(#"{"type":"work","labels":{"a":"1","b":"2"}}"#, limits: limits)
        == "invalid_field labels")
  }

  @Test func `the idempotency key of header and body`() throws {
    #expect(try Self.parse(#"{"type":"work"}"#, header: "h").idempotencyKey == "h")
    let both = try Self.parse(#"{"type":"work","idempotencyKey":"h"}"#, header: "h")
    #expect(both.idempotencyKey == "h")
    #expect(
      Self.refused(#"{"type":"work","idempotencyKey":"b"}"#, header: "h")
        == "invalid_field idempotencyKey")
  }
}

@Suite struct BodyHashTests {
  private func hash(_ text: String) throws -> [UInt8] {
    try TaskParserTests.parse(text).bodyHash(defaultRetry: RetryPolicy())
  }

  static let base = #"{"type":"work","payload":{"a":1,"b":["x",null]}}"#

  @Test(arguments: [
    #" { "payload" : { "b" : [ "x" , null ] , "a" : 1 } , "type" : "work" } "#,
    #"{"type":"w\u006frk","payload":{"a":1,"b":["\u0078",null]}}"#,
    #"{"type":"work","payload":{"a":1,"b":["x",null]},"priority":5}"#,
    #"{"type":"work","payload":{"a":1,"b":["x",null]},"priority":"medium"}"#,
    #"{"type":"work","payload":{"a":1,"b":["x",null]},"requires":[],"labels":{},"selector":{}}"#,
    #"{"type":"work","payload":{"a":1,"b":["x",null]},"timeout":300000}"#,
    #"{"type":"work","payload":{"a":1,"b":["x",null]},"retry":{"maxAttempts":4,"jitter":0.2}}"#,
    #"{"type":"work","payload":{"a":1,"b":["x",null]},"retry":{},"key":null}"#,
    #"{"type":"work","payload":{"a":1,"b":["x",null]},"idempotencyKey":"k"}"#,
  ])
  func `the same task in other words`(text: String) throws {
    #expect(try hash(text) == hash(Self.base))
  }

  @Test func `no two of these are the same task`() throws {
    let bodies = [
      Self.base, #"{"type":"work"}"#, #"{"type":"work","payload":{"a":2,"b":["x",null]}}"#,
      #"{"type":"work","payload":{"a":"1","b":["x",null]}}"#,
      #"{"type":"work","payload":{"a":1,"b":["x"]}}"#, #"{"type":"work2"}"#,
      #"{"type":"work","payload":[]}"#, #"{"type":"work","payload":""}"#,
      #"{"type":"work","priority":4}"#, #"{"type":"work","key":"k"}"#,
      #"{"type":"work","agentType":"http"}"#, #"{"type":"work","requires":["a"]}"#,
      #"{"type":"work","selector":{"a":"b"}}"#, #"{"type":"work","labels":{"a":"b"}}"#,
      #"{"type":"work","runAt":"2028-01-01T00:00:00Z"}"#,
      #"{"type":"work","deadline":"2028-01-01T00:00:00Z"}"#, #"{"type":"work","timeout":1}"#,
      #"{"type":"work","retry":{"maxAttempts":1}}"#, #"{"type":"work","retry":{"base":1}}"#,
      #"{"type":"work","retry":{"backoff":"fixed"}}"#, #"{"type":"work","retry":{"factor":3}}"#,
      #"{"type":"work","retry":{"cap":1}}"#, #"{"type":"work","retry":{"jitter":0}}"#,
    ]
    #expect(Set(try bodies.map(hash)).count == bodies.count)
  }
}
