// SPDX-License-Identifier: Apache-2.0
// The last events, numbered, for those who watch and for those who come back.
import DequeModule
package import Domain
private import Synchronization

/// A bounded log in memory: the oldest events give way to the newest. Readers keep their own place
/// and are told that there is something to read, never what.
package final class EventLog: Sendable {
  package struct Page: Sendable {
    package var events: [LiveEvent] = []
    /// Events between the reader's place and the oldest that is left are gone.
    package var isBroken = false
    /// Where the reader goes on.
    package var place: UInt64
    package var hasMore = false
  }

  private struct State {
    var events = Deque<LiveEvent>()
    var bytes = 0
    /// The number of the newest event, or of none at the start.
    var last: UInt64
    var listeners: [Int: @Sendable () -> Void] = [:]
    var nextListener = 0
  }

  private let state: Mutex<State>
  private let most: Int
  private let mostBytes: Int

  /// - Parameter now: Numbers go on from it, so that they rise over a restart as well.
  package init(now: Timestamp, most: Int = Limits.events, mostBytes: Int = Limits.eventBytes) {
    state = Mutex(State(last: UInt64(clamping: now.milliseconds) * 1_000))
    self.most = most
    self.mostBytes = mostBytes
  }

  package var last: UInt64 { state.withLock { $0.last } }

  /// Adds events and tells the listeners.
  package func append(_ bodies: some Collection<LiveEvent.Body>, at time: Timestamp) {
    guard !bodies.isEmpty else { return }
    let listeners = state.withLock { state in
      for body in bodies {
        state.last += 1
        state.bytes += body.bytes
        state.events.append(LiveEvent(number: state.last, time: time, body: body))
      }
      while state.events.count > most || state.bytes > mostBytes {
        guard let oldest = state.events.popFirst() else { break }
        state.bytes -= oldest.body.bytes
      }
      return state.listeners
    }
    for listener in listeners.values { listener() }
  }

  package func append(_ body: LiveEvent.Body, at time: Timestamp) {
    append(CollectionOfOne(body), at: time)
  }

  /// Up to `limit` events after a place.
  package func read(after place: UInt64, limit: Int) -> Page {
    state.withLock { state in
      var page = Page(place: place)
      guard place != state.last else { return page }
      let oldest = state.events.first?.number ?? state.last + 1
      guard place < state.last, place + 1 >= oldest else {
        page.isBroken = true
        page.place = state.last
        return page
      }
      let start = Int(place + 1 - oldest)
      let end = start + min(limit, state.events.count - start)
      page.events = Array(state.events[start..<end])
      page.place = place + UInt64(end - start)
      page.hasMore = page.place != state.last
      return page
    }
  }

  /// Calls `body`, on any thread and with locks of the engine held, whenever something was added,
  /// until `stopListening`.
  package func listen(_ body: @escaping @Sendable () -> Void) -> Int {
    state.withLock { state in
      state.nextListener += 1
      state.listeners[state.nextListener] = body
      return state.nextListener
    }
  }

  package func stopListening(_ number: Int) {
    state.withLock { _ = $0.listeners.removeValue(forKey: number) }
  }
}
