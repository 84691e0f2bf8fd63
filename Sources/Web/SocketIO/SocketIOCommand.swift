// SPDX-License-Identifier: Apache-2.0
// What clients of Socket.IO may ask for, read from their events.
import Domain

/// `subscribe` and `unsubscribe`.
enum SocketIOCommand: Equatable {
  case subscribe(SocketIOInterest, since: String?)
  case unsubscribe

  /// Tasks that one `subscribe` may name.
  private static let mostValues = 64
  /// Names of the event, and what they are called in queries.
  private static let criteria: [(name: String, criterion: String)] = [
    ("taskId", "id"), ("taskIds", "id"), ("type", "type"), ("state", "state"), ("agent", "agent"),
    ("label", "label"),
  ]

  /// Nil for an event of another name.
  init?(_ name: String, _ arguments: [JSONNode]) throws(ControlError) {
    switch name {
    case "subscribe": self = try Self.subscribe(arguments.first)
    case "unsubscribe": self = .unsubscribe
    default: return nil
    }
  }

  private static func subscribe(_ filter: JSONNode?) throws(ControlError) -> SocketIOCommand {
    guard let filter else { return .subscribe(.everything, since: nil) }
    guard filter.kind == .object else {
      throw ControlError(.invalidField, "subscribe takes an object such as {\"taskId\":\"…\"}.")
    }
    var interest = SocketIOInterest()
    var since: String?
    for member in filter.members {
      if member.key == "since" {
        since = try text(member.value, "since")
      } else {
        try add(member, to: &interest)
      }
    }
    return .subscribe(interest, since: since)
  }

  private static func add(
    _ member: JSONMember, to interest: inout SocketIOInterest
  ) throws(ControlError) {
    guard let known = criteria.first(where: { $0.name == member.key }) else {
      let names = (criteria.map(\.name) + ["since"]).joined(separator: ", ")
      throw ControlError(.unknownField, "subscribe knows: \(names).")
    }
    let values = member.value.kind == .array ? Array(member.value.elements) : [member.value]
    guard !values.isEmpty, interest.criteria.count + values.count <= mostValues else {
      throw ControlError(
        .invalidField, "subscribe takes 1 to \(mostValues) values.", path: known.name)
    }
    for value in values {
      let value = try text(value, known.name)
      interest.criteria.append(.init(name: known.criterion, value: value))
    }
  }

  private static func text(_ node: JSONNode, _ name: String) throws(ControlError) -> String {
    guard let text = node.stringValue, (1...512).contains(text.utf8.count) else {
      throw ControlError(.invalidField, "A string was expected.", path: name)
    }
    return text
  }
}
