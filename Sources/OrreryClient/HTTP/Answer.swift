// SPDX-License-Identifier: Apache-2.0
// What the server answered, as bytes and as JSON.

import Domain

/// One HTTP answer, read to its end.
struct Answer: Sendable {
  let status: Int
  /// Lower-case names.
  let headers: [(name: String, value: String)]
  let body: [UInt8]

  var isSuccess: Bool { (200..<300).contains(status) }

  func header(_ name: String) -> String? {
    headers.first { $0.name == name }?.value
  }

  /// Whole seconds of `Retry-After`; a date in it is not understood.
  var retryAfter: Int? {
    guard let text = header("retry-after"), text.utf8.count < 8 else { return nil }
    return Int(text).flatMap { $0 >= 0 ? $0 : nil }
  }

  /// The body as a JSON document.
  func json() throws(OrreryError) -> JSONNode {
    do {
      return try JSONText.scan(body).root
    } catch {
      throw badAnswer("not JSON")
    }
  }

  /// The body as a JSON object.
  func object() throws(OrreryError) -> JSONNode {
    let node = try json()
    guard node.kind == .object else { throw badAnswer("not a JSON object") }
    return node
  }

  /// The body as a problem object, if it is one.
  var problem: JSONNode? {
    do {
      return try object()
    } catch {
      return nil  // A proxy's page or nothing: the status alone says what happened.
    }
  }

  func badAnswer(_ why: String) -> OrreryError {
    var error = OrreryError(
      .badAnswer, "The server's answer is \(why); check that the address is Orrery's.")
    error.status = status
    return error
  }
}

extension JSONNode {
  /// A member that must be a string.
  func text(_ key: String) throws(OrreryError) -> String {
    guard let value = self[key]?.stringValue else {
      throw OrreryError(.badAnswer, "The server's answer has no \"\(key)\".")
    }
    return value
  }

  func date(_ key: String) -> Timestamp? {
    self[key]?.stringValue.flatMap(Timestamp.init)
  }

  func strings(_ key: String) -> [String] {
    self[key]?.elements.compactMap(\.stringValue) ?? []
  }

  func stringMap(_ key: String) -> [String: String] {
    var map: [String: String] = [:]
    guard let members = self[key]?.members else { return map }
    for member in members { map[member.key] = member.value.stringValue }
    return map
  }

  func int(_ key: String) -> Int? {
    self[key]?.int64Value.flatMap(Int.init(exactly:))
  }

  /// The member if it is there and not null.
  func present(_ key: String) -> JSONNode? {
    guard let value = self[key], !value.isNull else { return nil }
    return value
  }
}
