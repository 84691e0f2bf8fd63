// SPDX-License-Identifier: Apache-2.0
// What a client of `/ws` may say.
import Domain

enum WebSocketMessage {
  case auth(token: String)
  case subscribe([String], since: String?)
  case unsubscribe([String])
  case ping

  private static let longestToken = 512
  private static let longestTopic = 4_096

  init(_ node: JSONNode) throws(FieldError) {
    let fields = try JSONFields(
      node, allowed: ["type", "t", "token", "topics", "since"], unknown: .ignore)
    let name = try Self.name(fields)
    switch name {
    case "auth": self = .auth(token: try fields.string("token", bytes: 0...Self.longestToken))
    case "sub", "subscribe":
      self = .subscribe(try Self.topics(fields), since: try Self.since(fields))
    case "unsub", "unsubscribe": self = .unsubscribe(try Self.topics(fields))
    case "ping": self = .ping
    default:
      throw fields.error("type", .invalid, "Messages are auth, sub, unsub and ping.")
    }
  }

  /// `t` is short for `type`.
  private static func name(_ fields: JSONFields) throws(FieldError) -> String {
    if let name = try fields.optionalString("type", bytes: 0...16) { return name }
    if let name = try fields.optionalString("t", bytes: 0...16) { return name }
    throw fields.error("type", .missing, "This field is required.")
  }

  private static func topics(_ fields: JSONFields) throws(FieldError) -> [String] {
    let topics = try fields.optionalStrings(
      "topics", count: 0...Limits.topics, bytes: 0...longestTopic)
    guard let topics else { throw fields.error("topics", .missing, "This field is required.") }
    return topics
  }

  /// Cursors are texts; `seq`, which is a number, is taken as well.
  private static func since(_ fields: JSONFields) throws(FieldError) -> String? {
    guard let node = fields.optional("since") else { return nil }
    if let number = node.int64Value { return String(number) }
    return try fields.optionalString("since", bytes: 0...64)
  }
}
