// SPDX-License-Identifier: Apache-2.0
// A JSON value as text: payloads and results that are passed on without being taken apart.

import Domain
import Foundation

/// One JSON value, checked and kept as the bytes that it came in.
///
/// Orrery never changes a payload or a result, and neither does this library: numbers keep their
/// digits and objects their order. Use `decode(as:)` where a Swift type is wanted.
public struct JSONText: Sendable, Hashable {
  /// The UTF-8 bytes.
  public let bytes: [UInt8]

  /// `{}`
  public static let emptyObject = JSONText(checked: Array("{}".utf8))
  /// `null`
  public static let null = JSONText(checked: Array("null".utf8))

  /// Checks that `text` is exactly one JSON value (RFC 8259; no duplicate keys, no byte order
  /// mark, no U+0000).
  ///
  /// - Throws: `OrreryError` with the code `invalidJSON`.
  public init(_ text: String) throws {
    try self.init(bytes: Array(text.utf8))
  }

  /// The same for bytes.
  public init(bytes: [UInt8]) throws {
    self.init(checked: try JSONText.scan(bytes).root.rawBytes)
  }

  /// Encodes a Swift value. Dates become RFC 3339 times with milliseconds, data becomes Base64,
  /// keys are sorted.
  ///
  /// - Throws: `EncodingError`.
  public init(encoding value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.dateEncodingStrategy = .custom { date, encoder in
      var container = encoder.singleValueContainer()
      try container.encode(Timestamp(date).description)
    }
    self.init(checked: Array(try encoder.encode(value)))
  }

  package init(checked bytes: [UInt8]) {
    self.bytes = bytes
  }

  init(_ node: JSONNode) {
    bytes = node.rawBytes
  }

  /// The text.
  public var text: String { String(decoding: bytes, as: UTF8.self) }

  /// Decodes the value; times are RFC 3339.
  ///
  /// - Throws: `DecodingError`.
  public func decode<Value: Decodable>(as type: Value.Type = Value.self) throws -> Value {
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .custom { decoder in
      Date(try Timestamp(from: decoder))
    }
    return try decoder.decode(type, from: Data(bytes))
  }

  /// A document with the widest limits: answers are bounded by their bytes.
  static func scan(_ bytes: [UInt8]) throws -> JSONDocument {
    do {
      return try JSONDocument(bytes, limits: JSONText.widest)
    } catch {
      throw OrreryError(.invalidJSON, error.message)
    }
  }

  private static let widest = JSONLimits(
    maxDepth: JSONLimits.depthCeiling, maxValues: JSONLimits.valueCeiling)
}

extension JSONText: CustomStringConvertible {
  public var description: String { text }
}

extension Timestamp {
  /// Rounded to the nearest millisecond and clamped to what can be written.
  init(_ date: Date) {
    let milliseconds = (date.timeIntervalSince1970 * 1_000).rounded()
    let latest = Double(Timestamp.latest.milliseconds)
    self.init(milliseconds: Int64(min(max(milliseconds, 0), latest)))
  }
}

extension Date {
  init(_ timestamp: Timestamp) {
    self.init(timeIntervalSince1970: Double(timestamp.milliseconds) / 1_000)
  }
}

extension Duration {
  /// Whole milliseconds, rounded up, so that something is never nothing; stops at the ends.
  var wholeMilliseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000)
    if overflow { return seconds < 0 ? .min : .max }
    let rest = (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    let (sum, isOver) = product.addingReportingOverflow(rest)
    return isOver ? .max : sum
  }
}
