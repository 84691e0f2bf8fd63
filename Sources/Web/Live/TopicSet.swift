// SPDX-License-Identifier: Apache-2.0
// All topics of one client, arranged for matching.
import Domain
import Engine

/// Clients with equal sets are served together.
struct TopicSet: Hashable {
  private(set) var all: Set<Topic> = []
  private(set) var filters: [TaskFilter] = []
  private(set) var tasks: Set<TaskID> = []
  private(set) var logs: Set<TaskID> = []
  private(set) var hasOverview = false
  private(set) var hasAgents = false

  init(_ topics: Set<Topic> = []) {
    all = topics
    for topic in topics {
      switch topic {
      case .overview: hasOverview = true
      case .agents: hasAgents = true
      case .tasks(let filter): filters.append(filter)
      case .task(let id): tasks.insert(id)
      case .logs(let id): logs.insert(id)
      }
    }
  }

  static func == (a: TopicSet, b: TopicSet) -> Bool { a.all == b.all }
  func hash(into hasher: inout Hasher) { hasher.combine(all) }

  var count: Int { all.count }

  enum Match { case no, yes, dependsOnLabels }

  /// Whether an event belongs to one of the topics.
  func match(_ event: LiveEvent) -> Match {
    switch event.body {
    case .overview: return hasOverview ? .yes : .no
    case .agent: return hasAgents ? .yes : .no
    case .log(let id, _): return logs.contains(id) ? .yes : .no
    case .task(let change):
      if tasks.contains(change.id) { return .yes }
      return match(change)
    }
  }

  private func match(_ change: TaskChange) -> Match {
    var result = Match.no
    for filter in filters where filter.matches(change) {
      guard filter.needsLabels else { return .yes }
      guard let labels = change.labels else {
        result = .dependsOnLabels
        continue
      }
      if filter.matches(labels) { return .yes }
    }
    return result
  }
}
