// SPDX-License-Identifier: Apache-2.0
// The log of events: numbers, bounds, readers that fall behind.
import Domain
import Engine
import Synchronization
import Testing

@Suite struct EventLogTests {
  private static let now = Timestamp(milliseconds: 1_700_000_000_000)

  private static func change(_ id: Int64, message: String? = nil) -> LiveEvent.Body {
    .task(
      TaskChange(
        id: TaskID(rawValue: id), type: "work", state: .running, attempt: 1, message: message))
  }

  private static func ids(_ page: EventLog.Page) -> [Int64] {
    page.events.map { event in
      guard case .task(let change) = event.body else { return -1 }
      return change.id.rawValue
    }
  }

  @Test func readersGoOnWhereTheyWere() {
    let log = EventLog(now: Self.now)
    let start = log.last
    log.append((1...5).map { Self.change($0) }, at: Self.now)
    let first = log.read(after: start, limit: 3)
    #expect(Self.ids(first) == [1, 2, 3])
    #expect(first.hasMore)
    let second = log.read(after: first.place, limit: 3)
    #expect(Self.ids(second) == [4, 5])
    #expect(!second.hasMore && second.place == log.last)
    #expect(log.read(after: log.last, limit: 3).events.isEmpty)
  }

  @Test func numbersRiseOverARestart() {
    let first = EventLog(now: Self.now)
    first.append((1...900).map { Self.change($0) }, at: Self.now)
    #expect(EventLog(now: Self.now.adding(milliseconds: 1)).last > first.last)
  }

  @Test func theOldestGiveWay() {
    let log = EventLog(now: Self.now, most: 10)
    let start = log.last
    log.append((1...15).map { Self.change($0) }, at: Self.now)
    #expect(log.read(after: start, limit: 20).isBroken)
    #expect(log.read(after: start + 4, limit: 20).isBroken)
    #expect(Self.ids(log.read(after: start + 5, limit: 20)) == Array(6...15))
  }

  @Test func bytesAreBoundedToo() {
    let log = EventLog(now: Self.now, most: 1_000, mostBytes: 1_000)
    let start = log.last
    let text = String(repeating: "x", count: 300)
    log.append((1...5).map { Self.change($0, message: text) }, at: Self.now)
    #expect(Self.ids(log.read(after: start + 2, limit: 9)) == [3, 4, 5])
    #expect(log.read(after: start + 1, limit: 9).isBroken)
  }

  @Test(arguments: [0, 1, UInt64.max])
  func strangePlacesAreGone(_ place: UInt64) {
    let log = EventLog(now: Self.now)
    log.append(Self.change(1), at: Self.now)
    #expect(log.read(after: place, limit: 9).isBroken)
  }

  @Test func listenersHearUntilTheyStop() {
    let log = EventLog(now: Self.now)
    let heard = Atomic(0)
    let number = log.listen { heard.add(1, ordering: .relaxed) }
    log.append(Self.change(1), at: Self.now)
    log.append([Self.change(2), Self.change(3)], at: Self.now)
    log.append([LiveEvent.Body](), at: Self.now)
    #expect(heard.load(ordering: .relaxed) == 2)
    log.stopListening(number)
    log.append(Self.change(4), at: Self.now)
    #expect(heard.load(ordering: .relaxed) == 2)
  }
}
