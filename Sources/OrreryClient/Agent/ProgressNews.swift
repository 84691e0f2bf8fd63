// SPDX-License-Identifier: Apache-2.0
// What there is to report of a running attempt.

import Domain

/// Severity of a log line.
public enum TaskLogLevel: String, Sendable, CaseIterable {
  case debug
  case info
  case warning
  case error
}

/// Progress and log lines that are not sent yet.
struct ProgressNews: Sendable {
  struct Line: Sendable {
    let time: Timestamp
    let level: TaskLogLevel
    let message: String
    let metadata: JSONText?
  }

  /// Lines that one report may carry, and lines that may wait.
  static let linesPerReport = 100
  static let mostLines = 2_000

  var percent: Double?
  var message: String?
  var lines: [Line] = []
  var dropped = 0

  var isEmpty: Bool { percent == nil && message == nil && lines.isEmpty && dropped == 0 }

  mutating func add(_ line: Line) {
    if lines.count < Self.mostLines { lines.append(line) } else { dropped += 1 }
  }

  /// Takes one report's worth.
  mutating func take(at time: Timestamp) -> ProgressNews {
    if dropped > 0, lines.count < Self.linesPerReport {
      let text = "\(dropped) log lines were dropped: they came faster than they could be sent."
      lines.append(Line(time: time, level: .warning, message: text, metadata: nil))
      dropped = 0
    }
    var taken = self
    taken.dropped = 0
    taken.lines = Array(lines.prefix(Self.linesPerReport))
    lines.removeFirst(taken.lines.count)
    percent = nil
    message = nil
    return taken
  }

  /// Puts back what could not be sent; newer progress wins.
  mutating func putBack(_ news: ProgressNews) {
    percent = percent ?? news.percent
    message = message ?? news.message
    lines = news.lines + lines
  }

  func body(for dispatch: Dispatch) -> [UInt8] {
    var writer = JSONWriter()
    writer.object { writer in
      writer.field("taskId", dispatch.taskID)
      writer.field("attempt", dispatch.attempt)
      writer.field("leaseToken", dispatch.leaseToken)
      if let percent { writer.field("progress", min(max(percent, 0), 100)) }
      writer.field(ifPresent: "message", message?.cut(toBytes: TaskFailure.longestMessage))
      guard !lines.isEmpty else { return }
      writer.key(literal: "logs")
      writer.array { writer in
        for line in lines { line.write(to: &writer) }
      }
    }
    return writer.bytes
  }
}

extension ProgressNews.Line {
  func write(to writer: inout JSONWriter) {
    writer.object { writer in
      writer.field("timestamp", time)
      writer.field("level", level.rawValue)
      writer.field("message", message.cut(toBytes: TaskFailure.longestMessage))
      writer.field(ifPresent: "metadata", raw: metadata?.bytes)
    }
  }
}
