// SPDX-License-Identifier: Apache-2.0
// What is left of many events for a client that could not take them one by one.
import Domain
import Engine

/// The newest event of each task, agent and of the counters; all lines of logs.
enum Newest {
  private enum Entity: Hashable {
    case overview
    case agent(AgentID)
    case task(TaskID)
  }

  /// - Parameter events: In the order of their numbers, as is the result.
  static func of(_ events: [LiveEvent]) -> [LiveEvent] {
    var kept: [LiveEvent] = []
    var places: [Entity: Int] = [:]
    for event in events {
      guard let entity = entity(of: event) else {
        kept.append(event)
        continue
      }
      if let place = places[entity] {
        kept[place] = event.over(kept[place])
      } else {
        places[entity] = kept.count
        kept.append(event)
      }
    }
    return kept.sorted { $0.number < $1.number }
  }

  /// Lines of a log replace nothing.
  private static func entity(of event: LiveEvent) -> Entity? {
    switch event.body {
    case .overview: .overview
    case .agent(let change): .agent(change.id)
    case .task(let change): .task(change.id)
    case .log: nil
    }
  }
}

extension LiveEvent {
  /// This event with what only an older one of the same task and attempt says.
  fileprivate func over(_ older: LiveEvent) -> LiveEvent {
    guard case .task(var change) = body, case .task(let past) = older.body else { return self }
    if change.attempt ?? past.attempt == past.attempt {
      change.attempt = change.attempt ?? past.attempt
      change.agent = change.agent ?? past.agent
      change.progress = change.progress ?? past.progress
      change.message = change.message ?? past.message
    }
    return LiveEvent(number: number, time: time, body: .task(change))
  }
}
