// SPDX-License-Identifier: Apache-2.0
// `orrery tasks watch`: one task until its end, or all tasks as they change.

import ArgumentParser
import OrreryClient

struct WatchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch", abstract: "Follow a task until it has ended, or all tasks.",
    discussion: """
      orrery tasks watch ID
      orrery tasks watch --type scrape --state failed

      Without an id each change of a task is a line, until Ctrl-C. With --json each line is JSON: \
      the task if an id is given, the event otherwise. Several values of one option are \
      alternatives; labels must all be there.
      """)

  @Argument(help: "The task's id; all tasks without one.") var id: String?
  @Option(help: "A state that tasks come to; may be repeated.") var state: [StateArgument] = []
  @Option(help: "A type; may be repeated.") var type: [String] = []
  @Option(help: "An agent that works on them; may be repeated.") var agent: [String] = []
  @Option(help: "A label, name=value; may be repeated.") var label: [PairArgument] = []
  @OptionGroup var connection: ConnectionOptions

  private var hasFilter: Bool {
    !state.isEmpty || !type.isEmpty || !agent.isEmpty || !label.isEmpty
  }

  func validate() throws {
    if id != nil, hasFilter { throw ValidationError("Give an id, or options to choose by.") }
  }

  func run() async throws {
    guard let id else { return try await watchAll() }
    let output = connection.output
    let follower = TaskFollower(client: try connection.client())
    let task = try await follower.follow(id) { task in
      if output.isJSON { output.json(task.json) }
    }
    if !output.isJSON { TaskView.show(task, output) }
    if task.state != .completed { throw ExitCode(ExitStatus.taskFailed.rawValue) }
  }

  private func watchAll() async throws {
    let output = connection.output
    let topic = LiveTopic.tasks(
      states: state.map { .init(rawValue: $0.rawValue) }, types: type, agentIDs: agent,
      labels: label.map)
    for try await event in try connection.client().events(topics: [topic]) {
      if output.isJSON {
        output.json(event.json)
      } else if event.kind == .resync {
        Terminal.error.write("Some changes were missed.\n")
      } else {
        output.line(Self.line(event))
      }
    }
  }

  private static func line(_ event: LiveEvent) -> String {
    var parts = [Figure.time(event.at) ?? "-", event.id]
    parts += [event.type ?? "-", (event.state ?? "-").padding(9)]
    if let attempt = event.attempt, attempt > 1 { parts.append("attempt \(attempt)") }
    if let agent = event.agentID { parts.append("on \(agent)") }
    if event.status == nil {
      if let percent = Figure.percent(event.progress) { parts.append(percent) }
      if let message = event.message { parts.append(message) }
    }
    if event.status == "partial" { parts.append("(partial)") }
    return TerminalText.escaped(parts.joined(separator: "  "))
  }
}
