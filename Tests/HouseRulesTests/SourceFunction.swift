// SPDX-License-Identifier: Apache-2.0
// The functions of a file, found by keyword and matching braces.

struct SourceFunction: Sendable {
  let name: String
  let line: Int
  /// Lines from the declaration to its closing brace.
  let length: Int

  /// Functions, initialisers, deinitialisers and subscripts that have a body.
  static func all(in code: [UInt8]) -> [SourceFunction] {
    var found: [SourceFunction] = []
    var line = 1
    var at = 0
    while at < code.count {
      if code[at] == UInt8(ascii: "\n") { line += 1 }
      if let name = declaration(in: code, at: at), let body = bodyStart(in: code, after: at) {
        let end = closingBrace(in: code, from: body)
        let length = code[at..<end].count { $0 == UInt8(ascii: "\n") } + 1
        found.append(SourceFunction(name: name, line: line, length: length))
      }
      at += 1
    }
    return found
  }

  private static let keywords = ["func", "init", "deinit", "subscript"].map { Array($0.utf8) }

  private static func declaration(in code: [UInt8], at start: Int) -> String? {
    if start > 0, isWord(code[start - 1]) || isAny(code[start - 1], of: ".`@#") { return nil }
    for keyword in keywords where code[start...].starts(with: keyword) {
      let end = start + keyword.count
      guard end < code.count, !isWord(code[end]), !isAny(code[end], of: ":,)`.") else { return nil }
      let text = code[start...].prefix { !isAny($0, of: "({\n") }
      return String(decoding: text, as: UTF8.self)
    }
    return nil
  }

  /// The `{` of the body, or nil for a requirement: brackets are skipped, and a line that opens
  /// another declaration or closes a type ends the search.
  private static func bodyStart(in code: [UInt8], after start: Int) -> Int? {
    var depth = 0
    var at = start
    while at < code.count {
      let byte = code[at]
      if isAny(byte, of: "([") { depth += 1 }
      if isAny(byte, of: ")]") { depth -= 1 }
      if depth < 0 { return nil }
      if depth == 0 {
        if byte == UInt8(ascii: "{") { return at }
        if byte == UInt8(ascii: "}") { return nil }
        if byte == UInt8(ascii: "\n"), opensDeclaration(code, after: at + 1) { return nil }
      }
      at += 1
    }
    return nil
  }

  private static func opensDeclaration(_ code: [UInt8], after start: Int) -> Bool {
    let rest = code[start...].drop { $0 == UInt8(ascii: " ") }
    let word = String(decoding: rest.prefix(while: isWord), as: UTF8.self)
    return [
      "func", "init", "deinit", "subscript", "var", "let", "case", "struct", "enum", "class",
      "static", "package", "public", "private", "internal", "mutating", "associatedtype",
    ].contains(word)
  }

  private static func closingBrace(in code: [UInt8], from open: Int) -> Int {
    var depth = 0
    for at in open..<code.count {
      if code[at] == UInt8(ascii: "{") { depth += 1 }
      if code[at] == UInt8(ascii: "}") {
        depth -= 1
        if depth == 0 { return at }
      }
    }
    return code.count
  }

  private static func isWord(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "_") || byte >= 128
      || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
      || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
  }

  private static func isAny(_ byte: UInt8, of set: StaticString) -> Bool {
    set.withUTF8Buffer { $0.contains(byte) }
  }
}
