// SPDX-License-Identifier: Apache-2.0
// Fields that are objects and arrays.

extension JSONFields {
  /// The member as an object of any keys, for instance a payload that stays bytes.
  package func optionalObject(_ name: StaticString) throws(FieldError) -> JSONNode? {
    guard let value = optional(name) else { return nil }
    guard value.kind == .object else { throw error(name, .wrongType, "An object was expected.") }
    return value
  }

  /// The member as an object with known fields of its own.
  package func optionalFields(
    _ name: StaticString, allowed: [StaticString], unknown: UnknownFields = .reject
  ) throws(FieldError) -> JSONFields? {
    guard let value = optional(name) else { return nil }
    return try JSONFields(value, path: path(name), allowed: allowed, unknown: unknown)
  }

  /// The member as an array; `count` bounds its elements.
  package func array(
    _ name: StaticString, count: ClosedRange<Int> = 0...Int.max
  ) throws(FieldError) -> JSONNode {
    try array(required(name), name, count)
  }

  package func optionalArray(
    _ name: StaticString, count: ClosedRange<Int> = 0...Int.max
  ) throws(FieldError) -> JSONNode? {
    guard let value = optional(name) else { return nil }
    return try array(value, name, count)
  }

  /// The member as an array of strings; `count` bounds the elements, `bytes` each one's UTF-8.
  package func optionalStrings(
    _ name: StaticString, count: ClosedRange<Int> = 0...Int.max,
    bytes: ClosedRange<Int> = 0...Int.max
  ) throws(FieldError) -> [String]? {
    guard let array = try optionalArray(name, count: count) else { return nil }
    var strings: [String] = []
    strings.reserveCapacity(array.count)
    for (position, element) in array.elements.enumerated() {
      let place = JSONPath.element(position, of: path(name))
      try strings.append(Self.text(element, at: place, bytes))
    }
    return strings
  }

  /// The member as an object of strings; `count` bounds the members, `bytes` each key and value.
  package func optionalStringMap(
    _ name: StaticString, count: ClosedRange<Int> = 0...Int.max,
    bytes: ClosedRange<Int> = 0...Int.max
  ) throws(FieldError) -> [String: String]? {
    guard let object = try optionalObject(name) else { return nil }
    guard count.contains(object.count) else {
      throw error(name, .outOfRange, Self.bounds(count, "members"))
    }
    var map: [String: String] = [:]
    map.reserveCapacity(object.count)
    for member in object.members {
      let key = member.key
      let place = JSONPath.member(key, of: path(name))
      guard bytes.contains(key.utf8.count) else {
        throw FieldError(
          kind: .outOfRange, path: place, message: "Key: \(Self.bounds(bytes, "bytes of UTF-8"))")
      }
      let text = try Self.text(member.value, at: place, bytes)
      guard map.updateValue(text, forKey: key) == nil else {
        throw FieldError(
          kind: .invalid, path: place,
          message: "Two keys are the same text in different Unicode spellings.")
      }
    }
    return map
  }

  private func array(
    _ value: JSONNode, _ name: StaticString, _ count: ClosedRange<Int>
  ) throws(FieldError) -> JSONNode {
    guard value.kind == .array else { throw error(name, .wrongType, "An array was expected.") }
    guard count.contains(value.count) else {
      throw error(name, .outOfRange, Self.bounds(count, "elements"))
    }
    return value
  }

  private static func text(
    _ value: JSONNode, at place: String, _ bytes: ClosedRange<Int>
  ) throws(FieldError) -> String {
    guard let text = value.stringValue else {
      throw FieldError(kind: .wrongType, path: place, message: "A string was expected.")
    }
    guard bytes.contains(text.utf8.count) else {
      throw FieldError(
        kind: .outOfRange, path: place, message: bounds(bytes, "bytes of UTF-8"))
    }
    return text
  }
}
