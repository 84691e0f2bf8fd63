// SPDX-License-Identifier: Apache-2.0
// A logger whose lines a test can wait for.

import Logging
import Synchronization

/// Collects what is logged.
final class LogLinesSeen: Sendable {
  let lines: AsyncStream<String>
  private let continuation: AsyncStream<String>.Continuation

  init() {
    (lines, continuation) = AsyncStream.makeStream()
  }

  var logger: Logger {
    let continuation = continuation
    return Logger(label: "test") { _ in Handler(continuation: continuation) }
  }

  /// The next line that starts with `prefix`, without it.
  func next(after prefix: String) async -> String? {
    for await line in lines where line.hasPrefix(prefix) {
      return String(line.dropFirst(prefix.count))
    }
    return nil
  }

  private struct Handler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace
    let continuation: AsyncStream<String>.Continuation

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let how = event.metadata?["how"].map { " \($0)" } ?? ""
      continuation.yield("\(event.message)\(how)")
    }
  }
}
