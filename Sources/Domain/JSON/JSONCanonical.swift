// SPDX-License-Identifier: Apache-2.0
// One fixed spelling of a document, for hashing.

extension JSONNode {
  /// Appends the value without white space, with object keys sorted by their UTF-8 bytes, strings
  /// with the fewest escapes, and numbers as written. Equal documents that differ only in space,
  /// key order or escaping give equal bytes; `1` and `1.0` stay different.
  ///
  /// Recursion is bounded by `JSONLimits.depthCeiling`.
  package func appendCanonical(to output: inout [UInt8]) {
    let token = token
    switch token.kind {
    case .null, .bool, .number: withRawBytes { output.append(contentsOf: $0) }
    case .string: appendString(token, to: &output)
    case .array:
      output.append(UInt8(ascii: "["))
      for (position, element) in elements.enumerated() {
        if position > 0 { output.append(UInt8(ascii: ",")) }
        element.appendCanonical(to: &output)
      }
      output.append(UInt8(ascii: "]"))
    case .object: appendObject(to: &output)
    }
  }

  /// The canonical form as new bytes.
  package var canonicalBytes: [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(rawByteCount)
    appendCanonical(to: &output)
    return output
  }

  private func appendObject(to output: inout [UInt8]) {
    output.append(UInt8(ascii: "{"))
    var isFirst = true
    for member in sortedMembers() {
      if !isFirst { output.append(UInt8(ascii: ",")) }
      isFirst = false
      appendString(member.keyNode.token, to: &output)
      output.append(UInt8(ascii: ":"))
      member.value.appendCanonical(to: &output)
    }
    output.append(UInt8(ascii: "}"))
  }

  private func sortedMembers() -> [JSONMember] {
    let members = Array(self.members)
    guard members.count > 1 else { return members }
    if token.isEscaped {
      return members.map { (key: $0.keyNode.stringBytes ?? [], member: $0) }
        .sorted { $0.key.lexicographicallyPrecedes($1.key) }
        .map(\.member)
    }
    return members.sorted { first, second in
      first.keyNode.withContent(first.keyNode.token) { key in
        second.keyNode.withContent(second.keyNode.token) { key.lexicographicallyPrecedes($0) }
      }
    }
  }

  private func appendString(_ token: JSONToken, to output: inout [UInt8]) {
    output.append(UInt8(ascii: "\""))
    withContent(token) { JSONText.appendEscaped($0, to: &output) }
    output.append(UInt8(ascii: "\""))
  }
}
