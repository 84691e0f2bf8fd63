// SPDX-License-Identifier: Apache-2.0
// The memory behind a document: its bytes and the tokens that the scanner found in them.

/// A growing row of tokens in memory that its owner must free.
struct JSONTokens {
  private(set) var base: UnsafeMutablePointer<JSONToken>
  private(set) var count = 0
  private(set) var capacity: Int

  init(capacity: Int) {
    self.capacity = max(capacity, 16)
    base = .allocate(capacity: self.capacity)
  }

  @inline(__always)
  subscript(index: Int) -> JSONToken {
    get {
      assert(index >= 0 && index < count)
      return base[index]
    }
    nonmutating set {
      assert(index >= 0 && index < count)
      base[index] = newValue
    }
  }

  @inline(__always)
  mutating func append(_ token: JSONToken) {
    if count == capacity { grow() }
    (base + count).initialize(to: token)
    count += 1
  }

  mutating func removeAll() {
    count = 0
  }

  func deallocate() {
    base.deallocate()
  }

  @inline(never)
  private mutating func grow() {
    let larger = UnsafeMutablePointer<JSONToken>.allocate(capacity: capacity * 2)
    larger.moveInitialize(from: base, count: count)
    base.deallocate()
    base = larger
    capacity *= 2
  }
}

/// Storage behind documents and nodes. Its own copy of the source makes a node one reference
/// and every look-up plain memory access.
///
/// Guard of the unchecked conformance: only `JSONScanner` changes a tape, and only while it holds
/// the sole reference to it; every shared tape is immutable.
final class JSONTape: @unchecked Sendable {
  private(set) var bytes: UnsafeMutableBufferPointer<UInt8>
  private(set) var length = 0
  private(set) var tokens: JSONTokens

  /// Makes room for a document of `length` bytes.
  init(length: Int) {
    bytes = .allocate(capacity: max(length, 64))
    tokens = JSONTokens(capacity: min(length / 6, 1_024))
  }

  deinit {
    bytes.deallocate()
    tokens.deallocate()
  }

  /// The document.
  var source: UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(start: bytes.baseAddress, count: length)
  }

  /// True if the tape is neither too small for a document of `length` bytes nor wastefully large.
  func isReusable(for length: Int) -> Bool {
    length <= bytes.count && bytes.count <= Self.keptBytes && tokens.capacity <= Self.keptTokens
  }

  /// Copies a document in and scans it; nil if it is accepted, else what is wrong and where.
  ///
  /// The bytes must fit: see `isReusable(for:)` and `init(length:)`.
  func fill(
    _ document: UnsafeRawBufferPointer, limits: JSONLimits, duplicates: inout JSONDuplicateKeys
  ) -> JSONError? {
    UnsafeMutableRawBufferPointer(bytes).copyMemory(from: document)
    length = document.count
    tokens.removeAll()
    var scan = JSONScan(
      bytes: source, limits: limits, tokens: tokens, duplicates: duplicates)
    let error = scan.run()
    tokens = scan.tokens
    duplicates = scan.duplicates
    return error
  }

  /// Kept between scans at most, so that one huge document is not remembered.
  private static let keptBytes = 1 << 20
  private static let keptTokens = 1 << 16
}
