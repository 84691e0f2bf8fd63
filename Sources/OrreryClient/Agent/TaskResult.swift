// SPDX-License-Identifier: Apache-2.0
// What a handler hands back: a result, part of one, or a failure.

import Domain

/// The result of an attempt.
public struct TaskResult: Sendable {
  /// A small file, kept with the result.
  public struct Artifact: Sendable {
    public var name: String
    public var mediaType: String
    /// At most 1 MiB.
    public var bytes: [UInt8]

    public init(name: String, mediaType: String, bytes: [UInt8]) {
      self.name = name
      self.mediaType = mediaType
      self.bytes = bytes
    }
  }

  /// Any JSON value.
  public var data: JSONText
  public var artifacts: [Artifact] = []
  /// A JSON object of figures.
  public var metrics: JSONText?
  /// Set if only part of the work was done; the task is completed all the same.
  public var shortfall: TaskFailure?

  public init(data: JSONText = .null) {
    self.data = data
  }

  /// Encodes the data; see `JSONText.init(encoding:)`.
  public init(encoding value: some Encodable) throws {
    data = try JSONText(encoding: value)
  }

  func write(to writer: inout JSONWriter) {
    writer.key(literal: "results")
    writer.beginObject()
    writer.field("data", raw: data.bytes)
    if !artifacts.isEmpty {
      writer.key(literal: "artifacts")
      writer.array { writer in
        for artifact in artifacts {
          writer.object { writer in
            writer.field("name", artifact.name)
            writer.field("mediaType", artifact.mediaType)
            writer.field("base64", Base64.encode(artifact.bytes))
          }
        }
      }
    }
    writer.field(ifPresent: "metrics", raw: metrics?.bytes)
    writer.endObject()
  }
}

/// Thrown by a handler to say how the attempt failed. Any other error is reported as
/// `AGENT_ERROR` and may be tried again.
public struct TaskFailure: Error, Sendable {
  /// For programs, as `PAGE_NOT_FOUND`.
  public var code: String
  public var message: String
  /// Whether another attempt may help.
  public var isRetryable: Bool
  /// Not sooner than this.
  public var retryAfter: Duration?

  public init(
    _ code: String, _ message: String, isRetryable: Bool = true, retryAfter: Duration? = nil
  ) {
    self.code = code
    self.message = message
    self.isRetryable = isRetryable
    self.retryAfter = retryAfter
  }

  /// Longest message that the server keeps, in bytes.
  static let longestMessage = 4 << 10

  func write(to writer: inout JSONWriter) {
    writer.key(literal: "error")
    writer.object { writer in
      writer.field("code", code)
      writer.field("message", message.cut(toBytes: Self.longestMessage))
      writer.field("retryable", isRetryable)
      if let retryAfter { writer.field("retryAfter", retryAfter.wholeMilliseconds) }
    }
  }
}

extension TaskFailure {
  /// What is reported of an error that a handler threw.
  init(_ error: any Error) {
    if let failure = error as? TaskFailure {
      self = failure
    } else {
      self.init("AGENT_ERROR", String(describing: error))
    }
  }
}

extension String {
  /// The longest beginning of whole characters that fits.
  func cut(toBytes most: Int) -> String {
    guard utf8.count > most else { return self }
    var bytes = 0
    var end = startIndex
    while end < endIndex {
      let next = index(after: end)
      bytes += self[end..<next].utf8.count
      if bytes > most { break }
      end = next
    }
    return String(self[..<end])
  }
}
