// SPDX-License-Identifier: Apache-2.0
// Writes answers: tables and sentences for people, the API's JSON for programs.

import Foundation
import OrreryClient

/// Where a command's answer goes.
struct Output: Sendable {
  let isJSON: Bool
  private let terminal = Terminal.output

  var stream: Terminal { terminal }

  /// A line of our own words; foreign text in it must be escaped already.
  func line(_ text: String = "") {
    terminal.write(text + "\n")
  }

  /// JSON as the server sent it, on one line.
  func json(_ json: JSONText) {
    let text = terminal.isInteractive ? TerminalText.escapedJSON(json.text) : json.text
    terminal.write(text + "\n")
  }

  /// The table, or a sentence if it has no rows.
  func table(_ table: Table, ifEmpty sentence: String) {
    if table.isEmpty { return line(sentence) }
    for line in table.lines(on: terminal) { self.line(line) }
  }

  /// Pairs of names and values, aligned; pairs without a value are left out.
  func fields(_ pairs: [(name: String, value: String?)]) {
    let shown = pairs.compactMap { pair in pair.value.map { (pair.name, $0) } }
    let width = shown.map(\.0.count).max() ?? 0
    for (name, value) in shown {
      let space = String(repeating: " ", count: width - name.count)
      let text = TerminalText.escaped(value)
      let cut = terminal.width.map { TerminalText.cut(text, to: max($0 - width - 2, 10)) } ?? text
      line(TextStyle.faint.apply(to: name, on: terminal) + space + "  " + cut)
    }
  }

  /// JSON for people, indented.
  func indented(_ title: String, _ json: JSONText?) {
    guard let json, json != .emptyObject, json != .null else { return }
    line(TextStyle.faint.apply(to: title, on: terminal))
    for row in IndentedJSON.lines(json) { line("  " + TerminalText.escapedJSON(row)) }
  }
}

/// Figures as people read them.
enum Figure {
  /// `3.2 MB`
  static func bytes(_ count: Int) -> String {
    var value = Double(count)
    for unit in ["B", "kB", "MB", "GB"] {
      if value < 1_000 { return unit == "B" ? "\(count) B" : String(format: "%.1f ", value) + unit }
      value /= 1_000
    }
    return String(format: "%.1f TB", value)
  }

  /// `45s`, `12m`, `3h`, `8d`
  static func span(_ seconds: Double) -> String {
    let seconds = Int(min(max(seconds, 0), 1e12))
    switch seconds {
    case ..<120: return "\(seconds)s"
    case ..<7_200: return "\(seconds / 60)m"
    case ..<172_800: return "\(seconds / 3_600)h"
    default: return "\(seconds / 86_400)d"
    }
  }

  /// How long ago.
  static func age(_ date: Date?) -> String? {
    guard let date else { return nil }
    return span(Double(SystemClock.live.now()) / 1_000 - date.timeIntervalSince1970)
  }

  /// `2026-01-13 17:05:00Z`
  static func time(_ date: Date?) -> String? {
    guard let date else { return nil }
    return date.formatted(.iso8601.dateTimeSeparator(.space))
  }

  static func percent(_ progress: Double?) -> String? {
    progress.map { "\(Int(min(max(0, $0), 100).rounded()))%" }
  }

  static func number(_ value: Double?) -> String? {
    value.map { $0 == $0.rounded() && abs($0) < 1e15 ? String(Int($0)) : String($0) }
  }
}
