// SPDX-License-Identifier: Apache-2.0
// Documents: no dead links, and every error code is explained.

import Foundation
import Testing

@Suite struct DocumentRules {
  static let documents = Repository.files(in: [""], suffix: ".md")
  static let pages = Repository.files(in: ["Examples/site"], suffix: ".html")

  @Test(arguments: documents)
  func `markdown links lead somewhere`(path: String) throws {
    let text = Self.withoutCode(try Repository.text(of: path))
    for match in text.matches(of: /\]\(([^)\s]+)[^)]*\)/) {
      try check(String(match.1), in: path)
    }
  }

  @Test(arguments: pages)
  func `page links lead somewhere`(path: String) throws {
    for match in try Repository.text(of: path).matches(of: /(?:href|src)="([^"]+)"/) {
      try check(String(match.1), in: path)
    }
  }

  @Test func `every error code is explained`() throws {
    let guide = try Repository.text(of: "Docs/troubleshooting.md")
    for code in try OpenAPIDocument().errorCodes {
      #expect(guide.contains("`\(code)`"), "Docs/troubleshooting.md does not mention \(code)")
    }
  }

  private func check(_ link: String, in path: String) throws {
    if link.contains("://") || link.hasPrefix("mailto:") { return }
    let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
    let folder = Repository.root.appendingPathComponent(path).deletingLastPathComponent()
    let target = parts[0].isEmpty ? path : String(parts[0])
    let url =
      parts[0].isEmpty
      ? Repository.root.appendingPathComponent(path)
      : folder.appendingPathComponent(target).standardizedFileURL
    #expect(Repository.exists(url), "\(path): \(link) leads nowhere")
    guard parts.count == 2, url.pathExtension == "md", Repository.exists(url) else { return }
    let anchors = Self.anchors(of: try String(contentsOf: url, encoding: .utf8))
    #expect(anchors.contains(String(parts[1])), "\(path): \(link): no such heading")
  }

  /// Headings as link targets: lower case, punctuation gone, spaces as dashes.
  static func anchors(of text: String) -> Set<String> {
    Set(
      withoutCode(text).split(separator: "\n").filter { $0.hasPrefix("#") }.map { heading in
        heading.drop { $0 == "#" || $0 == " " }.lowercased()
          .filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" || $0 == "_" }
          .replacing(" ", with: "-")
      })
  }

  /// Fenced blocks hold examples, not links or headings.
  static func withoutCode(_ text: String) -> String {
    var fenced = false
    return text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      if line.drop(while: { $0 == " " }).hasPrefix("```") {
        fenced.toggle()
        return ""
      }
      return fenced ? "" : String(line)
    }.joined(separator: "\n")
  }
}
