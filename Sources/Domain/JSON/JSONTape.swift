// SPDX-License-Identifier: Apache-2.0
// The source bytes of a document together with the tokens that the scanner found in them.

/// Storage behind documents and nodes.
///
/// Safety of the unchecked conformance: only `JSONScanner` changes a tape, and only while it holds
/// the sole reference to it; every shared tape is immutable.
final class JSONTape: @unchecked Sendable {
  fileprivate(set) var bytes: [UInt8] = []
  fileprivate(set) var tokens: [JSONToken] = []

  /// Calls `body` with the source and the tokens; neither pointer may leave it.
  @inline(__always)
  func read<Value>(
    _ body: (UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<JSONToken>) -> Value
  ) -> Value {
    bytes.withUnsafeBufferPointer { source in
      tokens.withUnsafeBufferPointer { tokens in body(source, tokens) }
    }
  }
}

/// Scans one document after another and reuses its buffers.
///
/// A tape is reused only when no document or node of an earlier scan is alive, so a caller that
/// drops each document before the next scan pays no allocation.
package struct JSONScanner: ~Copyable {
  package let limits: JSONLimits
  private var tape = JSONTape()
  private var duplicates = JSONDuplicateKeys()

  package init(limits: JSONLimits = .standard) {
    self.limits = limits
  }

  /// Scans all of `bytes` as one document.
  package mutating func scan(_ bytes: [UInt8]) throws(JSONError) -> JSONDocument {
    try scan(bytes, in: 0..<bytes.count)
  }

  /// Scans the bytes in `range`, lowered to the array's own, as one document.
  package mutating func scan(
    _ bytes: [UInt8], in range: Range<Int>
  ) throws(JSONError) -> JSONDocument {
    let range = range.clamped(to: 0..<bytes.count)
    var tokens = takeTokens()
    var fault: JSONFault?
    var path = ""
    bytes.withUnsafeBufferPointer { source in
      var scan = JSONScan(
        bytes: source, range: range, limits: limits, tokens: tokens, duplicates: duplicates)
      tokens = []
      duplicates = JSONDuplicateKeys()
      fault = scan.run()
      if let fault { path = scan.path(of: fault) }
      swap(&tokens, &scan.tokens)
      swap(&duplicates, &scan.duplicates)
    }
    tape.tokens = tokens
    if let fault {
      throw JSONError(kind: fault.kind, byteOffset: fault.offset - range.lowerBound, path: path)
    }
    tape.bytes = bytes
    return JSONDocument(tape: tape)
  }

  /// Empties the tape, or starts a new one if somebody still reads the old one.
  private mutating func takeTokens() -> [JSONToken] {
    guard isKnownUniquelyReferenced(&tape) else {
      tape = JSONTape()
      return []
    }
    tape.bytes = []
    var tokens: [JSONToken] = []
    swap(&tokens, &tape.tokens)
    tokens.removeAll(keepingCapacity: tokens.capacity <= Self.keptTokens)
    return tokens
  }

  /// Tokens kept between scans at most (1 MiB), so that one huge document is not remembered.
  private static let keptTokens = 65_536
}
