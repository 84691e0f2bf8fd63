// SPDX-License-Identifier: Apache-2.0
// Query parameters, checked.
import Domain
import Engine

enum QueryInt {
  static func parse(
    _ query: [String: [String]], _ name: String, in range: ClosedRange<Int>, default value: Int
  ) throws(ControlError) -> Int {
    guard let texts = query[name] else { return value }
    guard texts.count == 1, let text = texts.first, let number = Int(text),
      range.contains(number), text.utf8.allSatisfy({ (0x30...0x39).contains($0) })
    else {
      throw ControlError(
        .invalidQuery,
        "A whole number from \(range.lowerBound) to \(range.upperBound) was expected.",
        path: name)
    }
    return number
  }
}

/// `GET /api/tasks`: its filters.
enum TaskListQuery {
  static let known: Set<String> = [
    "limit", "cursor", "state", "type", "agent", "label", "since", "until", "needsAttention",
  ]

  static func parse(_ request: APIRequest) throws(ControlError) -> TaskQuery {
    let query = request.query()
    var result = TaskQuery()
    result.limit = try QueryInt.parse(
      query, "limit", in: 1...request.limits.pageSize, default: 50)
    result.before = try cursor(query)
    result.states = try states(query)
    result.type = try single(query, "type")
    result.agent = try agent(query)
    result.labels = try labels(query, limits: request.limits)
    result.since = try time(query, "since")
    result.until = try time(query, "until")
    result.needsAttention = try flag(query, "needsAttention")
    return result
  }

  private static func single(
    _ query: [String: [String]], _ name: String
  ) throws(ControlError) -> String? {
    guard let values = query[name] else { return nil }
    guard values.count == 1, let value = values.first, !value.isEmpty else {
      throw ControlError(.invalidQuery, "This parameter is given once, with a value.", path: name)
    }
    return value
  }

  private static func cursor(_ query: [String: [String]]) throws(ControlError) -> TaskID? {
    guard let text = try single(query, "cursor") else { return nil }
    guard let id = TaskID(text) else {
      throw ControlError(.invalidCursor, "Pass on a nextCursor as it came.", path: "cursor")
    }
    return id
  }

  private static func states(_ query: [String: [String]]) throws(ControlError) -> [TaskState] {
    var states: [TaskState] = []
    for text in (query["state"] ?? []).flatMap({ $0.split(separator: ",") }) {
      guard let state = TaskState(name: String(text)) else {
        let known = TaskState.allCases.map(\.name).joined(separator: ", ")
        throw ControlError(.invalidQuery, "States are: \(known).", path: "state")
      }
      states.append(state)
    }
    guard query["state"] == nil || !states.isEmpty else {
      throw ControlError(.invalidQuery, "This parameter needs a value.", path: "state")
    }
    return states
  }

  private static func agent(_ query: [String: [String]]) throws(ControlError) -> AgentID? {
    guard let text = try single(query, "agent") else { return nil }
    guard let id = AgentID(text) else {
      throw ControlError(.invalidQuery, "This is not the id of an agent.", path: "agent")
    }
    return id
  }

  private static func labels(
    _ query: [String: [String]], limits: Limits
  ) throws(ControlError) -> [Label] {
    let texts = query["label"] ?? []
    guard texts.count <= limits.labels else {
      throw ControlError(.invalidQuery, "At most \(limits.labels) labels.", path: "label")
    }
    var labels: [Label] = []
    for text in texts {
      let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, let name = parts.first, !name.isEmpty, let value = parts.last else {
        throw ControlError(.invalidQuery, "Use label=name:value.", path: "label")
      }
      labels.append(Label(String(name), String(value)))
    }
    return labels
  }

  private static func time(
    _ query: [String: [String]], _ name: String
  ) throws(ControlError) -> Timestamp? {
    guard let text = try single(query, name) else { return nil }
    guard let time = Timestamp(text) else {
      throw ControlError(
        .invalidQuery, "An RFC 3339 time such as 2026-01-13T17:05:00.000Z was expected.", path: name
      )
    }
    return time
  }

  private static func flag(
    _ query: [String: [String]], _ name: String
  ) throws(ControlError) -> Bool? {
    guard let text = try single(query, name) else { return nil }
    guard text == "true" || text == "false" else {
      throw ControlError(.invalidQuery, "Use true or false.", path: name)
    }
    return text == "true"
  }
}
