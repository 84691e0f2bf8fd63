// SPDX-License-Identifier: Apache-2.0
// Finding members by key, on the tape itself.

extension JSONTape {
  /// The index of the value of the member named `key` of the object at `object`; nil if there is
  /// none.
  func value(of key: UnsafeBufferPointer<UInt8>, inObject object: Int) -> Int? {
    defer { withExtendedLifetime(self) {} }
    let (source, tokens) = (source, tokens)
    let end = Int(tokens[object].next)
    var member = object + 1
    while member < end {
      if Self.matches(tokens[member], key, source) { return member + 1 }
      member = Int(tokens[member + 1].next)
    }
    return nil
  }

  /// The index of the first key of the object at `object` that is not in `names`; nil if there
  /// is none.
  func firstKey(notIn names: [StaticString], inObject object: Int) -> Int? {
    defer { withExtendedLifetime(self) {} }
    let (source, tokens) = (source, tokens)
    let end = Int(tokens[object].next)
    var member = object + 1
    while member < end {
      let token = tokens[member]
      if !names.contains(where: { Self.matches(token, $0.utf8Buffer, source) }) { return member }
      member = Int(tokens[member + 1].next)
    }
    return nil
  }

  /// Whether the key at `token` is `key`, byte by byte after unescaping.
  @inline(__always)
  private static func matches(
    _ token: JSONToken, _ key: UnsafeBufferPointer<UInt8>, _ source: UnsafeBufferPointer<UInt8>
  ) -> Bool {
    if token.isEscaped { return matchesEscaped(token, key, source) }
    guard token.contentLength == key.count else { return false }
    let start = token.contentStart
    for offset in 0..<key.count where source[start + offset] != key[offset] { return false }
    return true
  }

  @inline(never)
  private static func matchesEscaped(
    _ token: JSONToken, _ key: UnsafeBufferPointer<UInt8>, _ source: UnsafeBufferPointer<UInt8>
  ) -> Bool {
    var text: [UInt8] = []
    JSONText.appendUnescaped(source, token.contentStart..<token.contentEnd, to: &text)
    return text.elementsEqual(key)
  }
}

extension StaticString {
  /// The bytes of a literal; they live as long as the program.
  var utf8Buffer: UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(start: utf8Start, count: utf8CodeUnitCount)
  }
}
