// SPDX-License-Identifier: Apache-2.0
// One Swift file with what the rules ask of it: lines, code without comments, imports, functions.

import Foundation
import Testing

struct SourceFile: CustomTestStringConvertible, Sendable {
  let path: String
  /// As written.
  let lines: [String]
  /// With comments and string contents blanked.
  let codeLines: [String]
  let functions: [SourceFunction]

  var testDescription: String { path }

  /// The folder below `Sources/`, which is the target's name.
  var target: String? {
    let parts = path.split(separator: "/")
    return parts.count > 2 && parts[0] == "Sources" ? String(parts[1]) : nil
  }

  var name: String { path.split(separator: "/").last.map(String.init) ?? path }

  init(path: String) throws {
    let text = try Repository.text(of: path)
    let swift = SwiftText(text)
    self.path = path
    lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    codeLines = swift.lines
    functions = SourceFunction.all(in: swift.code)
  }

  /// Every Swift file of the project.
  static let all: [SourceFile] = load(Repository.swiftFolders)
  /// What ships.
  static let sources: [SourceFile] = all.filter { $0.path.hasPrefix("Sources/") }

  private static func load(_ folders: [String]) -> [SourceFile] {
    Repository.files(in: folders, suffix: ".swift").compactMap { path in
      // A file that vanished or is not UTF-8 is the compiler's business.
      try? SourceFile(path: path)
    }
  }

  /// The modules that the file imports, whatever the access level or attribute.
  var imports: [(line: Int, module: String)] {
    codeLines.enumerated().compactMap { index, line in
      let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
      guard let at = words.firstIndex(of: "import"), at + 1 < words.count,
        words[..<at].allSatisfy({ $0.hasPrefix("@") || Self.importAccess.contains(String($0)) })
      else { return nil }
      let kind = Self.importKinds.contains(String(words[at + 1])) ? 1 : 0
      guard at + 1 + kind < words.count else { return nil }
      return (index + 1, String(words[at + 1 + kind].prefix { $0 != "." }))
    }
  }

  private static let importAccess: Set<String> = [
    "public", "package", "internal", "private", "fileprivate",
  ]
  private static let importKinds: Set<String> = [
    "struct", "class", "enum", "protocol", "func", "var", "let", "typealias",
  ]

  /// True when the line, or the comment right above it, explains itself in at least three words.
  func hasReason(at index: Int) -> Bool {
    if commentWords(lines[index]) >= 3 { return true }
    var above = index - 1
    var words = 0
    while above >= 0, lines[above].drop(while: { $0 == " " }).hasPrefix("//") {
      words += commentWords(lines[above])
      above -= 1
    }
    return words >= 3
  }

  /// The comment on the line and those right above it, as one text.
  func comment(at index: Int) -> String {
    var texts = [lines[index]]
    var above = index - 1
    while above >= 0, lines[above].drop(while: { $0 == " " }).hasPrefix("//") {
      texts.insert(lines[above], at: 0)
      above -= 1
    }
    return texts.joined(separator: "\n")
  }

  private func commentWords(_ line: String) -> Int {
    guard let start = line.range(of: "//") else { return 0 }
    return line[start.upperBound...].split(whereSeparator: { $0 == " " || $0 == "/" }).count
  }
}
