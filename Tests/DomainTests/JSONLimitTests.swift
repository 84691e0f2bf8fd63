// SPDX-License-Identifier: Apache-2.0
// Limits of documents, and documents that try to be expensive.

import Domain
import Testing

@Suite struct JSONLimitTests {
  static func nested(_ depth: Int, open: String = "[", close: String = "]") -> String {
    String(repeating: open, count: depth) + String(repeating: close, count: depth)
  }

  @Test func `depth`() {
    #expect(refusal(Self.nested(64)) == nil)
    #expect(refusal(Self.nested(65))?.kind == .tooDeep)
    #expect(refusal(Self.nested(65))?.byteOffset == 64)
    #expect(refusal("[]", limits: JSONLimits(maxDepth: 0))?.kind == .tooDeep)
    #expect(refusal("7", limits: JSONLimits(maxDepth: 0)) == nil)
    let objects = String(repeating: "{\"a\":", count: 65) + "1" + String(repeating: "}", count: 65)
    #expect(refusal(objects)?.kind == .tooDeep)
  }

  @Test func `depth is cut at the ceiling and never recursed into`() {
    let limits = JSONLimits(maxDepth: .max)
    #expect(limits.maxDepth == JSONLimits.depthCeiling)
    #expect(refusal(Self.nested(512), limits: limits) == nil)
    for depth in [513, 100_000, 5_000_000] {
      #expect(refusal(String(repeating: "[", count: depth), limits: limits)?.kind == .tooDeep)
    }
  }

  @Test func `the path of a deep fault stays short`() throws {
    let text = String(repeating: "{\"a long key of the attacker\":", count: 65)
    let error = try #require(refusal(text))
    #expect(error.kind == .tooDeep)
    #expect(error.path.utf8.count <= 400)
    for unit in ["k", "é", "\u{301}", "\u{202E} ", "👩‍👩‍👧"] {
      let key = String(repeating: unit, count: 200_000)
      #expect(try #require(refusal("{\"\(key)\":x}")).message.utf8.count < 400)
    }
  }

  @Test func `values`() {
    let limits = JSONLimits(maxValues: 4)
    #expect(refusal("[1,2,3]", limits: limits) == nil)
    #expect(refusal("[1,2,3,4]", limits: limits)?.kind == .tooManyValues)
    #expect(refusal("{\"a\":{\"b\":{\"c\":1}}}", limits: limits) == nil)
    #expect(refusal("{\"a\":{\"b\":{\"c\":[1]}}}", limits: limits)?.kind == .tooManyValues)
    let many = "[" + String(repeating: "0,", count: 99_998) + "0]"
    #expect(refusal(many) == nil)
    #expect(refusal("[" + String(repeating: "0,", count: 99_999) + "0]")?.kind == .tooManyValues)
  }

  @Test func `bytes and strings`() {
    #expect(refusal("[1,2]", limits: JSONLimits(maxBytes: 5)) == nil)
    #expect(refusal("[1,2]", limits: JSONLimits(maxBytes: 4))?.kind == .tooLarge)
    let strings = JSONLimits(maxStringBytes: 3)
    #expect(refusal("[\"abc\"]", limits: strings) == nil)
    #expect(refusal("[\"abcd\"]", limits: strings)?.kind == .stringTooLong)
    #expect(refusal("{\"abcd\":1}", limits: strings)?.kind == .stringTooLong)
  }

  @Test func `long numbers`() throws {
    let digits = String(repeating: "9", count: 300)
    #expect(refusal(digits) == nil)
    #expect(refusal(digits + digits)?.kind == .numberOutOfRange)
    #expect(refusal("0." + String(repeating: "1", count: 1_000)) == nil)
    #expect(refusal("0." + String(repeating: "1", count: 2_000))?.kind == .numberOutOfRange)
    #expect(refusal(String(repeating: "1", count: 3_000_000))?.kind == .numberOutOfRange)
  }

  @Test func `a million keys are refused early, a hundred thousand are checked`() {
    var text = "{"
    for number in 0..<1_000_000 { text += "\"\(number)\":1," }
    #expect(refusal(text)?.kind == .tooManyValues)
    text = "{" + (0..<99_998).map { "\"\($0)\":1" }.joined(separator: ",")
    #expect(refusal(text + "}") == nil)
    #expect(refusal(text + ",\"0\":1}")?.kind == .duplicateKey)
  }

  @Test func `limits outside reason are corrected`() {
    let limits = JSONLimits(maxDepth: -1, maxValues: .min, maxStringBytes: -5, maxBytes: .max)
    #expect(limits.maxDepth == 0)
    #expect(limits.maxValues == 1)
    #expect(limits.maxStringBytes == 0)
    #expect(limits.maxBytes == JSONLimits.byteCeiling)
    #expect(JSONLimits(maxValues: .max).maxValues == JSONLimits.valueCeiling)
  }
}
