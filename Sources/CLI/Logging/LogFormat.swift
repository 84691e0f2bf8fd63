// SPDX-License-Identifier: Apache-2.0
// How a log line is written: for people, or as JSON for programs.
import Domain
import Logging

/// The forms of a log line. Nothing that is logged can begin a line of its own, in either form.
enum LogFormat: String, CaseIterable, Sendable {
  case text, json

  /// One line, with its end.
  func line(
    _ time: Timestamp, _ level: Logger.Level, _ message: String, _ metadata: Logger.Metadata
  ) -> String {
    let pairs = metadata.map { Pair(name: $0.key, value: "\($0.value)") }
      .sorted { ($0.rank, $0.name) < ($1.rank, $1.name) }
    return switch self {
    case .text: Self.text(time, level, message, pairs)
    case .json: Self.json(time, level, message, pairs)
    }
  }

  private struct Pair {
    var name: String
    var value: String

    /// Ids come first.
    var rank: Int { LogFormat.first.firstIndex(of: name) ?? LogFormat.first.count }
  }

  private static let first = ["requestId", "taskId", "attempt", "agentId", "traceId", "code"]

  // MARK: Text

  private static func text(
    _ time: Timestamp, _ level: Logger.Level, _ message: String, _ pairs: [Pair]
  ) -> String {
    var line = "\(time) \(level.rawValue) orrery: \(safe(message))"
    for pair in pairs { line += " \(safe(pair.name))=\(quoted(safe(pair.value)))" }
    return line + "\n"
  }

  private static func safe(_ text: String) -> String {
    TerminalText.escaped(Redaction.apply(to: text))
  }

  /// A value that could be taken for more than one is put into quotes.
  private static func quoted(_ value: String) -> String {
    guard value.isEmpty || value.contains(where: { " \"=".contains($0) }) else { return value }
    return "\""
      + value.split(separator: "\"", omittingEmptySubsequences: false)
      .joined(separator: "\\\"") + "\""
  }

  // MARK: JSON

  private static let taken: Set<String> = ["time", "level", "message"]
  private static let numbers: Set<String> = ["status", "ms", "attempt"]

  private static func json(
    _ time: Timestamp, _ level: Logger.Level, _ message: String, _ pairs: [Pair]
  ) -> String {
    var writer = JSONWriter()
    writer.object {
      $0.field("time", time)
      $0.field("level", level.rawValue)
      $0.field("message", Redaction.apply(to: message))
      for pair in pairs {
        $0.key(taken.contains(pair.name) ? "_" + pair.name : pair.name)
        if numbers.contains(pair.name), let number = Double(pair.value), number.isFinite {
          if let whole = Int(exactly: number) { $0.int(whole) } else { $0.double(number) }
        } else {
          $0.string(Redaction.apply(to: pair.value))
        }
      }
    }
    return TerminalText.escapedJSON(String(decoding: writer.bytes, as: UTF8.self)) + "\n"
  }
}
