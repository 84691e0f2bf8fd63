// SPDX-License-Identifier: Apache-2.0
// Finds a key that appears twice in one object, comparing unescaped bytes.

/// Buffers for the search, reused from object to object.
///
/// Few keys are compared with each other. Many go through a hash table whose hash is seeded per
/// process, so that chosen keys cannot make it slow.
struct JSONDuplicateKeys {
  private struct Key {
    var start: Int
    var length: Int
    var token: Int
    var isUnescaped: Bool
  }

  private static let comparedPairwise = 16

  private var keys: [Key] = []
  private var unescaped: [UInt8] = []
  private var slots: [Int32] = []

  /// The token of the second appearance of a key of the closed object at `object`.
  mutating func firstRepeated(
    in object: Int, tokens: JSONTokens, bytes: UnsafeBufferPointer<UInt8>
  ) -> Int? {
    if tokens[object].count <= Self.comparedPairwise, !tokens[object].isEscaped {
      return pairwise(in: object, tokens: tokens, bytes: bytes)
    }
    collect(object, tokens: tokens, bytes: bytes)
    let repeated = unescaped.withUnsafeBufferPointer { [keys] unescaped in
      Self.hashed(keys, slots: &slots, bytes: bytes, unescaped: unescaped)
    }
    if keys.count > 4_096 { self = JSONDuplicateKeys() }
    return repeated
  }

  private func pairwise(
    in object: Int, tokens: JSONTokens, bytes: UnsafeBufferPointer<UInt8>
  ) -> Int? {
    let end = Int(tokens[object].next)
    var later = Int(tokens[object + 2].next)
    while later < end {
      let token = tokens[later]
      var earlier = object + 1
      while earlier < later {
        let other = tokens[earlier]
        if token.contentLength == other.contentLength,
          Self.equal(bytes, token.contentStart, bytes, other.contentStart, token.contentLength)
        {
          return later
        }
        earlier = Int(tokens[earlier + 1].next)
      }
      later = Int(tokens[later + 1].next)
    }
    return nil
  }

  private mutating func collect(
    _ object: Int, tokens: JSONTokens, bytes: UnsafeBufferPointer<UInt8>
  ) {
    keys.removeAll(keepingCapacity: true)
    unescaped.removeAll(keepingCapacity: true)
    let end = Int(tokens[object].next)
    var index = object + 1
    while index < end {
      let token = tokens[index]
      var key = Key(
        start: token.contentStart, length: token.contentLength, token: index, isUnescaped: false)
      if token.isEscaped {
        key.start = unescaped.count
        JSONText.appendUnescaped(bytes, token.contentStart..<token.contentEnd, to: &unescaped)
        key.length = unescaped.count - key.start
        key.isUnescaped = true
      }
      keys.append(key)
      index = Int(tokens[index + 1].next)
    }
  }

  private static func hashed(
    _ keys: [Key], slots: inout [Int32], bytes: UnsafeBufferPointer<UInt8>,
    unescaped: UnsafeBufferPointer<UInt8>
  ) -> Int? {
    var size = 32
    while size < keys.count * 2 { size *= 2 }
    slots.removeAll(keepingCapacity: true)
    slots.append(contentsOf: repeatElement(-1, count: size))
    for (position, key) in keys.enumerated() {
      let source = key.isUnescaped ? unescaped : bytes
      var hasher = Hasher()
      hasher.combine(
        bytes: UnsafeRawBufferPointer(
          rebasing: UnsafeRawBufferPointer(source)[
            key.start..<key.start + key.length]))
      var slot = hasher.finalize() & (size - 1)
      while slots[slot] >= 0 {
        let other = keys[Int(slots[slot])]
        let otherSource = other.isUnescaped ? unescaped : bytes
        if other.length == key.length,
          equal(source, key.start, otherSource, other.start, key.length)
        {
          return key.token
        }
        slot = (slot + 1) & (size - 1)
      }
      slots[slot] = Int32(truncatingIfNeeded: position)
    }
    return nil
  }

  @inline(__always)
  private static func equal(
    _ first: UnsafeBufferPointer<UInt8>, _ firstStart: Int,
    _ second: UnsafeBufferPointer<UInt8>, _ secondStart: Int, _ length: Int
  ) -> Bool {
    for offset in 0..<length where first[firstStart + offset] != second[secondStart + offset] {
      return false
    }
    return true
  }
}
