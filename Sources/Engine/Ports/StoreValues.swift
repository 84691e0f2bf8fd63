// SPDX-License-Identifier: Apache-2.0
// What goes into and comes out of a store.
package import Domain
private import Synchronization

/// The store's number of a demand; small, dense, never reused.
package struct DemandID: Hashable, Sendable {
  package var rawValue: Int32
  package init(rawValue: Int32) { self.rawValue = rawValue }
}

package struct TaskInsert: Sendable {
  package var id: TaskID
  package var task: NewTask
  /// SHA-256 of the validated task with defaults; only with an idempotency key.
  package var bodyHash: [UInt8]?

  package init(id: TaskID, task: NewTask, bodyHash: [UInt8]? = nil) {
    self.id = id
    self.task = task
    self.bodyHash = bodyHash
  }
}

/// Many tasks that are stored part by part, and seen all or none.
package final class Bulk: Sendable {
  /// The ids of its tasks, and of no others; not all of them need be used.
  package let ids: ClosedRange<Int64>
  private let abandoned = Atomic<Bool>(false)

  package init(ids: ClosedRange<Int64>) {
    self.ids = ids
  }

  /// No further part will be written; `discard` follows.
  package func abandon() { abandoned.store(true, ordering: .releasing) }
  package var isAbandoned: Bool { abandoned.load(ordering: .acquiring) }
}

package enum SubmitResult: Sendable, Equatable {
  /// For each task of the batch, in order: its own id with `isNew`, or the id that its key has
  /// already.
  case stored([Stored])
  /// The index of the first task whose key was used for another body; nothing was stored.
  case conflict(index: Int)

  package struct Stored: Sendable, Equatable {
    package var id: TaskID
    package var isNew: Bool
    package var demand: DemandID
    package init(id: TaskID, isNew: Bool, demand: DemandID) {
      self.id = id
      self.isNew = isNew
      self.demand = demand
    }
  }
}

package struct ClaimRequest: Sendable {
  package var id: TaskID
  package var agent: AgentID
  package var token: Int64
  package var now: Timestamp
  /// The agent's default timeout, for tasks that give none.
  package var defaultTimeout: Int64
  /// Nil: the lease is the attempt's timeout. Milliseconds.
  package var lease: Int64?

  package init(
    id: TaskID, agent: AgentID, token: Int64, now: Timestamp, defaultTimeout: Int64, lease: Int64?
  ) {
    self.id = id
    self.agent = agent
    self.token = token
    self.now = now
    self.defaultTimeout = defaultTimeout
    self.lease = lease
  }
}

/// A task that is being run: what is needed to watch over it and to settle it.
package struct RunningTask: Sendable {
  package var id: TaskID
  package var demand: DemandID
  package var key: String?
  package var priority: Int
  package var agent: AgentID
  package var attempt: Int
  package var token: Int64
  package var failures: Int
  package var retry: RetryPolicy
  package var startedAt: Timestamp
  package var leaseUntil: Timestamp
  /// The end of this attempt by its timeout.
  package var timeoutAt: Timestamp
  /// The task's own deadline.
  package var deadline: Timestamp?
  /// The trace that the task was submitted in.
  package var trace: TraceContext?
  /// For those who watch tasks by their labels.
  package var labels: [Label]

  package init(
    id: TaskID, demand: DemandID, key: String?, priority: Int, agent: AgentID, attempt: Int,
    token: Int64, failures: Int, retry: RetryPolicy, startedAt: Timestamp,
    leaseUntil: Timestamp, timeoutAt: Timestamp, deadline: Timestamp?,
    trace: TraceContext? = nil, labels: [Label] = []
  ) {
    self.id = id
    self.demand = demand
    self.key = key
    self.priority = priority
    self.agent = agent
    self.attempt = attempt
    self.token = token
    self.failures = failures
    self.retry = retry
    self.startedAt = startedAt
    self.leaseUntil = leaseUntil
    self.timeoutAt = timeoutAt
    self.deadline = deadline
    self.trace = trace
    self.labels = labels
  }

  /// The end of the attempt, whichever comes first; a dispatch carries it.
  package var endsAt: Timestamp { deadline.map { min($0, timeoutAt) } ?? timeoutAt }
}

extension RunningTask {
  /// Whether a report that names these means this attempt; what it leaves out is not compared.
  package func isMeant(byAttempt attempt: Int?, leaseToken: String?) -> Bool {
    (attempt ?? self.attempt) == self.attempt
      && (leaseToken.map { LeaseToken.matches($0, token) } ?? true)
  }
}

/// A claim that was committed: the running task and what its agent needs besides.
package struct ClaimedTask: Sendable {
  package var running: RunningTask
  package var payload: [UInt8]
  /// Milliseconds of this attempt.
  package var timeout: Int64

  package init(running: RunningTask, payload: [UInt8], timeout: Int64) {
    self.running = running
    self.payload = payload
    self.timeout = timeout
  }
}

/// Ends an attempt by a report (an agent's, or the control plane's for timeouts and lost leases).
package struct SettleRequest: Sendable {
  package var id: TaskID
  package var attempt: Int
  package var settlement: Settlement
  package var report: Report
  /// The agent that reported; nil when the control plane ended the attempt.
  package var reporter: AgentID?
  /// The signed id of the report, to tell its repeats.
  package var signedID: String?
  package var now: Timestamp

  package init(
    id: TaskID, attempt: Int, settlement: Settlement, report: Report, reporter: AgentID?,
    signedID: String?, now: Timestamp
  ) {
    self.id = id
    self.attempt = attempt
    self.settlement = settlement
    self.report = report
    self.reporter = reporter
    self.signedID = signedID
    self.now = now
  }
}

package enum SettleResult: Sendable, Equatable {
  case applied
  /// The attempt is not current or the task has ended; nothing changed.
  case stale
}

/// What settled an attempt: repeats of it get the same answer.
package struct SettledAttempt: Sendable, Equatable {
  package var attempt: Int
  package var agent: AgentID
  /// Nil: not by report (cancelled, lease lost, timeout).
  package var status: ReportStatus?
  package var signedID: String?
  /// What the task became by it.
  package var state: TaskState

  package init(
    attempt: Int, agent: AgentID, status: ReportStatus?, signedID: String?, state: TaskState
  ) {
    self.attempt = attempt
    self.agent = agent
    self.status = status
    self.signedID = signedID
    self.state = state
  }
}

package struct RenewRequest: Sendable {
  package var id: TaskID
  package var attempt: Int
  package var leaseUntil: Timestamp
  package var progress: Double?
  package var message: String?
  package var logs: [TaskLog]

  package init(
    id: TaskID, attempt: Int, leaseUntil: Timestamp, progress: Double? = nil,
    message: String? = nil, logs: [TaskLog] = []
  ) {
    self.id = id
    self.attempt = attempt
    self.leaseUntil = leaseUntil
    self.progress = progress
    self.message = message
    self.logs = logs
  }
}

package struct ReleaseRequest: Sendable {
  package var id: TaskID
  package var attempt: Int
  /// Nil: at once.
  package var notBefore: Timestamp?

  package init(id: TaskID, attempt: Int, notBefore: Timestamp? = nil) {
    self.id = id
    self.attempt = attempt
    self.notBefore = notBefore
  }
}

package struct EndRequest: Sendable {
  package var id: TaskID
  /// `cancelled`, or `failed` (with `error`; sets `needsAttention`).
  package var state: TaskState
  package var error: [UInt8]?
  package var now: Timestamp

  package init(id: TaskID, state: TaskState, error: [UInt8]? = nil, now: Timestamp) {
    self.id = id
    self.state = state
    self.error = error
    self.now = now
  }
}

package enum EndResult: Sendable {
  /// It was queued.
  case wasQueued(demand: DemandID, labels: [Label] = [])
  /// It was running; its agent has to be told.
  case wasRunning(RunningTask)
  /// It had ended before, in this state.
  case alreadyEnded(TaskState)
  case notFound
}

/// An unfinished task as the scheduler needs it at the start.
package struct UnfinishedTask: Sendable {
  package var id: TaskID
  package var demand: DemandID
  package var key: String?
  package var priority: Int
  package var failures: Int
  package var notBefore: Timestamp?
  package var deadline: Timestamp?
  /// Set if it is running.
  package var running: RunningTask?

  package init(
    id: TaskID, demand: DemandID, key: String?, priority: Int, failures: Int,
    notBefore: Timestamp?, deadline: Timestamp?, running: RunningTask?
  ) {
    self.id = id
    self.demand = demand
    self.key = key
    self.priority = priority
    self.failures = failures
    self.notBefore = notBefore
    self.deadline = deadline
    self.running = running
  }
}

package struct TaskQuery: Sendable {
  package var limit = 50
  /// Only tasks older than this id.
  package var before: TaskID?
  package var states: [TaskState] = []
  package var type: String?
  package var agent: AgentID?
  package var labels: [Label] = []
  package var since: Timestamp?
  package var until: Timestamp?
  package var needsAttention: Bool?

  package init() {}
}

package struct TaskPage: Sendable {
  package var tasks: [TaskRecord]
  /// Where the next page goes on; nil at the end. A page may be short and still have a next one.
  package var next: TaskID?

  package init(tasks: [TaskRecord], next: TaskID?) {
    self.tasks = tasks
    self.next = next
  }
}

package struct LogPage: Sendable {
  package var lines: [TaskLog]
  package var next: Int64?

  package init(lines: [TaskLog], next: Int64?) {
    self.lines = lines
    self.next = next
  }
}

/// An agent with its sealed secrets.
package struct StoredAgent: Sendable, Equatable {
  package var record: AgentRecord
  /// Nil where the configuration names the secret.
  package var secret: [UInt8]?
  package var previousSecret: [UInt8]?
  package var previousUntil: Timestamp?

  package init(
    record: AgentRecord, secret: [UInt8]?, previousSecret: [UInt8]? = nil,
    previousUntil: Timestamp? = nil
  ) {
    self.record = record
    self.secret = secret
    self.previousSecret = previousSecret
    self.previousUntil = previousUntil
  }
}

package struct StoredToken: Sendable, Equatable {
  package var id: String
  package var name: String
  package var role: String
  /// SHA-256 of the token.
  package var hash: [UInt8]
  package var createdAt: Timestamp

  package init(id: String, name: String, role: String, hash: [UInt8], createdAt: Timestamp) {
    self.id = id
    self.name = name
    self.role = role
    self.hash = hash
    self.createdAt = createdAt
  }
}

package struct StoredSecret: Sendable, Equatable {
  package var name: String
  package var sealed: [UInt8]
  package var createdAt: Timestamp
  package var updatedAt: Timestamp

  package init(name: String, sealed: [UInt8], createdAt: Timestamp, updatedAt: Timestamp) {
    self.name = name
    self.sealed = sealed
    self.createdAt = createdAt
    self.updatedAt = updatedAt
  }
}
