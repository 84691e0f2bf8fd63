// SPDX-License-Identifier: Apache-2.0
// Writes the server's log to standard error, one line at a time.
import Domain
import Logging
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A log of lines in one format.
struct LineLogHandler: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.info
  private let format: LogFormat
  private let now: @Sendable () -> Timestamp
  private let write: @Sendable (String) -> Void

  init(
    _ format: LogFormat, now: @escaping @Sendable () -> Timestamp,
    write: @escaping @Sendable (String) -> Void = { StandardError.write($0) }
  ) {
    self.format = format
    self.now = now
    self.write = write
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let all = event.metadata.map { metadata.merging($0) { _, new in new } } ?? metadata
    write(format.line(now(), event.level, "\(event.message)", all))
  }
}

/// Whole lines, however many threads write them.
private enum StandardError {
  private static let turn = Mutex(())

  /// A reader that has gone away loses the line, and nothing else is lost.
  static func write(_ line: String) {
    turn.withLock { _ in
      var bytes = Array(line.utf8)[...]
      while !bytes.isEmpty {
        let count = bytes.withUnsafeBytes { system(STDERR_FILENO, $0.baseAddress, $0.count) }
        if count > 0 {
          bytes = bytes.dropFirst(count)
        } else if errno != EINTR {
          return
        }
      }
    }
  }

  private static func system(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    #if canImport(Glibc)
    Glibc.write(descriptor, bytes, count)
    #else
    Darwin.write(descriptor, bytes, count)
    #endif
  }
}
