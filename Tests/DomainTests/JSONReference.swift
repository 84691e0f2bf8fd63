// SPDX-License-Identifier: Apache-2.0
// A second reader of strict JSON, slow and recursive, written from RFC 8259, to compare with.

import Foundation

#if canImport(Domain)
import Domain
#endif

/// A value as the reference reads it. Numbers keep their text, strings are unescaped.
indirect enum JSONReferenceValue {
  case null
  case bool(Bool)
  case number([UInt8])
  case string([UInt8])
  case array([JSONReferenceValue])
  case object([(key: [UInt8], value: JSONReferenceValue)])
}

/// Reads one document, nil if it is not acceptable: RFC 8259 in UTF-8, and besides no duplicate
/// keys, no U+0000, no lone surrogates, 64 levels, 100,000 values, numbers that a double reaches.
struct JSONReference {
  private let bytes: [UInt8]
  private var position = 0
  private var values = 0

  private init(_ bytes: [UInt8]) { self.bytes = bytes }

  static func read(_ bytes: [UInt8]) -> JSONReferenceValue? {
    guard String(validating: bytes, as: UTF8.self) != nil else { return nil }
    var reader = JSONReference(bytes)
    guard let value = reader.value(depth: 0) else { return nil }
    reader.space()
    return reader.position == bytes.count ? value : nil
  }

  // MARK: Parts

  private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func space() {
    while let byte = next, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
  }

  private mutating func takes(_ text: String) -> Bool {
    guard bytes[position...].starts(with: text.utf8) else { return false }
    position += text.utf8.count
    return true
  }

  private mutating func value(depth: Int) -> JSONReferenceValue? {
    space()
    values += 1
    guard let byte = next, values <= 100_000 else { return nil }
    switch byte {
    case UInt8(ascii: "{"): return depth < 64 ? object(depth: depth + 1) : nil
    case UInt8(ascii: "["): return depth < 64 ? array(depth: depth + 1) : nil
    case UInt8(ascii: "\""): return string().map(JSONReferenceValue.string)
    case UInt8(ascii: "t"): return takes("true") ? .bool(true) : nil
    case UInt8(ascii: "f"): return takes("false") ? .bool(false) : nil
    case UInt8(ascii: "n"): return takes("null") ? .null : nil
    default: return number().map(JSONReferenceValue.number)
    }
  }

  private mutating func array(depth: Int) -> JSONReferenceValue? {
    position += 1
    space()
    if takes("]") { return .array([]) }
    var elements: [JSONReferenceValue] = []
    while let element = value(depth: depth) {
      elements.append(element)
      space()
      if takes("]") { return .array(elements) }
      guard takes(",") else { return nil }
    }
    return nil
  }

  private mutating func object(depth: Int) -> JSONReferenceValue? {
    position += 1
    space()
    if takes("}") { return .object([]) }
    var members: [(key: [UInt8], value: JSONReferenceValue)] = []
    var known: Set<[UInt8]> = []
    while true {
      space()
      guard let key = string(), known.insert(key).inserted else { return nil }
      space()
      guard takes(":"), let value = value(depth: depth) else { return nil }
      members.append((key, value))
      space()
      if takes("}") { return .object(members) }
      guard takes(",") else { return nil }
    }
  }

  private static func isOfNumber(_ byte: UInt8) -> Bool {
    isdigit(Int32(byte)) != 0 || "+-.eE".utf8.contains(byte)
  }

  private mutating func number() -> [UInt8]? {
    let rest = String(decoding: bytes[position...].prefix(while: Self.isOfNumber), as: UTF8.self)
    let grammar = /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/
    guard let match = rest.prefixMatch(of: grammar) else { return nil }
    let text = Array(match.0.utf8)
    if match.3 != nil || text.count > 300 {
      guard text.count <= 1_024, strtod(String(match.0), nil).isFinite else { return nil }
    }
    position += text.count
    return text
  }

  private mutating func string() -> [UInt8]? {
    guard takes("\"") else { return nil }
    var text: [UInt8] = []
    while let byte = next {
      position += 1
      switch byte {
      case UInt8(ascii: "\""): return text
      case UInt8(ascii: "\\"):
        guard let character = escaped() else { return nil }
        text.append(contentsOf: character)
      case 0..<0x20: return nil
      default: text.append(byte)
      }
    }
    return nil
  }

  private static let simple: [Character: UInt8] = [
    "\"": 0x22, "\\": 0x5C, "/": 0x2F, "b": 0x08, "f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09,
  ]

  private mutating func escaped() -> [UInt8]? {
    guard let byte = next else { return nil }
    if let one = Self.simple[Character(UnicodeScalar(byte))] {
      position += 1
      return [one]
    }
    guard takes("u"), let unit = unit(), unit != 0 else { return nil }
    var units = [unit]
    if (0xD800...0xDBFF).contains(unit) {
      guard takes("\\u"), let low = self.unit() else { return nil }
      units.append(low)
    }
    return String(validating: units, as: UTF16.self).map { Array($0.utf8) }
  }

  private mutating func unit() -> UInt16? {
    let digits = bytes[position...].prefix(4)
    guard digits.count == 4, digits.allSatisfy({ isxdigit(Int32($0)) != 0 }) else { return nil }
    position += 4
    return UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
  }
}

// MARK: Comparing

extension JSONReference {
  /// What the scanner and the reference see differently; nil if nothing.
  static func difference(_ bytes: [UInt8]) -> String? {
    let wanted = read(bytes)
    do throws(JSONError) {
      let root = try JSONDocument(bytes).root
      guard let wanted else { return "accepted: \(bytes)" }
      return differs(root, wanted) ? "read differently: \(bytes)" : nil
    } catch {
      if (0...bytes.count).contains(error.byteOffset), wanted == nil { return nil }
      return "refused (\(error.message)): \(bytes)"
    }
  }

  private static func differs(_ node: JSONNode, _ value: JSONReferenceValue) -> Bool {
    switch value {
    case .null: return !node.isNull
    case .bool(let bool): return node.boolValue != bool
    case .string(let text): return node.stringBytes != text
    case .number(let text): return differs(node, number: text)
    case .array(let elements):
      let found = Array(node.elements)
      return node.kind != .array || node.count != elements.count || found.count != elements.count
        || zip(found, elements).contains { differs($0, $1) }
    case .object(let members):
      let found = Array(node.members)
      return node.kind != .object || node.count != members.count || found.count != members.count
        || zip(found, members).contains { member, wanted in
          member.keyNode.stringBytes != wanted.key || differs(member.value, wanted.value)
            || node[member.key]?.byteOffset != member.value.byteOffset
        }
    }
  }

  private static func differs(_ node: JSONNode, number text: [UInt8]) -> Bool {
    let string = String(decoding: text, as: UTF8.self)
    let isInteger = text.allSatisfy { isdigit(Int32($0)) != 0 || $0 == UInt8(ascii: "-") }
    return node.kind != .number || node.rawBytes != text || node.isInteger != isInteger
      || node.int64Value != (isInteger ? Int64(string) : nil)
      || node.doubleValue != strtod(string, nil)
  }
}
