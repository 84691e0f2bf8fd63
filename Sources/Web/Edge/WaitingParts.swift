// SPDX-License-Identifier: Apache-2.0
// What came of later requests while one is in hand.
import NIOCore
import NIOHTTP1

/// In order. Says when it is enough; what was read by then is kept all the same.
struct WaitingParts {
  private static let mostParts = 64
  private static let mostBytes = 64 << 10

  private var parts = CircularBuffer<HTTPServerRequestPart>()
  private var bytes = 0

  var isEmpty: Bool { parts.isEmpty }

  /// Reading is to stop until some were taken.
  var isFull: Bool { parts.count > Self.mostParts || bytes >= Self.mostBytes }

  mutating func append(_ part: HTTPServerRequestPart) {
    parts.append(part)
    bytes += Self.size(of: part)
  }

  mutating func popFirst() -> HTTPServerRequestPart? {
    guard let part = parts.popFirst() else { return nil }
    bytes -= Self.size(of: part)
    return part
  }

  mutating func removeAll() { self = WaitingParts() }

  private static func size(of part: HTTPServerRequestPart) -> Int {
    switch part {
    case .head(let head):
      head.headers.reduce(head.uri.utf8.count) { $0 + $1.name.utf8.count + $1.value.utf8.count }
    case .body(let bytes): bytes.readableBytes
    case .end: 0
    }
  }
}
