// SPDX-License-Identifier: Apache-2.0
// `orrery submit`: one task from options, or many from a file.

import ArgumentParser
import Foundation
import OrreryClient

struct SubmitCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "submit", abstract: "Submit a task, or many from a file.",
    discussion: """
      orrery submit scrape --payload '{"url":"https://example.com/"}' --wait
      orrery submit scrape --payload @request.json --priority high --label team=docs
      orrery submit --bulk tasks.ndjson
      """)

  @Argument(help: "What kind of work; an agent must list it among its capabilities.")
  var type: String?

  @Option(help: "JSON, @FILE, or - for standard input.")
  var payload: String?

  @Option(help: "0 to 9, or critical, high, medium, low.")
  var priority: PriorityArgument?

  @Option(help: "For limits and fairness per tenant, customer or host.")
  var key: String?

  @Option(help: "A label of the task, name=value; may be repeated.")
  var label: [PairArgument] = []

  @Option(help: "A capability that the agent needs besides the type; may be repeated.")
  var requires: [String] = []

  @Option(help: "A label that the agent must have, name=value; may be repeated.")
  var selector: [PairArgument] = []

  @Option(help: "The kind of agent: http, browser, cloud or wasm.")
  var agentType: String?

  @Option(help: "One key makes one task, however often it is submitted.")
  var idempotencyKey: String?

  @Option(help: "Not before this RFC 3339 time, or so long from now, as 10m.")
  var runAt: TimeArgument?

  @Option(help: "Fail if not ended by this RFC 3339 time, or so long from now, as 2h.")
  var deadline: TimeArgument?

  @Option(help: "How long one attempt may take, as 30s.")
  var timeout: DurationArgument?

  @Option(help: "Failed attempts until the task has failed for good.")
  var maxAttempts: Int?

  @Option(
    help: "Submit a file with one task as JSON in each line, all or none; - is standard input.",
    completion: .file(extensions: ["ndjson", "jsonl"]))
  var bulk: String?

  @Flag(help: "Wait until the task has ended, and show how it goes.")
  var wait = false

  @OptionGroup var connection: ConnectionOptions

  private static let longestPayload = 8 << 20
  private static let longestBulk = 64 << 20

  func validate() throws {
    if type == nil, bulk == nil { throw ValidationError("Name a type of task, or --bulk FILE.") }
    guard bulk != nil else { return }
    let others: [Any?] = [
      type, payload, priority, key, agentType, idempotencyKey, runAt, deadline, timeout,
      maxAttempts,
    ]
    let hasOthers = others.contains { $0 != nil }
    if hasOthers || !label.isEmpty || !requires.isEmpty || !selector.isEmpty {
      throw ValidationError("--bulk takes everything from the file; leave the other options out.")
    }
  }

  func run() async throws {
    let client = try connection.client()
    if let bulk { return try await submit(file: bulk, client) }
    let receipt = try await client.submit(task())
    guard wait else { return show(receipt) }
    let task = try await TaskFollower(client: client).follow(receipt.taskID)
    if connection.json {
      connection.output.json(task.json)
    } else {
      TaskView.show(task, connection.output)
    }
    if task.state != .completed { throw ExitCode(ExitStatus.taskFailed.rawValue) }
  }

  private func show(_ receipt: TaskReceipt) {
    let output = connection.output
    if output.isJSON { return output.json(receipt.json) }
    output.line(TerminalText.escaped(receipt.taskID))
    if !receipt.isNew {
      Terminal.error.write("This idempotency key was submitted before; this is its task.\n")
    }
  }

  private func task() throws -> TaskSubmission {
    var task = TaskSubmission(type: type ?? "", payload: try readPayload())
    task.priority = priority?.priority
    task.key = key
    task.labels = label.map
    task.requires = requires
    task.selector = selector.map
    task.agentType = agentType
    task.idempotencyKey = idempotencyKey
    task.runAt = runAt?.date
    task.deadline = deadline?.date
    task.timeout = timeout?.duration
    task.retry = maxAttempts.map { TaskRetry(maxAttempts: $0) }
    return task
  }

  private func readPayload() throws -> JSONText {
    guard let payload else { return .emptyObject }
    do {
      if payload != "-", !payload.hasPrefix("@") { return try JSONText(payload) }
      let path = payload == "-" ? payload : String(payload.dropFirst())
      let data = try StandardInput.read(path: path, atMost: Self.longestPayload)
      return try JSONText(bytes: Array(data))
    } catch let error as OrreryError where error.code == .invalidJSON {
      throw OrreryError(.invalidJSON, "The payload is not JSON. \(error.message)", path: "payload")
    }
  }

  private func submit(file: String, _ client: OrreryClient) async throws {
    let data = try StandardInput.read(path: file, atMost: Self.longestBulk)
    let answer = try await client.submit(ndjson: Array(data))
    let output = connection.output
    guard wait else {
      if output.isJSON { return output.json(answer.json) }
      for id in answer.taskIDs { output.line(TerminalText.escaped(id)) }
      return
    }
    let tasks = try await TaskFollower(client: client).follow(answer.taskIDs)
    for task in tasks where output.isJSON { output.json(task.json) }
    if !output.isJSON { TaskView.list(tasks, output) }
    if tasks.contains(where: { $0.state != .completed }) {
      throw ExitCode(ExitStatus.taskFailed.rawValue)
    }
  }
}
