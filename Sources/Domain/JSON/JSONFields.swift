// SPDX-License-Identifier: Apache-2.0
// Takes an object apart into known fields, with errors that name the field.

/// What to do with members that are not among the allowed ones.
package enum UnknownFields: Sendable {
  case reject, ignore
}

/// An object with known fields.
///
/// For an optional field `null` counts as absent; for a required one it counts as missing.
package struct JSONFields: Sendable {
  package let node: JSONNode
  /// Where the object stands, as `retry`; empty for the top level.
  package let path: String

  /// Fails if `node` is not an object or, unless unknown fields are ignored, if it has a member
  /// that is not in `allowed`.
  package init(
    _ node: JSONNode, path: String = "", allowed: [StaticString],
    unknown: UnknownFields = .reject
  ) throws(FieldError) {
    guard node.kind == .object else {
      throw FieldError(kind: .wrongType, path: path, message: "An object was expected.")
    }
    self.node = node
    self.path = path
    guard unknown == .reject,
      let stranger = node.tape.firstKey(notIn: allowed, inObject: node.index)
    else { return }
    let key = JSONNode(tape: node.tape, index: stranger).stringValue ?? ""
    let known = allowed.map(\.description).joined(separator: ", ")
    throw FieldError(
      kind: .unknown, path: JSONPath.member(key, of: path),
      message: "This field is not known here. Known are: \(known).")
  }

  // MARK: Looking up

  /// The member's value, `null` included; nil if it is absent.
  package func node(_ name: StaticString) -> JSONNode? {
    find(name).map { JSONNode(tape: node.tape, index: $0) }
  }

  /// The member's value; nil if it is absent or null.
  package func optional(_ name: StaticString) -> JSONNode? {
    guard let index = find(name), node.tape.tokens[index].kind != .null else { return nil }
    return JSONNode(tape: node.tape, index: index)
  }

  private func find(_ name: StaticString) -> Int? {
    node.tape.value(of: name.utf8Buffer, inObject: node.index)
  }

  /// The member's value; fails if it is absent or null.
  package func required(_ name: StaticString) throws(FieldError) -> JSONNode {
    guard let value = optional(name) else {
      throw error(name, .missing, "This field is required.")
    }
    return value
  }

  /// The path of member `name`.
  package func path(_ name: StaticString) -> String {
    JSONPath.member(name.description, of: path)
  }

  /// An error about member `name`, for rules that this type does not know.
  package func error(
    _ name: StaticString, _ kind: FieldError.Kind, _ message: String
  ) -> FieldError {
    FieldError(kind: kind, path: path(name), message: message)
  }

  // MARK: Scalars

  /// `bytes` bounds the length in UTF-8.
  package func string(
    _ name: StaticString, bytes: ClosedRange<Int> = 0...Int.max
  ) throws(FieldError) -> String {
    try string(required(name), name, bytes)
  }

  package func optionalString(
    _ name: StaticString, bytes: ClosedRange<Int> = 0...Int.max
  ) throws(FieldError) -> String? {
    guard let value = optional(name) else { return nil }
    return try string(value, name, bytes)
  }

  package func int(
    _ name: StaticString, in range: ClosedRange<Int> = Int.min...Int.max
  ) throws(FieldError) -> Int {
    try int(required(name), name, range)
  }

  package func optionalInt(
    _ name: StaticString, in range: ClosedRange<Int> = Int.min...Int.max
  ) throws(FieldError) -> Int? {
    guard let value = optional(name) else { return nil }
    return try int(value, name, range)
  }

  package func optionalDouble(
    _ name: StaticString, in range: ClosedRange<Double>
  ) throws(FieldError) -> Double? {
    guard let value = optional(name) else { return nil }
    guard let number = value.doubleValue else {
      throw error(name, .wrongType, "A number was expected.")
    }
    guard range.contains(number) else {
      throw error(
        name, .outOfRange, "Must be between \(range.lowerBound) and \(range.upperBound).")
    }
    return number
  }

  package func bool(_ name: StaticString) throws(FieldError) -> Bool {
    try bool(required(name), name)
  }

  package func optionalBool(_ name: StaticString) throws(FieldError) -> Bool? {
    guard let value = optional(name) else { return nil }
    return try bool(value, name)
  }

  /// One of the raw values of `Choice`.
  package func choice<Choice: RawRepresentable & CaseIterable>(
    _ name: StaticString, of _: Choice.Type = Choice.self
  ) throws(FieldError) -> Choice where Choice.RawValue == String {
    try choice(required(name), name)
  }

  package func optionalChoice<Choice: RawRepresentable & CaseIterable>(
    _ name: StaticString, of _: Choice.Type = Choice.self
  ) throws(FieldError) -> Choice? where Choice.RawValue == String {
    guard let value = optional(name) else { return nil }
    return try choice(value, name)
  }

  /// An RFC 3339 time.
  package func optionalTimestamp(_ name: StaticString) throws(FieldError) -> Timestamp? {
    guard let value = optional(name) else { return nil }
    guard value.kind == .string else {
      throw error(name, .wrongType, "A time in a string was expected.")
    }
    guard let time = value.withContent(value.token, Timestamp.init(rfc3339:)) else {
      throw error(
        name, .invalid, "An RFC 3339 time such as 2026-01-13T17:05:00.000Z was expected.")
    }
    return time
  }

  // MARK: Checks

  private func string(
    _ value: JSONNode, _ name: StaticString, _ bytes: ClosedRange<Int>
  ) throws(FieldError) -> String {
    guard let text = value.stringValue else {
      throw error(name, .wrongType, "A string was expected.")
    }
    guard bytes.contains(text.utf8.count) else {
      throw error(name, .outOfRange, Self.bounds(bytes, "bytes of UTF-8"))
    }
    return text
  }

  private func int(
    _ value: JSONNode, _ name: StaticString, _ range: ClosedRange<Int>
  ) throws(FieldError) -> Int {
    guard value.isInteger else {
      throw error(name, .wrongType, "A whole number was expected.")
    }
    guard let number = value.int64Value, let number = Int(exactly: number), range.contains(number)
    else { throw error(name, .outOfRange, Self.bounds(range, nil)) }
    return number
  }

  private func bool(_ value: JSONNode, _ name: StaticString) throws(FieldError) -> Bool {
    guard let answer = value.boolValue else {
      throw error(name, .wrongType, "True or false was expected.")
    }
    return answer
  }

  private func choice<Choice: RawRepresentable & CaseIterable>(
    _ value: JSONNode, _ name: StaticString
  ) throws(FieldError) -> Choice where Choice.RawValue == String {
    guard let text = value.stringValue else {
      throw error(name, .wrongType, "A string was expected.")
    }
    guard let choice = Choice.allCases.first(where: { $0.rawValue.utf8.elementsEqual(text.utf8) })
    else {
      let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
      throw error(name, .invalid, "Must be one of: \(known).")
    }
    return choice
  }

  /// "Must be between 0 and 9.", with the unit behind it.
  static func bounds(_ range: ClosedRange<Int>, _ unit: String?) -> String {
    let suffix = unit.map { " \($0)" } ?? ""
    if range.upperBound == .max {
      return range.lowerBound == .min
        ? "Must fit 64 bits." : "Must be at least \(range.lowerBound)\(suffix)."
    }
    if range.lowerBound == .min { return "Must be at most \(range.upperBound)\(suffix)." }
    return "Must be between \(range.lowerBound) and \(range.upperBound)\(suffix)."
  }
}
