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

  /// Whether an event belongs to one of the topics.
  func matches(_ event: LiveEvent) -> Bool {
    switch event.body {
    case .overview: hasOverview
    case .agent: hasAgents
    case .log(let id, _): logs.contains(id)
    case .task(let change): tasks.contains(change.id) || filters.contains { $0.matches(change) }
    }
  }
}
