// SPDX-License-Identifier: Apache-2.0
// Taking request bodies apart, and the errors that name the field.

import Domain
import Testing

@Suite struct JSONFieldsTests {
  enum Backoff: String, CaseIterable { case exponential, fixed }

  static let allowed: [StaticString] = [
    "type", "priority", "retry", "tags", "labels", "runAt", "on", "factor", "backoff",
  ]

  static func fields(_ source: String) throws -> JSONFields {
    try JSONFields(document(source).root, allowed: allowed)
  }

  @Test func `a whole body`() throws {
    let fields = try Self.fields(
      """
      {"type":"scrape","priority":5,"retry":{"maxAttempts":3},"tags":["a","b"],"on":true,
       "labels":{"k":"v"},"runAt":"2026-01-13T17:05:00Z","factor":2,"backoff":"fixed"}
      """)
    #expect(try fields.string("type", bytes: 1...128) == "scrape")
    #expect(try fields.int("priority", in: 0...9) == 5)
    let retry = try #require(try fields.optionalFields("retry", allowed: ["maxAttempts"]))
    #expect(try retry.optionalInt("maxAttempts", in: 1...9) == 3)
    #expect(try fields.optionalStrings("tags", count: 0...2, bytes: 1...1) == ["a", "b"])
    #expect(try fields.optionalStringMap("labels") == ["k": "v"])
    #expect(try fields.optionalTimestamp("runAt") == Timestamp("2026-01-13T17:05:00.000Z"))
    #expect(try fields.bool("on"))
    #expect(try fields.optionalDouble("factor", in: 1...10) == 2)
    #expect(try fields.choice("backoff", of: Backoff.self) == .fixed)
    #expect(try fields.array("tags").count == 2)
    #expect(try fields.required("type").kind == .string)
  }

  @Test func `absent and null are the same for optional fields`() throws {
    let fields = try Self.fields("{\"type\":null}")
    #expect(try fields.optionalString("type") == nil)
    #expect(try fields.optionalInt("priority") == nil)
    #expect(try fields.optionalBool("on") == nil)
    #expect(try fields.optionalFields("retry", allowed: []) == nil)
    #expect(try fields.optionalObject("labels") == nil)
    #expect(try fields.optionalArray("tags") == nil)
    #expect(try fields.optionalStrings("tags") == nil)
    #expect(try fields.optionalStringMap("labels") == nil)
    #expect(try fields.optionalTimestamp("runAt") == nil)
    #expect(try fields.optionalChoice("backoff", of: Backoff.self) == nil)
    #expect(try fields.optionalDouble("factor", in: 0...1) == nil)
    #expect(fields.node("type")?.isNull == true)
    #expect(fieldError { () throws(FieldError) in try fields.string("type") }?.kind == .missing)
    #expect(fieldError { () throws(FieldError) in try fields.int("priority") }?.kind == .missing)
  }

  @Test func `unknown fields`() throws {
    let root = try document("{\"type\":\"a\",\"colour\":1}").root
    let error = fieldError { () throws(FieldError) in
      try JSONFields(root, path: "tasks[3]", allowed: ["type", "key"])
    }
    #expect(error?.kind == .unknown)
    #expect(error?.path == "tasks[3].colour")
    #expect(error?.message.contains("type, key") == true)
    let lenient = try JSONFields(root, allowed: ["type"], unknown: .ignore)
    #expect(try lenient.string("type") == "a")
    let escaped = try document("{\"\\u0074ype\":\"a\"}").root
    #expect(try JSONFields(escaped, allowed: ["type"]).string("type") == "a")
    let list = try document("[]").root
    let wrong = fieldError { () throws(FieldError) in try JSONFields(list, allowed: []) }
    #expect(wrong?.kind == .wrongType)
    #expect(wrong?.path == "")
  }

  @Test func `wrong types`() throws {
    let fields = try Self.fields(
      "{\"type\":1,\"priority\":5.0,\"retry\":[],\"tags\":{},\"labels\":3,\"on\":0,\"runAt\":0}")
    typealias Read = () throws(FieldError) -> Any?
    let reads: [(String, Read)] = [
      ("type", { () throws(FieldError) in try fields.string("type") }),
      ("priority", { () throws(FieldError) in try fields.int("priority") }),
      ("retry", { () throws(FieldError) in try fields.optionalFields("retry", allowed: []) }),
      ("tags", { () throws(FieldError) in try fields.optionalStrings("tags") }),
      ("labels", { () throws(FieldError) in try fields.optionalStringMap("labels") }),
      ("on", { () throws(FieldError) in try fields.optionalBool("on") }),
      ("runAt", { () throws(FieldError) in try fields.optionalTimestamp("runAt") }),
    ]
    for (path, read) in reads {
      let error = fieldError(read)
      #expect(error?.kind == .wrongType, "\(path)")
      #expect(error?.path == path)
    }
  }

  @Test func `out of range`() throws {
    let fields = try Self.fields(
      """
      {"type":"äb","priority":10,"tags":["ok","long"],"labels":{"key":"v"},"factor":11,
       "backoff":"none","runAt":"yesterday","retry":{"n":92233720368547758070}}
      """)
    func error<Value>(_ read: () throws(FieldError) -> Value) -> String {
      fieldError(read).map { "\($0.kind) \($0)" } ?? "none"
    }
    #expect(
      error { () throws(FieldError) in try fields.string("type", bytes: 1...2) }
        == "outOfRange type: Must be between 1 and 2 bytes of UTF-8.")
    #expect(
      error { () throws(FieldError) in try fields.int("priority", in: 0...9) }
        == "outOfRange priority: Must be between 0 and 9.")
    #expect(
      error { () throws(FieldError) in try fields.optionalStrings("tags", bytes: 0...2) }
        == "outOfRange tags[1]: Must be between 0 and 2 bytes of UTF-8.")
    #expect(
      error { () throws(FieldError) in try fields.optionalStrings("tags", count: 3...Int.max) }
        == "outOfRange tags: Must be at least 3 elements.")
    #expect(
      error { () throws(FieldError) in try fields.optionalStringMap("labels", bytes: 0...2) }
        == "outOfRange labels.key: Key: Must be between 0 and 2 bytes of UTF-8.")
    #expect(
      error { () throws(FieldError) in try fields.optionalDouble("factor", in: 1...10) }
        == "outOfRange factor: Must be between 1.0 and 10.0.")
    #expect(
      error { () throws(FieldError) in try fields.choice("backoff", of: Backoff.self) }
        == "invalid backoff: Must be one of: exponential, fixed.")
    #expect(
      error { () throws(FieldError) in try fields.optionalTimestamp("runAt") }
        .hasPrefix("invalid runAt: An RFC 3339 time"))
    let retry = try #require(try fields.optionalFields("retry", allowed: ["n"]))
    #expect(
      error { () throws(FieldError) in try retry.int("n") }
        == "outOfRange retry.n: Must fit 64 bits.")
    #expect(
      "\(fields.error("type", .invalid, "Is taken."))" == "type: Is taken.")
  }

  @Test func `keys that are one text in two spellings`() throws {
    let fields = try Self.fields("{\"labels\":{\"é\":\"1\",\"e\u{301}\":\"2\"}}")
    let error = fieldError { () throws(FieldError) in try fields.optionalStringMap("labels") }
    #expect(error?.kind == .invalid)
  }
}
