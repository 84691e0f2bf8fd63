// SPDX-License-Identifier: Apache-2.0
// What the process is connected to: a terminal or not, how wide, with colours or not.

import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// One of the standard streams.
struct Terminal: Sendable {
  let descriptor: Int32
  let isInteractive: Bool
  let hasColor: Bool

  static let output = Terminal(STDOUT_FILENO)
  static let error = Terminal(STDERR_FILENO)

  init(_ descriptor: Int32) {
    self.descriptor = descriptor
    isInteractive = isatty(descriptor) == 1
    let environment = ProcessInfo.processInfo.environment
    let wantsNone = !(environment["NO_COLOR"] ?? "").isEmpty || environment["TERM"] == "dumb"
    hasColor = isInteractive && !wantsNone
  }

  /// Columns; nil where lines may be as long as they like.
  var width: Int? {
    guard isInteractive else { return nil }
    var size = winsize()
    if ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
    return ProcessInfo.processInfo.environment["COLUMNS"].flatMap { Int($0) } ?? 80
  }

  /// Writes all of it; a reader that has gone away ends the process quietly, as programs in a
  /// pipe do.
  func write(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { systemWrite(descriptor, $0.baseAddress, $0.count) }
      if count > 0 {
        bytes = bytes.dropFirst(count)
      } else if errno != EINTR {
        exit(errno == EPIPE ? ExitStatus.ok.rawValue : ExitStatus.unexpected.rawValue)
      }
    }
  }
}

private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  #if canImport(Glibc)
  Glibc.write(descriptor, bytes, count)
  #else
  Darwin.write(descriptor, bytes, count)
  #endif
}

/// Colours by meaning.
enum TextStyle: String {
  case plain = ""
  case good = "32"
  case bad = "31"
  case busy = "36"
  case attention = "33"
  case faint = "2"
  case heading = "1"

  func apply(to text: String, on terminal: Terminal) -> String {
    guard terminal.hasColor, self != .plain else { return text }
    return "\u{1B}[\(rawValue)m\(text)\u{1B}[0m"
  }

  /// The style of a task's, agent's or check's state.
  init(state: String) {
    self =
      switch state {
      case "completed", "active", "ok": .good
      case "failed", "unhealthy", "fail": .bad
      case "running": .busy
      case "cancelled", "draining", "disabled", "paused", "warn": .attention
      default: .plain
      }
  }
}
