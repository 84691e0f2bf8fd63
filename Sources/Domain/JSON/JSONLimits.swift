// SPDX-License-Identifier: Apache-2.0
// The bounds that one JSON document must keep.

/// What a JSON document may cost before it is refused.
///
/// Values beyond the hard ceilings are lowered to them, so that offsets and counts always fit
/// the tape and recursion over an accepted document is always shallow.
package struct JSONLimits: Sendable, Hashable {
  /// Deepest nesting of objects and arrays; a scalar at the top has depth 0.
  package let maxDepth: Int
  /// Most values in the document: scalars, arrays and objects, without keys.
  package let maxValues: Int
  /// Longest string or key, in bytes between its quotes as written.
  package let maxStringBytes: Int
  /// Longest document, in bytes.
  package let maxBytes: Int

  package static let standard = JSONLimits()

  package init(
    maxDepth: Int = 64, maxValues: Int = 100_000, maxStringBytes: Int = .max,
    maxBytes: Int = Self.byteCeiling
  ) {
    self.maxDepth = min(max(maxDepth, 0), Self.depthCeiling)
    self.maxValues = min(max(maxValues, 1), Self.valueCeiling)
    self.maxStringBytes = max(maxStringBytes, 0)
    self.maxBytes = min(max(maxBytes, 0), Self.byteCeiling)
  }

  package static let depthCeiling = 512
  package static let valueCeiling = 10_000_000
  package static let byteCeiling = 1 << 30
  /// Longest text of one number; no exact value needs more.
  static let numberBytes = 1_024
}
