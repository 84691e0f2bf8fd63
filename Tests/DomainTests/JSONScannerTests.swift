// SPDX-License-Identifier: Apache-2.0
// Scanning many documents with one scanner, and cutting NDJSON into lines.

import Domain
import Testing

@Suite struct JSONScannerTests {
  @Test func `lines`() {
    let body = Array("{\"a\":1}\r\n\n  \n[2] \nnull\n\"last line without end\"".utf8)
    let lines = Array(JSONLines(body))
    #expect(lines.map(\.number) == [1, 4, 5, 6])
    #expect(
      lines.map { text(body[$0.range]) }
        == ["{\"a\":1}", "[2]", "null", "\"last line without end\""])
    #expect(Array(JSONLines([])).isEmpty)
    #expect(Array(JSONLines([0x0A, 0x0A])).isEmpty)
    #expect(Array(JSONLines([0x0A, 0x37])).map(\.range) == [1..<2])
  }

  @Test func `lines agree with a plain split`() {
    var generator = SeededGenerator(seed: 7)
    for _ in 0..<500 {
      let length = Int.random(in: 0...60, using: &generator)
      let body = (0..<length).map { _ in
        UInt8.random(in: 0...3, using: &generator) == 0 ? UInt8(0x0A) : 0x61
      }
      let expected = body.split(separator: 0x0A).map(Array.init)
      #expect(JSONLines(body).map { Array(body[$0.range]) } == expected)
    }
  }

  @Test func `one scanner reads line after line`() throws {
    let body = Array(
      (0..<1_000).map { "{\"n\":\($0),\"list\":[\($0)]}" }.joined(separator: "\n").utf8)
    var scanner = JSONScanner()
    var sum: Int64 = 0
    for line in JSONLines(body) {
      let root = try scanner.scan(body, in: line.range).root
      #expect(root["list"]?[0]?.int64Value == root["n"]?.int64Value)
      sum += root["n"]?.int64Value ?? 0
    }
    #expect(sum == 499_500)
  }

  @Test func `a document that is kept does not change`() throws {
    var scanner = JSONScanner()
    let first = try scanner.scan(Array("{\"a\":[1,2]}".utf8))
    let node = try #require(first.root["a"])
    let second = try scanner.scan(Array("[true]".utf8))
    #expect(refusal("[") != nil)
    #expect(text(node.rawBytes) == "[1,2]")
    #expect(second.root[0]?.boolValue == true)
  }

  @Test func `a refusal leaves the scanner usable, and counts from the line's start`() throws {
    let body = Array("[1]\n{\"a\":x}\n[2]".utf8)
    var scanner = JSONScanner()
    let lines = Array(JSONLines(body))
    _ = try scanner.scan(body, in: lines[0].range)
    do throws(JSONError) {
      _ = try scanner.scan(body, in: lines[1].range)
      Issue.record("accepted")
    } catch {
      #expect(error.kind == .valueExpected)
      #expect(error.byteOffset == 5)
      #expect(error.path == "a")
    }
    #expect(try scanner.scan(body, in: lines[2].range).root[0]?.int64Value == 2)
  }

  @Test func `a range beyond the bytes is cut`() throws {
    var scanner = JSONScanner()
    let bytes = Array("[1]".utf8)
    #expect(try scanner.scan(bytes, in: 0..<99).root.count == 1)
    #expect(throws: JSONError.self) { _ = try scanner.scan(bytes, in: 50..<99) }
  }
}
