// SPDX-License-Identifier: Apache-2.0
// Swift source with comments and string contents blanked out, so that a rule sees code only.

/// Blanks comments and the inside of strings with spaces; newlines stay, so line numbers hold.
struct SwiftText {
  private let bytes: [UInt8]
  private(set) var code: [UInt8]
  private var at = 0

  init(_ text: String) {
    bytes = Array(text.utf8)
    code = bytes
    while at < bytes.count { step() }
  }

  /// The lines of code, without comments and string contents.
  var lines: [String] {
    code.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
      .map { String(decoding: $0, as: UTF8.self) }
  }

  private func peek(_ offset: Int = 0) -> UInt8 {
    at + offset < bytes.count ? bytes[at + offset] : 0
  }

  private mutating func step() {
    let byte = peek()
    if byte == UInt8(ascii: "/"), peek(1) == UInt8(ascii: "/") {
      while at < bytes.count, peek() != UInt8(ascii: "\n") { blank() }
    } else if byte == UInt8(ascii: "/"), peek(1) == UInt8(ascii: "*") {
      skipBlockComment()
    } else if byte == UInt8(ascii: "\"") {
      skipString(hashes: 0)
    } else if byte == UInt8(ascii: "#"), let hashes = rawStringHashes() {
      at += hashes
      skipString(hashes: hashes)
    } else {
      at += 1
    }
  }

  private mutating func blank(_ count: Int = 1) {
    for _ in 0..<count where at < bytes.count {
      if bytes[at] != UInt8(ascii: "\n") { code[at] = UInt8(ascii: " ") }
      at += 1
    }
  }

  private func rawStringHashes() -> Int? {
    var count = 0
    while peek(count) == UInt8(ascii: "#") { count += 1 }
    return peek(count) == UInt8(ascii: "\"") ? count : nil
  }

  private mutating func skipBlockComment() {
    var depth = 0
    repeat {
      if peek() == UInt8(ascii: "/"), peek(1) == UInt8(ascii: "*") {
        depth += 1
        blank(2)
      } else if peek() == UInt8(ascii: "*"), peek(1) == UInt8(ascii: "/") {
        depth -= 1
        blank(2)
      } else {
        blank()
      }
    } while depth > 0 && at < bytes.count
  }

  private mutating func skipString(hashes: Int) {
    let quotes = startsWithQuotes(3) ? 3 : 1
    at += quotes
    while at < bytes.count {
      if startsWithQuotes(quotes), hasHashes(hashes, after: quotes) {
        at += quotes + hashes
        return
      }
      if peek() == UInt8(ascii: "\\"), hasHashes(hashes, after: 1) {
        skipEscape(hashes: hashes)
      } else if quotes == 1, peek() == UInt8(ascii: "\n") {
        return
      } else {
        blank()
      }
    }
  }

  /// An escape, or an interpolation, whose inside is code again.
  private mutating func skipEscape(hashes: Int) {
    guard peek(1 + hashes) == UInt8(ascii: "(") else { return blank(2 + hashes) }
    blank(2 + hashes)
    var depth = 1
    while at < bytes.count {
      if peek() == UInt8(ascii: "(") { depth += 1 }
      if peek() == UInt8(ascii: ")") {
        depth -= 1
        if depth == 0 { return blank() }
      }
      step()
    }
  }

  private func startsWithQuotes(_ count: Int) -> Bool {
    (0..<count).allSatisfy { peek($0) == UInt8(ascii: "\"") }
  }

  private func hasHashes(_ count: Int, after offset: Int) -> Bool {
    (0..<count).allSatisfy { peek(offset + $0) == UInt8(ascii: "#") }
  }
}
