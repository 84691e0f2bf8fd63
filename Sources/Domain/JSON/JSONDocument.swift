// SPDX-License-Identifier: Apache-2.0
// An accepted JSON document.

/// A document that has passed the strict scan: RFC 8259 in UTF-8, no byte order mark, no
/// duplicate keys, no U+0000, no lone surrogates, within its limits.
package struct JSONDocument: Sendable {
  let tape: JSONTape

  init(tape: JSONTape) {
    self.tape = tape
  }

  package init(_ bytes: [UInt8], limits: JSONLimits = .standard) throws(JSONError) {
    var scanner = JSONScanner(limits: limits)
    self = try scanner.scan(bytes)
  }

  package init(
    _ bytes: some Collection<UInt8>, limits: JSONLimits = .standard
  ) throws(JSONError) {
    var scanner = JSONScanner(limits: limits)
    self = try scanner.scan(bytes)
  }

  /// The document's one value.
  package var root: JSONNode { JSONNode(tape: tape, index: 0) }
}
