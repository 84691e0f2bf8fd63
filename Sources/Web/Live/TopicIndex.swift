// SPDX-License-Identifier: Apache-2.0
// Which groups an event may concern, without asking all of them.
import Domain
import Engine

struct TopicIndex {
  typealias Groups = [ObjectIdentifier: LiveGroup]

  private var byTask: [TaskID: Groups] = [:]
  private var byLogs: [TaskID: Groups] = [:]
  /// Those with filters, whatever else they watch.
  private var filtered: Groups = [:]
  private var overview: Groups = [:]
  private var agents: Groups = [:]

  mutating func insert(_ group: LiveGroup) { set(group, for: group) }
  mutating func remove(_ group: LiveGroup) { set(nil, for: group) }

  private mutating func set(_ value: LiveGroup?, for group: LiveGroup) {
    let key = ObjectIdentifier(group)
    let topics = group.topics
    if topics.hasOverview { overview[key] = value }
    if topics.hasAgents { agents[key] = value }
    if topics.filters.isEmpty {
      for id in topics.tasks { Self.set(value, key, in: &byTask, id) }
    } else {
      filtered[key] = value
    }
    for id in topics.logs { Self.set(value, key, in: &byLogs, id) }
  }

  private static func set(
    _ value: LiveGroup?, _ key: ObjectIdentifier, in index: inout [TaskID: Groups], _ id: TaskID
  ) {
    index[id, default: [:]][key] = value
    if index[id]?.isEmpty == true { index[id] = nil }
  }

  func forEachGroup(concernedBy event: LiveEvent, _ body: (LiveGroup) -> Void) {
    switch event.body {
    case .overview: for group in overview.values { body(group) }
    case .agent: for group in agents.values { body(group) }
    case .log(let id, _): if let groups = byLogs[id] { for group in groups.values { body(group) } }
    case .task(let change):
      if let groups = byTask[change.id] { for group in groups.values { body(group) } }
      for group in filtered.values { body(group) }
    }
  }
}
