// SPDX-License-Identifier: Apache-2.0
// `orrery tasks`: find, watch and steer tasks.

import ArgumentParser
import Domain
import OrreryClient

struct TasksCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tasks", abstract: "Find, watch and steer tasks.",
    subcommands: [
      List.self, Get.self, Logs.self, WatchCommand.self, Cancel.self, Retry.self, Acknowledge.self,
    ])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List tasks.")

    @Option(help: "One state.") var state: StateArgument?
    @Option(help: "One type.") var type: String?
    @Option(help: "Tasks that this agent holds or held last.") var agent: String?
    @Option(help: "A label, name=value; may be repeated, all must match.")
    var label: [PairArgument] = []
    @Option(help: "Created at or after this RFC 3339 time.") var since: TimeArgument?
    @Option(help: "Created before this RFC 3339 time.") var until: TimeArgument?
    @Flag(help: "Failed for good and not acknowledged.") var needsAttention = false
    @Option(help: "How many at most.") var limit = 50
    @Option(help: "Go on where a page ended.") var cursor: String?
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
      if limit < 1 { throw ValidationError("--limit is at least 1.") }
    }

    func run() async throws {
      let client = try connection.client()
      var tasks: [TaskSnapshot] = []
      var next = cursor
      repeat {
        let page = try await client.taskPage(
          query, limit: min(limit - tasks.count, 200), cursor: next)
        tasks += page.elements
        if page.nextCursor == next { break }
        next = page.nextCursor
      } while tasks.count < limit && next != nil
      show(tasks, next)
    }

    private var query: TaskQuery {
      var query = TaskQuery(
        state: state.map { .init(rawValue: $0.rawValue) }, type: type)
      query.agentID = agent
      query.labels = label.map
      query.since = since?.date
      query.until = until?.date
      query.needsAttention = needsAttention ? true : nil
      return query
    }

    private func show(_ tasks: [TaskSnapshot], _ next: String?) {
      let output = connection.output
      guard !output.isJSON else {
        return output.json(JSONList.of("tasks", tasks.map(\.json), nextCursor: next))
      }
      TaskView.list(tasks, output)
      if let next { output.line("More: --cursor \(TerminalText.escaped(next))") }
    }
  }

  struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show a task with its results.")
    @Argument(help: "The task's id.") var id: String
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      let task = try await connection.client().task(id)
      let output = connection.output
      if output.isJSON { output.json(task.json) } else { TaskView.show(task, output) }
    }
  }

  struct Logs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show a task's log.")
    @Argument(help: "The task's id.") var id: String
    @Option(help: "How many lines at most.") var limit = 10_000
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      var lines: [TaskLogLine] = []
      for try await line in try connection.client().logs(of: id) {
        lines.append(line)
        if lines.count >= limit { break }
      }
      let output = connection.output
      if output.isJSON {
        output.json(JSONList.of("logs", lines.map(\.json), nextCursor: nil))
      } else if lines.isEmpty {
        output.line("The log is empty.")
      } else {
        TaskView.log(lines, output)
      }
    }
  }

  struct Cancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Cancel a task.")
    @Argument(help: "The task's id.") var id: String
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      let receipt = try await connection.client().cancel(id)
      connection.output.receipt(receipt, "\(receipt.taskID) is cancelled.")
    }
  }

  struct Retry: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a new task of an ended one, or end a backoff.")
    @Argument(help: "The task's id.") var id: String
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      let receipt = try await connection.client().retry(id)
      connection.output.receipt(
        receipt,
        receipt.isNew
          ? "\(receipt.taskID) is the new task." : "\(receipt.taskID) runs without more delay.")
    }
  }

  struct Acknowledge: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take note of a failed task: it needs no attention any more.")
    @Argument(help: "The task's id.") var id: String
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      let receipt = try await connection.client().acknowledge(id)
      connection.output.receipt(receipt, "\(receipt.taskID) is acknowledged.")
    }
  }
}

extension Output {
  fileprivate func receipt(_ receipt: TaskReceipt, _ sentence: String) {
    if isJSON { json(receipt.json) } else { line(TerminalText.escaped(sentence)) }
  }
}

/// Lists of several pages in the form of one.
enum JSONList {
  static func of(_ key: String, _ elements: [JSONText], nextCursor: String?) -> JSONText {
    var writer = JSONWriter()
    writer.object { writer in
      writer.key(key)
      writer.array { writer in
        for element in elements { writer.raw(element.bytes) }
      }
      writer.key("nextCursor")
      if let nextCursor { writer.string(nextCursor) } else { writer.null() }
    }
    return JSONText(checked: writer.bytes)
  }
}
