// SPDX-License-Identifier: Apache-2.0
// Reads the log lines of a report.

/// Reads `[{"timestamp"?,"level"?,"message","metadata"?}]`.
enum LogLines {
  /// - Parameter receivedAt: The time of lines that give none.
  static func parse(
    _ fields: JSONFields, limits: Limits, receivedAt: Timestamp
  ) throws(FieldError) -> [TaskLog] {
    guard let array = try fields.optionalArray("logs", count: 0...limits.logLinesPerReport) else {
      return []
    }
    var lines: [TaskLog] = []
    lines.reserveCapacity(array.count)
    for (position, element) in array.elements.enumerated() {
      let path = JSONPath.element(position, of: fields.path("logs"))
      let line = try JSONFields(element, path: path, allowed: [], unknown: .ignore)
      try lines.append(Self.line(line, limits: limits, receivedAt: receivedAt))
    }
    return lines
  }

  private static func line(
    _ line: JSONFields, limits: Limits, receivedAt: Timestamp
  ) throws(FieldError) -> TaskLog {
    let metadata = try line.optionalObject("metadata")
    if let metadata, metadata.rawByteCount > limits.message {
      throw line.error(
        "metadata", .outOfRange, JSONFields.bounds(0...limits.message, "bytes of JSON"))
    }
    return TaskLog(
      time: try line.optionalTimestamp("timestamp") ?? receivedAt,
      level: try level(line),
      message: try line.string("message", bytes: 0...limits.message),
      metadata: metadata?.rawBytes)
  }

  /// The names that logging libraries use for the four levels, in any case; `info` if absent.
  private static func level(_ line: JSONFields) throws(FieldError) -> LogLevel {
    guard let name = try line.optionalString("level") else { return .info }
    switch name.lowercased() {
    case "trace", "debug": return .debug
    case "info", "notice": return .info
    case "warn", "warning": return .warning
    case "error", "critical", "fatal": return .error
    default:
      throw line.error("level", .invalid, "Must be one of: debug, info, warning, error.")
    }
  }
}
