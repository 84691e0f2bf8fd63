// SPDX-License-Identifier: Apache-2.0
// The way of one client from where it is in the log to where the others are.
import Domain
import Engine

/// A client that comes back with a cursor, or that could not take what was sent, reads the log by
/// itself, a page at a time, as fast as it takes them. Nothing is kept for it meanwhile.
struct CatchUp {
  private static let pageEvents = 1_024
  private static let pageBytes = 128 << 10

  /// Up to where everything has been looked at.
  private(set) var place: UInt64
  /// What the client watched before, and up to where it has that.
  private let old: (topics: TopicSet, place: UInt64)
  /// What is new to it, and from where on it wants that.
  private let new: (topics: TopicSet, place: UInt64)
  /// It was too slow for every event: the newest of each thing will do.
  private let isLate: Bool

  /// Goes on with the same topics.
  init(late topics: TopicSet, from place: UInt64) {
    self.place = place
    old = (topics, place)
    new = (TopicSet(), place)
    isLate = true
  }

  init(
    from old: TopicSet, at oldPlace: UInt64, to topics: TopicSet, since newPlace: UInt64
  ) {
    place = min(oldPlace, newPlace)
    self.old = (TopicSet(topics.all.intersection(old.all)), oldPlace)
    new = (TopicSet(topics.all.subtracting(old.all)), newPlace)
    isLate = false
  }

  enum Page {
    case events([LiveEvent])
    /// The log does not go back so far.
    case broken
  }

  mutating func next(in log: EventLog) -> Page {
    let page = log.read(after: place, limit: Self.pageEvents)
    guard !page.isBroken else {
      place = page.place
      return .broken
    }
    var events: [LiveEvent] = []
    var bytes = 0
    for event in page.events {
      place = event.number
      guard matches(event) else { continue }
      events.append(event)
      bytes += event.body.bytes + 128
      if bytes > Self.pageBytes { break }
    }
    return .events(isLate ? Newest.of(events) : events)
  }

  private func matches(_ event: LiveEvent) -> Bool {
    event.number > old.place && old.topics.matches(event)
      || event.number > new.place && new.topics.matches(event)
  }
}
