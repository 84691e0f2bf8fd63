// SPDX-License-Identifier: Apache-2.0
// Bounds what a client may send that is neither head nor body: empty lines before a request, and
// sizes and extensions of chunks.

/// Counts the bytes of one connection. What is not bounded by the limits of heads and bodies is
/// bounded here, as the decoder takes any amount of it.
struct Overhead {
  /// Before a head has come to its end: more than the largest head.
  private static let mostBeforeHead = 128 << 10
  /// Around the bytes of a body in chunks; chunks of one byte have five of their own.
  private static let mostAroundBody = 16 << 10
  private static let perByte = 16
  /// Bodies in chunks are looked at in pieces of this size: what follows them does not count.
  private static let piece = 4 << 10

  private enum Place {
    case beforeHead(bytes: Int)
    case chunks(around: Int)
    case bodyOfKnownLength
  }

  private var place = Place.beforeHead(bytes: 0)

  /// How much of `count` bytes is decoded at a time.
  func next(of count: Int) -> Int {
    if case .bodyOfKnownLength = place { return count }
    return min(count, Self.piece)
  }

  mutating func arrived(_ bytes: Int) {
    switch place {
    case .beforeHead(let before): place = .beforeHead(bytes: before + bytes)
    case .chunks(let around): place = .chunks(around: around + bytes)
    case .bodyOfKnownLength: break
    }
  }

  mutating func headEnded(isChunked: Bool) {
    place = isChunked ? .chunks(around: 0) : .bodyOfKnownLength
  }

  /// Bytes of a body came, which pay for some of what is around them.
  mutating func body(_ bytes: Int) {
    if case .chunks(let around) = place {
      place = .chunks(around: max(around - bytes * (Self.perByte + 1), -Self.mostAroundBody))
    }
  }

  mutating func requestEnded() { place = .beforeHead(bytes: 0) }

  var isTooMuch: Bool {
    switch place {
    case .beforeHead(let bytes): bytes > Self.mostBeforeHead
    case .chunks(let around): around > Self.mostAroundBody
    case .bodyOfKnownLength: false
    }
  }
}
