// SPDX-License-Identifier: Apache-2.0
// Reading values out of accepted documents.

import Domain
import Testing

@Suite struct JSONNodeTests {
  @Test func `scalars`() throws {
    let root = try document(
      """
      [null, true, false, "a\\u00e9\\n\\ud83d\\ude00é", 7, -7, 5.0, 5e0, 9223372036854775807,
       -9223372036854775808, 9223372036854775808, -0, 1.5]
      """
    ).root
    let values = Array(root.elements)
    #expect(root.count == 13)
    #expect(values[0].isNull)
    #expect(values[1].boolValue == true)
    #expect(values[2].boolValue == false)
    #expect(values[3].stringValue == "aé\n😀é")
    #expect(values[3].isString("aé\n😀é"))
    #expect(!values[3].isString("ae\u{301}\n😀e\u{301}"), "bytes, not canonical equivalence")
    #expect(values[4].int64Value == 7)
    #expect(values[5].int64Value == -7)
    #expect(values[6].int64Value == nil)
    #expect(values[6].doubleValue == 5)
    #expect(values[7].int64Value == nil)
    #expect(values[8].int64Value == .max)
    #expect(values[9].int64Value == .min)
    #expect(values[10].int64Value == nil)
    #expect(values[10].doubleValue == 9_223_372_036_854_775_808)
    #expect(values[10].isInteger)
    #expect(values[11].int64Value == 0)
    #expect(values[12].doubleValue == 1.5)
    #expect(values[12].stringValue == nil)
    #expect(values[12].boolValue == nil)
    #expect(values[3].doubleValue == nil)
    #expect(values[3].int64Value == nil)
  }

  @Test func `members keep order and raw bytes`() throws {
    let source = "{ \"b\" : [1, 2 ,3] , \"a\\u0062\":{ \"x\" : 1.50 }, \"c\": \"q\" }"
    let root = try document(source).root
    #expect(root.members.map(\.key) == ["b", "ab", "c"])
    #expect(root["b"].map { text($0.rawBytes) } == "[1, 2 ,3]")
    #expect(root["ab"].map { text($0.rawBytes) } == "{ \"x\" : 1.50 }")
    #expect(root["ab"]?.rawByteCount == 14)
    #expect(root["c"].map { text($0.rawSlice) } == "\"q\"")
    #expect(text(root.rawBytes) == source)
    #expect(root["b"]?[1]?.int64Value == 2)
    #expect(root["b"]?[2]?.int64Value == 3)
    #expect(root["b"]?[3] == nil)
    #expect(root["b"]?[-1] == nil)
    #expect(root["B"] == nil)
    #expect(root["b"]?["x"] == nil)
    #expect(root[0] == nil)
    #expect(root["ab"]?["x"]?.doubleValue == 1.5)
    #expect(root["ab"]?.byteOffset == 30)
  }

  @Test func `scalars have no children`() throws {
    let root = try document("\"x\"").root
    #expect(root.count == 0)
    #expect(Array(root.members).isEmpty)
    #expect(Array(root.elements).isEmpty)
    let object = try document("{\"a\":1}").root
    #expect(Array(object.elements).isEmpty)
    #expect(Array(try document("[1]").root.members).isEmpty)
  }

  @Test func `counts survive nesting`() throws {
    let root = try document("{\"a\":[1,[2,3,[]],{}],\"b\":{\"c\":1,\"d\":[1,2]},\"e\":0}").root
    #expect(root.count == 3)
    #expect(root["a"]?.count == 3)
    #expect(root["a"]?[1]?.count == 3)
    #expect(root["b"]?.count == 2)
    #expect(root["b"]?["d"]?.count == 2)
  }

  @Test(arguments: [
    ("{ \"b\":1, \"a\" : [ 1.0, 1 ,1e0 ] }", "{\"a\":[1.0,1,1e0],\"b\":1}"),
    ("{\"\\u0062\":1,\"a\":2}", "{\"a\":2,\"b\":1}"),
    ("\"\\u0061\\/\\u00e9\\u0001\\u001F\\b\\t\\\"\\\\\"", "\"a/é\\u0001\\u001f\\b\\t\\\"\\\\\""),
    ("\"\\ud83d\\ude00\u{7F}\u{2028}\"", "\"😀\u{7F}\u{2028}\""), ("[ ]", "[]"), ("{ }", "{}"),
    ("{\"😀\":1,\"\u{FFFF}\":2,\"z\":3,\"\":4}", "{\"\":4,\"z\":3,\"\u{FFFF}\":2,\"😀\":1}"),
    ("{\"ab\":1,\"a\":2,\"a\\n\":3}", "{\"a\":2,\"a\\n\":3,\"ab\":1}"), (" -0.10 ", "-0.10"),
  ])
  func `canonical form`(source: String, canonical: String) throws {
    let bytes = try document(source).root.canonicalBytes
    #expect(text(bytes) == canonical)
    #expect(try JSONDocument(bytes).root.canonicalBytes == bytes)
  }

  @Test func `canonical form of the deepest document`() throws {
    let deepest = JSONLimitTests.nested(512)
    let root = try document(deepest, limits: JSONLimits(maxDepth: 512)).root
    #expect(text(root.canonicalBytes) == deepest)
  }
}
