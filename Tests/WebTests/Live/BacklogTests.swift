// SPDX-License-Identifier: Apache-2.0
// What waits for a client that does not read.
import Domain
import Engine
import Testing

@testable import Web

@Suite struct BacklogTests {
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

  @Test func `only the newest of each task, in order`() {
    var backlog = Backlog()
    backlog.add([Self.event(1, task: 1), Self.event(2, task: 2), Self.event(3, task: 1)])
    backlog.add([Self.log(4, "a"), Self.log(5, "b")])
    #expect(backlog.take().map(\.number) == [2, 3, 4, 5])
    #expect(backlog.take().isEmpty)
  }

  @Test func `what only the older one says is kept`() throws {
    var backlog = Backlog()
    backlog.add([
      Self.event(1, task: 1, progress: 40), Self.event(2, task: 1, message: "m"),
      Self.event(3, task: 1, state: .cancelled, attempt: nil),
    ])
    let only = try #require(backlog.take().first)
    guard case .task(let change) = only.body else { return #expect(Bool(false), "a task") }
    #expect(change.progress == 40 && change.message == "m" && change.attempt == 1)
    #expect(change.state == .cancelled)
  }

  @Test func `another attempt begins anew`() throws {
    var backlog = Backlog()
    backlog.add([Self.event(1, task: 1, progress: 40), Self.event(2, task: 1, attempt: 2)])
    let only = try #require(backlog.take().first)
    guard case .task(let change) = only.body else { return #expect(Bool(false), "a task") }
    #expect(change.progress == nil && change.attempt == 2)
  }

  @Test func `too many things, too many bytes`() {
    var many = Backlog()
    many.add((0...UInt64(Backlog.mostEvents)).map { Self.event($0, task: Int64($0)) })
    #expect(many.isOverflown && many.take().isEmpty)
    var large = Backlog()
    let text = String(repeating: "x", count: 4_096)
    large.add((0..<300).map { Self.log($0, text) })
    #expect(large.isOverflown)
  }

  @Test func `one task that changes often never overflows`() {
    var backlog = Backlog()
    for number in 0..<UInt64(Backlog.mostEvents * 3) {
      backlog.add([Self.event(number, task: 1, message: "\(number)")])
    }
    #expect(!backlog.isOverflown && backlog.take().count == 1)
  }
}
