// SPDX-License-Identifier: Apache-2.0
// Walking the members of objects and the elements of arrays.

extension JSONNode {
  /// The members of an object, in source order; nothing for other kinds.
  package var members: JSONMembers { JSONMembers(object: self) }
  /// The elements of an array, in source order; nothing for other kinds.
  package var elements: JSONElements { JSONElements(array: self) }

  /// The member with this key, compared byte by byte; nil if there is none or this is no object.
  /// Looks at one member after another.
  package subscript(_ key: String) -> JSONNode? {
    guard kind == .object else { return nil }
    var key = key
    let found = key.withUTF8 { tape.value(of: $0, inObject: index) }
    return found.map { JSONNode(tape: tape, index: $0) }
  }

  /// The element at `position`; nil beyond the end or if this is no array.
  /// Looks at one element after another.
  package subscript(_ position: Int) -> JSONNode? {
    guard position >= 0, position < count, kind == .array else { return nil }
    var element = index + 1
    for _ in 0..<position { element = Int(tape.tokens[element].next) }
    return JSONNode(tape: tape, index: element)
  }
}

/// One member of an object.
package struct JSONMember: Sendable {
  /// The key, a string.
  package let keyNode: JSONNode
  package let value: JSONNode

  package var key: String { keyNode.stringValue ?? "" }
}

/// The members of an object.
package struct JSONMembers: Sequence, IteratorProtocol, Sendable {
  private let tape: JSONTape
  private var index: Int
  private let end: Int

  init(object: JSONNode) {
    tape = object.tape
    index = object.index + 1
    end = object.kind == .object ? Int(object.token.next) : 0
  }

  package mutating func next() -> JSONMember? {
    guard index < end else { return nil }
    let key = JSONNode(tape: tape, index: index)
    let value = JSONNode(tape: tape, index: index + 1)
    index = Int(tape.tokens[index + 1].next)
    return JSONMember(keyNode: key, value: value)
  }
}

/// The elements of an array.
package struct JSONElements: Sequence, IteratorProtocol, Sendable {
  private let tape: JSONTape
  private var index: Int
  private let end: Int

  init(array: JSONNode) {
    tape = array.tape
    index = array.index + 1
    end = array.kind == .array ? Int(array.token.next) : 0
  }

  package mutating func next() -> JSONNode? {
    guard index < end else { return nil }
    let element = JSONNode(tape: tape, index: index)
    index = Int(tape.tokens[index].next)
    return element
  }
}
