// SPDX-License-Identifier: Apache-2.0
// What waits for a client that does not read: the newest of each thing, up to a bound.
import Domain
import Engine

struct Backlog {
  private enum Entity: Hashable {
    case overview
    case agent(AgentID)
    case task(TaskID)
  }

  static let mostEvents = 2_000
  static let mostBytes = 1 << 20

  private var events: [LiveEvent] = []
  private var places: [Entity: Int] = [:]
  private var bytes = 0
  /// More came than fits: nothing is kept, and the client has to look anew.
  private(set) var isOverflown = false

  mutating func add(_ new: [LiveEvent]) {
    for event in new where !isOverflown { add(event) }
  }

  private mutating func add(_ event: LiveEvent) {
    if let entity = Self.entity(of: event), let place = places[entity] {
      bytes -= events[place].body.bytes
      events[place] = event.over(events[place])
      bytes += events[place].body.bytes
    } else {
      if let entity = Self.entity(of: event) { places[entity] = events.count }
      events.append(event)
      bytes += event.body.bytes + 100
    }
    if events.count > Self.mostEvents || bytes > Self.mostBytes { overflow() }
  }

  mutating func overflow() {
    self = Backlog()
    isOverflown = true
  }

  /// In the order of their numbers.
  mutating func take() -> [LiveEvent] {
    let taken = events.sorted { $0.number < $1.number }
    self = Backlog()
    return taken
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
    change.labels = change.labels ?? past.labels
    return LiveEvent(number: number, time: time, body: .task(change))
  }
}
