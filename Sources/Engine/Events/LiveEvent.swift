// SPDX-License-Identifier: Apache-2.0
// What happened, as those who watch are told.
package import Domain

/// One change, in the order in which the scheduler learned of the commits.
package struct LiveEvent: Sendable {
  package enum Body: Sendable {
    case task(TaskChange)
    case agent(AgentChange)
    case log(TaskID, TaskLog)
    /// The counters of the whole installation, as JSON.
    case overview([UInt8])
  }

  /// Rises over all events of one server, also across restarts.
  package var number: UInt64
  package var time: Timestamp
  package var body: Body

  package init(number: UInt64, time: Timestamp, body: Body) {
    self.number = number
    self.time = time
    self.body = body
  }
}

/// What a task became. What is nil did not change.
package struct TaskChange: Sendable {
  package var id: TaskID
  package var type: String
  package var state: TaskState
  package var attempt: Int?
  package var agent: AgentID?
  /// 0 … 100.
  package var progress: Double?
  package var message: String?
  package var end: TaskEnd?
  package var labels: [Label]

  package init(
    id: TaskID, type: String, state: TaskState, attempt: Int? = nil, agent: AgentID? = nil,
    progress: Double? = nil, message: String? = nil, end: TaskEnd? = nil, labels: [Label] = []
  ) {
    self.id = id
    self.type = type
    self.state = state
    self.attempt = attempt
    self.agent = agent
    self.progress = progress
    self.message = message
    self.end = end
    self.labels = labels
  }
}

/// How a task ended; apart, as most changes are none.
package final class TaskEnd: Sendable {
  package enum Status: String, Sendable { case success, partial, failure, cancelled }

  package let status: Status
  /// JSON, as stored.
  package let results: [UInt8]?
  package let error: [UInt8]?

  package init(status: Status, results: [UInt8]? = nil, error: [UInt8]? = nil) {
    self.status = status
    self.results = results
    self.error = error
  }

  /// Of a stored task; nil if it has not ended.
  package convenience init?(_ task: TaskRecord) {
    switch task.state {
    case .completed:
      self.init(
        status: task.partial ? .partial : .success, results: task.results, error: task.error)
    case .failed: self.init(status: .failure, results: task.results, error: task.error)
    case .cancelled: self.init(status: .cancelled)
    default: return nil
    }
  }
}

/// What an agent became.
package struct AgentChange: Sendable, Equatable {
  package var id: AgentID
  package var kind: AgentKind
  /// Nil: it was removed.
  package var state: AgentState?
  package var running: Int
  package var concurrency: Int

  package init(_ view: AgentView) {
    id = view.record.id
    kind = view.record.kind
    state = view.state
    running = view.running
    concurrency = view.record.concurrency
  }
}

extension LiveEvent.Body {
  /// Memory that it holds besides its place in the log, roughly.
  package var bytes: Int {
    switch self {
    case .task(let change):
      (change.message?.utf8.count ?? 0) + (change.end?.results?.count ?? 0)
        + (change.end?.error?.count ?? 0)
        + change.labels.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 32 }
    case .agent: 0
    case .log(_, let line): line.message.utf8.count + (line.metadata?.count ?? 0)
    case .overview(let json): json.count
    }
  }
}
