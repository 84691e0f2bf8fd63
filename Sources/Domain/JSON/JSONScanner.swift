// SPDX-License-Identifier: Apache-2.0
// Scans one document after another with the same memory.

/// A scanner that reuses its memory.
///
/// It does so only when no document or node of an earlier scan is alive, so a caller that drops
/// each document before the next scan pays no allocation, and one that keeps them is safe.
package struct JSONScanner: ~Copyable {
  package let limits: JSONLimits
  private var tape: JSONTape?
  private var duplicates = JSONDuplicateKeys()

  package init(limits: JSONLimits = .standard) {
    self.limits = limits
  }

  /// Scans all of `bytes` as one document.
  package mutating func scan(_ bytes: [UInt8]) throws(JSONError) -> JSONDocument {
    try bytes.withUnsafeBytes { scan($0) }.get()
  }

  /// Scans all of `bytes` as one document.
  package mutating func scan(
    _ bytes: some Collection<UInt8>
  ) throws(JSONError) -> JSONDocument {
    let outcome = bytes.withContiguousStorageIfAvailable { scan(UnsafeRawBufferPointer($0)) }
    return try (outcome ?? Array(bytes).withUnsafeBytes { scan($0) }).get()
  }

  /// Scans the bytes in `range`, lowered to the array's own, as one document. Offsets in it and
  /// in errors count from the range's start.
  package mutating func scan(
    _ bytes: [UInt8], in range: Range<Int>
  ) throws(JSONError) -> JSONDocument {
    let range = range.clamped(to: 0..<bytes.count)
    return try bytes.withUnsafeBytes { scan(UnsafeRawBufferPointer(rebasing: $0[range])) }.get()
  }

  private mutating func scan(
    _ bytes: UnsafeRawBufferPointer
  ) -> Result<JSONDocument, JSONError> {
    guard bytes.count <= limits.maxBytes else {
      return .failure(JSONError(kind: .tooLarge, byteOffset: 0, path: ""))
    }
    let tape = emptyTape(for: bytes.count)
    if let error = tape.fill(bytes, limits: limits, duplicates: &duplicates) {
      return .failure(error)
    }
    return .success(JSONDocument(tape: tape))
  }

  /// The old tape if nobody else reads it and it fits, otherwise a new one.
  private mutating func emptyTape(for length: Int) -> JSONTape {
    if isKnownUniquelyReferenced(&tape), let tape, tape.isReusable(for: length) { return tape }
    // Room to spare, so that lines of slightly different length share one tape.
    let fresh = JSONTape(length: length + length / 2)
    tape = fresh
    return fresh
  }
}
