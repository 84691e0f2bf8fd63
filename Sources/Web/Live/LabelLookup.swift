// SPDX-License-Identifier: Apache-2.0
// Labels of tasks, for filters that ask for them: events other than the first do not carry them.
import Domain
import Engine
import NIOCore

/// Remembers labels it has seen, and asks the store for others. Confined to its event loop.
final class LabelLookup: @unchecked Sendable {
  private static let mostKnown = 20_000
  private static let mostWaiting = 10_000

  private let hub: LiveHub
  private var known: [TaskID: [Label]] = [:]
  private var waiting: [TaskID: [() -> Void]] = [:]
  private var waitingCount = 0

  init(_ hub: LiveHub) { self.hub = hub }

  /// Calls `done` with those of `events` that the topics match, at once if their labels are known.
  func settle(
    _ events: [LiveEvent], for topics: TopicSet, on loop: any EventLoop,
    _ done: @escaping ([LiveEvent]) -> Void
  ) {
    let unknown = events.lazy.compactMap { self.unknownTask(in: $0, for: topics) }.first
    guard let unknown, waitingCount < Self.mostWaiting else {
      return done(events.filter { topics.match(self.labelled($0)) == .yes })
    }
    waitingCount += 1
    waiting[unknown, default: []].append { self.settle(events, for: topics, on: loop, done) }
    if waiting[unknown]?.count == 1 { fetch(unknown, on: loop) }
  }

  private func unknownTask(in event: LiveEvent, for topics: TopicSet) -> TaskID? {
    guard topics.match(event) == .dependsOnLabels, case .task(let change) = event.body else {
      return nil
    }
    return known[change.id] == nil ? change.id : nil
  }

  private func labelled(_ event: LiveEvent) -> LiveEvent {
    guard case .task(var change) = event.body, change.labels == nil else { return event }
    change.labels = known[change.id]
    return LiveEvent(number: event.number, time: event.time, body: .task(change))
  }

  private func fetch(_ id: TaskID, on loop: any EventLoop) {
    let hub = hub
    Task {
      let labels = await hub.labels(of: id)
      loop.execute { self.learn(id, labels) }
    }
  }

  private func learn(_ id: TaskID, _ labels: [Label]) {
    if known.count >= Self.mostKnown { known.removeAll() }
    known[id] = labels
    let resumed = waiting.removeValue(forKey: id) ?? []
    waitingCount -= resumed.count
    for body in resumed { body() }
  }
}
