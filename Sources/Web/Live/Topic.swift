// SPDX-License-Identifier: Apache-2.0
// What a client watches: topics by name, and the filter of the tasks' topic.
import Domain
import Engine

/// One topic as clients name it, `tasks?state=failed` or `logs:01JD…`.
enum Topic: Hashable {
  case overview
  case agents
  case tasks(TaskFilter)
  case task(TaskID)
  case logs(TaskID)

  init(_ text: String) throws(ControlError) {
    let (head, rest) = text.splitOnce(at: "?")
    let (name, id) = head.splitOnce(at: ":")
    switch (name, id, rest) {
    case ("overview", nil, nil): self = .overview
    case ("agents", nil, nil): self = .agents
    case ("tasks", nil, let query): self = .tasks(try TaskFilter(query: query ?? ""))
    case ("task", let id?, nil): self = .task(try Self.task(id))
    case ("logs", let id?, nil): self = .logs(try Self.task(id))
    default:
      throw ControlError(
        .invalidField,
        "Topics are overview, agents, tasks, tasks?state=…, task:ID and logs:ID.", path: "topics")
    }
  }

  private static func task(_ text: String) throws(ControlError) -> TaskID {
    if let id = TaskID(text) { return id }
    guard TaskID.isWellFormed(text) else {
      throw ControlError(.invalidID, "This is not the id of a task.", path: "topics")
    }
    throw ControlError(.notFound, "There is no task with this id.", path: "topics")
  }

  var text: String {
    switch self {
    case .overview: "overview"
    case .agents: "agents"
    case .tasks(let filter): filter.isEverything ? "tasks" : "tasks?\(filter.query)"
    case .task(let id): "task:\(id)"
    case .logs(let id): "logs:\(id)"
    }
  }
}

/// Which tasks a client watches. Several values of one kind are alternatives, but for labels, all
/// of which have to be there. A state is compared with what the task became.
struct TaskFilter: Hashable {
  private(set) var states: Set<TaskState> = []
  private(set) var types: Set<String> = []
  private(set) var agents: Set<String> = []
  private(set) var labels: Set<Label> = []
  private(set) var ids: Set<TaskID> = []

  static let everything = TaskFilter()
  private static let most = 64

  private init() {}

  /// From `state=a&type=b&type=c`.
  init(query: String) throws(ControlError) {
    for pair in query.split(separator: "&") {
      let (name, value) = String(pair).splitOnce(at: "=")
      guard let name = PercentEncoding.decode(name), let value, !value.isEmpty,
        let value = PercentEncoding.decode(value)
      else { throw Self.wrong }
      try add(name, value)
    }
  }

  mutating func add(_ name: String, _ value: String) throws(ControlError) {
    guard states.count + types.count + agents.count + labels.count + ids.count < Self.most,
      value.utf8.count <= 512
    else { throw Self.wrong }
    switch name {
    case "state":
      guard let state = TaskState(name: value) else { throw Self.wrong }
      states.insert(state)
    case "type": types.insert(value)
    case "agent": agents.insert(value)
    case "label":
      let (label, content) = value.splitOnce(at: ":")
      guard let content, !label.isEmpty else { throw Self.wrong }
      labels.insert(Label(label, content))
    case "id":
      guard let id = TaskID(value) else { throw Self.wrong }
      ids.insert(id)
    default: throw Self.wrong
    }
  }

  private static var wrong: ControlError {
    ControlError(
      .invalidQuery,
      "Tasks are filtered by state, type, agent, label=name:value and id, up to \(most) of them.",
      path: "topics")
  }

  var isEverything: Bool { self == .everything }

  func matches(_ change: TaskChange) -> Bool {
    (states.isEmpty || states.contains(change.state))
      && (types.isEmpty || types.contains(change.type))
      && (agents.isEmpty || change.agent.map { agents.contains($0.text) } ?? false)
      && (ids.isEmpty || ids.contains(change.id))
      && (labels.isEmpty || labels.isSubset(of: change.labels))
  }

  var query: String {
    let pairs =
      states.map { ("state", $0.name) } + types.map { ("type", $0) } + agents.map { ("agent", $0) }
      + labels.map { ("label", "\($0.name):\($0.value)") } + ids.map { ("id", "\($0)") }
    return pairs.map { "\($0)=\(PercentEncoding.encode($1))" }.sorted().joined(separator: "&")
  }
}

extension String {
  /// What stands before and after the first `separator`; nil after it if there is none.
  fileprivate func splitOnce(at separator: Character) -> (String, String?) {
    guard let index = firstIndex(of: separator) else { return (self, nil) }
    return (String(self[..<index]), String(self[self.index(after: index)...]))
  }
}
