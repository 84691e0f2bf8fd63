// SPDX-License-Identifier: Apache-2.0
// An event as JSON, the same in every door that shows events as they are.
import Domain
import Engine

extension LiveEvent {
  /// The kind, `k` on the wire.
  var kind: String {
    switch body {
    case .task: "task"
    case .agent: "agent"
    case .log: "log"
    case .overview: "overview"
    }
  }
}

extension JSONWriter {
  mutating func event(_ event: LiveEvent) {
    beginObject()
    field("k", event.kind)
    switch event.body {
    case .task(let change):
      field("id", change.id.description)
      head(event)
      self.change(change)
    case .agent(let change):
      field("id", change.id.text)
      head(event)
      self.change(change)
    case .log(let id, let line):
      field("id", id.description)
      head(event)
      log(line)
    case .overview(let json):
      field("id", "overview")
      head(event)
      raw(json)
    }
    endObject()
  }

  private mutating func head(_ event: LiveEvent) {
    field("v", Int64(clamping: event.number))
    field("at", event.time)
    key(literal: "d")
  }

  private mutating func change(_ change: TaskChange) {
    beginObject()
    field("type", change.type)
    field("state", change.state.name)
    if let attempt = change.attempt { field("attempt", attempt) }
    field(ifPresent: "agentId", change.agent?.text)
    if let progress = change.progress { field("progress", progress) }
    field(ifPresent: "message", change.message)
    field(ifPresent: "status", change.end?.status.rawValue)
    endObject()
  }

  private mutating func change(_ change: AgentChange) {
    beginObject()
    field("type", change.kind.rawValue)
    if let state = change.state { field("state", state.rawValue) } else { field("removed", true) }
    field("running", change.running)
    field("concurrency", change.concurrency)
    endObject()
  }
}
