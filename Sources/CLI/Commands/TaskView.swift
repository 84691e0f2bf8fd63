// SPDX-License-Identifier: Apache-2.0
// Tasks as people read them: a table of many, a page of one, the lines of a log.

import OrreryClient

enum TaskView {
  static func list(_ tasks: [TaskSnapshot], _ output: Output) {
    var table = Table([
      .init(title: "ID"), .init(title: "TYPE", isFlexible: true),
      .init(title: "STATE", isState: true), .init(title: "PRI", alignment: .right),
      .init(title: "TRY", alignment: .right), .init(title: "DONE", alignment: .right),
      .init(title: "AGENT", isFlexible: true), .init(title: "AGE", alignment: .right),
      .init(title: "", isFlexible: true),
    ])
    for task in tasks {
      table.add([
        task.id, task.type, task.state.rawValue, String(task.priority), String(task.attempt),
        Figure.percent(task.progress), task.agentID, Figure.age(task.createdAt), note(task),
      ])
    }
    output.table(table, ifEmpty: "No tasks match.")
  }

  /// What is worth knowing of a task in a list.
  private static func note(_ task: TaskSnapshot) -> String? {
    if task.state == .queued { return task.waitingFor.map { "waiting: \($0)" } }
    if let error = task.error { return error.code + (error.message.map { ": \($0)" } ?? "") }
    return task.message
  }

  static func show(_ task: TaskSnapshot, _ output: Output) {
    var state = task.state.rawValue
    if task.isPartial { state += " (partial)" }
    if let reason = task.waitingFor, task.state == .queued { state += ", waiting: \(reason)" }
    if task.needsAttention { state += ", needs attention" }
    output.fields([
      ("id", task.id), ("type", task.type), ("state", state),
      ("priority", String(task.priority)), ("attempt", String(task.attempt)),
      ("failures", task.failures > 0 ? String(task.failures) : nil),
      ("agent", task.agentID), ("progress", Figure.percent(task.progress)),
      ("message", task.message), ("key", task.key), ("idempotency key", task.idempotencyKey),
      ("labels", labels(task.labels)), ("retry of", task.retryOf),
      ("run at", Figure.time(task.runAt)), ("deadline", Figure.time(task.deadline)),
      ("created", Figure.time(task.createdAt)), ("started", Figure.time(task.startedAt)),
      ("ended", Figure.time(task.completedAt)),
      (
        "error",
        task.error.map { error in error.code + (error.message.map { ": \($0)" } ?? "") }
      ),
    ])
    output.indented("payload", task.payload)
    output.indented("results", task.results)
  }

  static func log(_ lines: [TaskLogLine], _ output: Output) {
    for line in lines {
      let time = Figure.time(line.timestamp) ?? "-"
      let level = line.level.padding(7)
      var text = TerminalText.escaped("\(time)  \(level)  \(line.message)")
      if let metadata = line.metadata, metadata != .emptyObject {
        text += "  " + TerminalText.escapedJSON(metadata.text)
      }
      output.line(text)
    }
  }

  static func labels(_ labels: [String: String]) -> String? {
    if labels.isEmpty { return nil }
    return labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
      .joined(separator: " ")
  }
}

extension String {
  /// At least `width` characters, filled with spaces.
  func padding(_ width: Int) -> String {
    self + String(repeating: " ", count: max(width - count, 0))
  }
}
