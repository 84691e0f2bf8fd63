// SPDX-License-Identifier: Apache-2.0
// Topics: how they are spelled, and what belongs to them.
import Domain
import Engine
import Testing

@testable import Web

@Suite struct TopicTests {
  static let id = TaskID(rawValue: 1_764_000_000_000 << 20)

  private static func change(
    type: String = "work", state: TaskState = .running, agent: String? = "a",
    labels: [Label] = []
  ) -> LiveEvent {
    LiveEvent(
      number: 1, time: Timestamp(milliseconds: 0),
      body: .task(
        TaskChange(
          id: id, type: type, state: state, attempt: 1, agent: agent.map(AgentID.init(stored:)),
          labels: labels)))
  }

  @Test(arguments: [
    "overview", "agents", "tasks", "tasks?state=failed&type=scrape", "task:\(id)", "logs:\(id)",
    "tasks?label=team:a%20b&state=queued&type=%C3%BC%26%3D",
  ])
  func `spelled as they are read`(_ text: String) throws {
    #expect(try Topic(text).text == text)
  }

  @Test(arguments: [
    "", "task", "task:", "tasks:x", "overview?state=failed", "agents:x", "logs", "TASKS",
    "tasks?state", "tasks?state=", "tasks?state=gone", "tasks?colour=red", "tasks?label=x",
    "tasks?label=:x", "tasks?type=%zz", "tasks?type=%ff", "task:123", "tasks?id=1", "nothing",
  ])
  func `refused`(_ text: String) {
    #expect(throws: ControlError.self) { try Topic(text) }
  }

  @Test func `no more filters than fit`() {
    let query = (0..<65).map { "type=t\($0)" }.joined(separator: "&")
    #expect(throws: ControlError.self) { try Topic("tasks?\(query)") }
  }

  @Test func `a type that is too long`() {
    let type = String(repeating: "x", count: 600)
    #expect(throws: ControlError.self) { try Topic("tasks?type=\(type)") }
  }

  @Test(
    arguments: [
      ("tasks", true), ("tasks?state=running", true), ("tasks?state=failed", false),
      ("tasks?state=failed&state=running", true), ("tasks?type=work&agent=a", true),
      ("tasks?type=other", false), ("tasks?agent=b", false), ("task:\(id)", true),
      ("tasks?id=\(id)", true), ("overview", false), ("agents", false), ("logs:\(id)", false),
    ])
  func `what belongs to them`(_ text: String, _ belongs: Bool) throws {
    let topics = TopicSet([try Topic(text)])
    #expect(topics.matches(Self.change()) == belongs)
  }

  @Test func `all labels of a filter have to be there`() throws {
    let topics = TopicSet([try Topic("tasks?label=team:x&label=b:c&type=work")])
    let both = [Label("team", "x"), Label("b", "c"), Label("d", "e")]
    #expect(topics.matches(Self.change(labels: both)))
    #expect(!topics.matches(Self.change(type: "other", labels: both)))
    #expect(!topics.matches(Self.change(labels: [Label("team", "x")])))
    #expect(!topics.matches(Self.change()))
  }

  @Test(arguments: ["", "x", "-1", "1.5", "18446744073709551616", "99999999999999999999999"])
  func `what is no cursor is a place that is gone`(_ text: String) {
    #expect(Cursor.place(text) == 0)
  }
}
