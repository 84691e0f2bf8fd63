// SPDX-License-Identifier: Apache-2.0
// What is left for a client that was too slow for all of it.
import Domain
import Engine
import Testing

@testable import Web

@Suite struct NewestTests {
  private static func event(
    _ number: UInt64, task: Int64, state: TaskState = .running, attempt: Int? = 1,
    progress: Double? = nil, message: String? = nil
  ) -> LiveEvent {
    LiveEvent(
      number: number, time: Timestamp(milliseconds: 0),
      body: .task(
        TaskChange(
          id: TaskID(rawValue: task), type: "work", state: state, attempt: attempt,
          progress: progress, message: message)))
  }

  private static func log(_ number: UInt64, _ text: String) -> LiveEvent {
    LiveEvent(
      number: number, time: Timestamp(milliseconds: 0),
      body: .log(
        TaskID(rawValue: 1),
        TaskLog(time: Timestamp(milliseconds: 0), level: .info, message: text)))
  }

  @Test func `only the newest of each task, in order, and all lines`() {
    let events = [
      Self.event(1, task: 1), Self.event(2, task: 2), Self.event(3, task: 1), Self.log(4, "a"),
      Self.log(5, "b"),
    ]
    #expect(Newest.of(events).map(\.number) == [2, 3, 4, 5])
    #expect(Newest.of([]).isEmpty)
  }

  @Test func `what only the older one says is kept`() throws {
    let only = try #require(
      Newest.of([
        Self.event(1, task: 1, progress: 40), Self.event(2, task: 1, message: "m"),
        Self.event(3, task: 1, state: .cancelled, attempt: nil),
      ]).first)
    guard case .task(let change) = only.body else { return #expect(Bool(false), "a task") }
    #expect(change.progress == 40 && change.message == "m" && change.attempt == 1)
    #expect(change.state == .cancelled)
  }

  @Test func `another attempt begins anew`() throws {
    let only = try #require(
      Newest.of([Self.event(1, task: 1, progress: 40), Self.event(2, task: 1, attempt: 2)]).first)
    guard case .task(let change) = only.body else { return #expect(Bool(false), "a task") }
    #expect(change.progress == nil && change.attempt == 2)
  }
}
