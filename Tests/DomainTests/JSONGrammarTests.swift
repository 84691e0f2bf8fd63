// SPDX-License-Identifier: Apache-2.0
// What the scanner accepts and refuses, case by case.

import Domain
import Foundation
import Testing

@Suite struct JSONGrammarTests {
  static let accepted: [String] = [
    "null", "true", "false", "0", "-0", "1", "-1", "10", "1.5", "-0.25", "1e5", "1E+5", "1e-5",
    "0e0", "0.0e-0", "123456789012345678901234567890", "1e308", "-1.7976931348623157e308",
    "\"\"", "\"a\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0001\\u001f\\u00e9\\uABCD\"",
    "\"\\ud83d\\ude00\"", "\"\\uD834\\uDd1e\"", "\"é☃😀\u{10FFFF}\u{E000}\u{D7FF}\"", "\"\u{7F}\"",
    "\"\u{2028}\u{2029}\"", "\"/\"", "\"\u{FEFF}\"", "\"\\uFFFF\\uFFFE\"",
    "[]", "{}", "[[]]", "[{}]", "{\"a\":{}}", "{\"\":0}", "[null,1,\"1\",{}]",
    " \t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : null } \n", "{\"a\":1,\"b\":1,\"aa\":1,\"A\":1}",
    "[1,[2,[3,[4]]],5]", "{\"é\":1,\"e\u{301}\":2}", "{\"a\":{\"a\":{\"a\":1}}}",
    "[0.1,1e0,-1,0]", "{\"a\\\"b\":1,\"a\\\\b\":2}", "\"abcdefghijklmnopqrstuvwxyz012345\"",
  ]

  @Test(arguments: accepted)
  func `accepts`(text: String) throws {
    let error = refusal(text)
    #expect(error == nil, "\(error.map(\.message) ?? "")")
    // The judge must agree, so that this table cannot drift from the standard.
    _ = try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
  }

  typealias Refused = (text: String, kind: JSONError.Kind, offset: Int)

  static let refusedForms: [Refused] = [
    ("", .empty, 0), ("  \n", .empty, 3), ("nul", .valueExpected, 0), ("nulL", .valueExpected, 0),
    ("True", .valueExpected, 0), ("NaN", .valueExpected, 0), ("Infinity", .valueExpected, 0),
    ("'a'", .valueExpected, 0), ("nullx", .trailingBytes, 4), ("1 2", .trailingBytes, 2),
    ("{}{}", .trailingBytes, 2), ("[] // x", .trailingBytes, 3), ("/**/[]", .valueExpected, 0),
    ("[", .unexpectedEnd, 1), ("[1", .unexpectedEnd, 2), ("[1,", .unexpectedEnd, 3),
    ("{", .unexpectedEnd, 1), ("{\"a\"", .unexpectedEnd, 4), ("{\"a\":", .unexpectedEnd, 5),
    ("{\"a\":1", .unexpectedEnd, 6), ("{\"a\":1,", .unexpectedEnd, 7),
    ("[1,]", .trailingComma, 3), ("{\"a\":1,}", .trailingComma, 7), ("[1,,2]", .valueExpected, 3),
    ("[,1]", .valueExpected, 1), ("{,}", .keyExpected, 1), ("[1 2]", .commaOrEndExpected, 3),
    ("{\"a\" 1}", .colonExpected, 5), ("{\"a\":1 \"b\":2}", .commaOrEndExpected, 7),
    ("{a:1}", .keyExpected, 1), ("{1:1}", .keyExpected, 1), ("{'a':1}", .keyExpected, 1),
    ("[1}", .commaOrEndExpected, 2), ("{\"a\":1]", .commaOrEndExpected, 6),
    ("]", .valueExpected, 0), ("}", .valueExpected, 0), (":", .valueExpected, 0),
    ("{\"a\"}", .colonExpected, 4), ("{\"a\":}", .valueExpected, 5),
    ("[\u{A0}1]", .valueExpected, 1),
    ("\u{0C}1", .valueExpected, 0), ("[1]\u{0}", .trailingBytes, 3), ("é", .valueExpected, 0),
  ]

  static let refusedScalars: [Refused] = [
    ("01", .badNumber, 0), ("-01", .badNumber, 0), ("00", .badNumber, 0), ("+1", .valueExpected, 0),
    (".5", .valueExpected, 0), ("1.", .badNumber, 0), ("-", .badNumber, 0), ("-.5", .badNumber, 0),
    ("1.e5", .badNumber, 0), ("1e", .badNumber, 0), ("1e+", .badNumber, 0),
    ("[1ee5]", .badNumber, 1),
    ("0x10", .trailingBytes, 1), ("1_000", .trailingBytes, 1), ("--1", .badNumber, 0),
    ("-Infinity", .badNumber, 0), ("1e400", .numberOutOfRange, 0),
    ("[-1e999999999]", .numberOutOfRange, 1), ("１", .valueExpected, 0),
    ("\"", .unterminatedString, 1), ("\"abc", .unterminatedString, 4),
    ("\"abc\\", .unterminatedString, 5), ("\"\\\"", .unterminatedString, 3),
    ("\"a\nb\"", .controlCharacter, 2), ("\"\t\"", .controlCharacter, 1),
    ("\"12345678\u{1F}\"", .controlCharacter, 9), ("\"\u{0}\"", .nulCharacter, 1),
    ("\"ab\\u0000\"", .nulCharacter, 3), ("\"\\x41\"", .badEscape, 1), ("\"\\'\"", .badEscape, 1),
    ("\"\\u12\"", .badEscape, 1), ("\"\\u12G4\"", .badEscape, 1), ("\"\\U0041\"", .badEscape, 1),
    ("\"\\u\"", .badEscape, 1), ("\"\\u+123\"", .badEscape, 1), ("\"\\ud800\"", .loneSurrogate, 1),
    ("\"\\udc00\"", .loneSurrogate, 1), ("\"\\ud800\\u0041\"", .loneSurrogate, 1),
    ("\"\\ud800\\ud800\"", .loneSurrogate, 1), ("\"\\ud83dx\\ude00\"", .loneSurrogate, 1),
    ("\"\\ude00\\ud83d\"", .loneSurrogate, 1), ("\"\\ud83d", .loneSurrogate, 1),
    ("{\"\\u0000\":1}", .nulCharacter, 2),
  ]

  @Test(arguments: refusedForms + refusedScalars)
  func `refuses`(refused: Refused) throws {
    let error = try #require(refusal(refused.text), "accepted: \(refused.text)")
    #expect(error.kind == refused.kind, "\(refused.text)")
    #expect(error.byteOffset == refused.offset, "\(refused.text)")
    #expect(error.message.contains("byte \(refused.offset)"))
  }

  /// Bytes that are not UTF-8, and where in `"…"` the fault lies.
  static let illFormed: [[UInt8]] = [
    [0x80], [0xBF], [0xFE], [0xFF], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xC3, 0x28],
    [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF], [0xE2, 0x98], [0xE2, 0x28, 0xA1], [0xE2, 0x98, 0x28],
    [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF],
    [0xF0, 0x9F, 0x98], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80],
    [0xF8, 0x88, 0x80, 0x80, 0x80],
  ]

  @Test(arguments: illFormed)
  func `refuses ill-formed UTF-8`(bytes: [UInt8]) {
    for lead in [0, 3, 8] {
      let padding = [UInt8](repeating: UInt8(ascii: "x"), count: lead)
      let error = refusal([0x22] + padding + bytes + [0x22])
      #expect(error?.kind == .invalidUTF8)
      #expect(error?.byteOffset == lead + 1)
    }
  }

  @Test func `refuses other encodings`() {
    #expect(refusal([0xEF, 0xBB, 0xBF, 0x7B, 0x7D])?.kind == .byteOrderMark)
    #expect(refusal([0xFF, 0xFE, 0x7B, 0x00])?.kind == .byteOrderMark)
    #expect(refusal([0xFE, 0xFF, 0x00, 0x7B])?.kind == .byteOrderMark)
    #expect(refusal([0x7B, 0x00, 0x7D, 0x00])?.kind == .keyExpected)
  }

  @Test(arguments: [
    ("{\"a\":1,\"a\":2}", 7, "a"), ("{\"a\":1,\"\\u0061\":2}", 7, "a"),
    ("{\"\\u0061\":1,\"a\":2}", 12, "a"), ("{\"a\":1,\"b\":2,\"c\":{\"d\":1,\"d\":1}}", 24, "c.d"),
    ("[1,{\"x\":[],\"x\":{}}]", 11, "[1].x"), ("{\"\":1,\"\":2}", 6, "[\"\"]"),
    ("{\"\\ud83d\\ude00\":1,\"😀\":2}", 18, "[\"😀\"]"), ("{\"a/b\":1,\"a\\/b\":2}", 9, "[\"a/b\"]"),
  ])
  func `refuses duplicate keys`(text: String, offset: Int, path: String) throws {
    let error = try #require(refusal(text), "accepted: \(text)")
    #expect(error.kind == .duplicateKey)
    #expect(error.byteOffset == offset)
    #expect(error.path == path)
  }

  @Test(arguments: [2, 15, 16, 17, 18, 300, 9_000])
  func `finds one duplicate among many keys`(count: Int) throws {
    let keys = (0..<count).map { "\"key\($0)\":\($0)" }
    #expect(refusal("{" + keys.joined(separator: ",") + "}") == nil)
    let repeated = keys + ["\"key\(count / 2)\":[]"]
    let error = try #require(refusal("{" + repeated.joined(separator: ",") + "}"))
    #expect(error.kind == .duplicateKey)
    #expect(error.path == "key\(count / 2)")
    let escaped = keys + ["\"\\u006bey\(count / 2)\":[]"]
    #expect(refusal("{" + escaped.joined(separator: ",") + "}")?.kind == .duplicateKey)
  }

  @Test(arguments: [
    ("{\"retry\":{\"base\":01}}", "retry.base"), ("{\"a\":[1,2,{\"b\":tru}]}", "a[2].b"),
    ("[[],[0,x]]", "[1][1]"), ("{\"a\":{\"b\":1},\"c\":", "c"), ("{\"a\" x", "a"), ("[1,2 3]", ""),
    ("{\"a\":[1]x", ""), ("{\"a b\":[}", "[\"a b\"][0]"), ("x", ""), ("{\"a\\n\":x", "[\"a\\n\"]"),
    ("{\"k\":[1,2,,]}", "k[2]"), ("{\"k\":\"\\q\"}", "k"),
  ])
  func `says where`(text: String, path: String) throws {
    let error = try #require(refusal(text), "accepted: \(text)")
    #expect(error.path == path, "\(text)")
    #expect(path.isEmpty || error.message.contains(", in \(path)."))
  }
}
