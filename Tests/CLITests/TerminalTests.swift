// SPDX-License-Identifier: Apache-2.0
// What is shown to people: escaping, widths, tables, indentation, figures, exit codes.

import ArgumentParser
import Domain
import Foundation
import OrreryClient
import Testing

@testable import CLI

@Suite struct TerminalTests {
  @Test(arguments: [
    ("plain ü 漢 😀", "plain ü 漢 😀"), ("a\u{1B}[31mred", #"a\u{1b}[31mred"#),
    ("a\nb\tc\r", #"a\nb\tc\r"#), ("\u{9B}2J", #"\u{9b}2J"#), ("\u{7F}", #"\u{7f}"#),
    ("abc\u{202E}fed", #"abc\u{202e}fed"#), ("a\u{2028}b", #"a\u{2028}b"#), ("\0", #"\u{0}"#),
  ])
  func `foreign text cannot steer the terminal`(text: String, shown: String) {
    #expect(TerminalText.escaped(text) == shown)
  }

  @Test func `escaped JSON is the same JSON`() throws {
    let json = try JSONText("{\"a\":\"x\u{9B}\u{202E}\u{E0001}y\"}")
    let escaped = TerminalText.escapedJSON(json.text)
    #expect(escaped == #"{"a":"x\u009b\u202e\udb40\udc01y"}"#)
    let before = try json.decode(as: [String: String].self)
    #expect(try JSONText(escaped).decode(as: [String: String].self) == before)
  }

  @Test func `widths count columns`() {
    #expect(TerminalText.width("ab漢") == 4)
    #expect(TerminalText.width("e\u{301}") == 1)
    #expect(TerminalText.cut("abcdef", to: 4) == "abc…")
    #expect(TerminalText.cut("漢漢漢", to: 4) == "漢…")
    #expect(TerminalText.cut("abcd", to: 4) == "abcd")
  }

  @Test func `tables align`() {
    var table = Table([
      .init(title: "NAME", isFlexible: true), .init(title: "N", alignment: .right),
      .init(title: "NOTE"),
    ])
    table.add(["漢字", "5", "x"])
    table.add(["a\nb", "12", nil])
    let lines = table.lines(on: Terminal(-1))
    #expect(lines == ["NAME   N  NOTE", "漢字   5  x", #"a\nb  12"#])
  }

  @Test func `JSON is laid out`() throws {
    let json = try JSONText(#"{"a":[1,{"b":"x,{}\""}],"c":{},"d":[]}"#)
    #expect(
      IndentedJSON.lines(json) == [
        "{", #"  "a": ["#, "    1,", "    {", #"      "b": "x,{}\"""#, "    }", "  ],",
        #"  "c": {},"#, #"  "d": []"#, "}",
      ])
    #expect(IndentedJSON.lines(try JSONText("[]")) == ["[]"])
  }

  @Test(arguments: [
    (40.4, "40%"), (99.6, "100%"), (1e300, "100%"), (-1e300, "0%"), (.infinity, "100%"),
    (.nan, "0%"),
  ])
  func `progress is shown whatever it says`(progress: Double, shown: String) {
    #expect(Figure.percent(progress) == shown)
  }

  @Test func `figures are short`() {
    #expect(Figure.bytes(999) == "999 B" && Figure.bytes(3_210_000) == "3.2 MB")
    #expect(Figure.span(45) == "45s" && Figure.span(7_300) == "2h" && Figure.span(-3) == "0s")
    #expect(Figure.time(Date(timeIntervalSince1970: 0)) == "1970-01-01 00:00:00Z")
    #expect(Figure.number(2) == "2" && Figure.number(2.5) == "2.5" && Figure.number(.nan) == "nan")
  }

  @Test(arguments: ControlError.Code.allCases)
  func `every code of the server has an exit code`(code: ControlError.Code) {
    let status = ExitStatus(OrreryError.Code(rawValue: code.rawValue))
    #expect((status == .unexpected) == (code == .internalError))
    #expect(status != .ok && status != .taskFailed && status != .usage)
  }
}

@Suite struct ArgumentTests {
  @Test(arguments: [
    ("500ms", 500), ("1.5s", 1_500), ("10m", 600_000), ("2h", 7_200_000), ("1d", 86_400_000),
    ("250", 250), ("0", 0),
  ])
  func `durations have units`(text: String, milliseconds: Int64) {
    #expect(DurationArgument(argument: text)?.duration == .milliseconds(milliseconds))
  }

  @Test(arguments: ["", "s", "-1s", "1y", "1e3", "ten", "99999999999999999999", "1.2.3s"])
  func `other durations are refused`(text: String) {
    #expect(DurationArgument(argument: text) == nil)
  }

  @Test func `times are absolute or from now`() throws {
    let time = try #require(TimeArgument(argument: "2026-01-13T17:05:00+01:00"))
    #expect(time.date == Date(timeIntervalSince1970: 1_768_320_300))
    let now = Double(SystemClock.live.now()) / 1_000
    let soon = try #require(TimeArgument(argument: "+10m")).date.timeIntervalSince1970
    #expect(abs(soon - now - 600) < 5)
    #expect(TimeArgument(argument: "tomorrow") == nil)
  }

  @Test func `pairs keep what follows the first sign`() {
    #expect([PairArgument(argument: "a=b=c"), PairArgument(argument: "a=")].count == 2)
    #expect(PairArgument(argument: "a=b=c")?.value == "b=c")
    #expect(PairArgument(argument: "=b") == nil && PairArgument(argument: "a") == nil)
  }

  @Test(arguments: [("high", 7), ("LOW", 2), ("0", 0), ("9", 9)])
  func `priorities have names`(text: String, value: Int) {
    #expect(PriorityArgument(argument: text)?.priority.rawValue == value)
  }

  @Test(arguments: ["10", "-1", "urgent", ""])
  func `other priorities are refused`(text: String) {
    #expect(PriorityArgument(argument: text) == nil)
  }

  @Test(arguments: [
    ["submit"], ["submit", "t", "--bulk", "f"], ["types", "limit", "t"], ["tokens", "create", "n"],
    ["tasks", "list", "--limit", "0"], ["secrets", "set", "N", "value"],
    ["submit", "t", "--label", "x"], ["tasks", "list", "--state", "done"],
  ])
  func `what cannot be meant is refused`(arguments: [String]) {
    #expect(throws: (any Error).self) { try Orrery.parseAsRoot(arguments) }
  }
}
