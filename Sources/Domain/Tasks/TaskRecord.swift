// SPDX-License-Identifier: Apache-2.0
// A stored task as people and programs see it.

/// A task with everything that is known of it. Lists leave `payload` and `results` empty.
package struct TaskRecord: Sendable {
  package var id: TaskID
  package var demand: Demand
  package var payload: [UInt8]?
  package var labels: [Label] = []
  package var priority: Int
  package var key: String?
  package var idempotencyKey: String?
  package var runAt: Timestamp?
  package var deadline: Timestamp?
  package var timeout: Int64?
  package var retry: RetryPolicy
  package var retryOf: TaskID?
  /// The trace that it was submitted in. Lists leave it empty.
  package var trace: TraceContext?

  package var state: TaskState
  package var attempt: Int
  package var failures: Int
  package var agent: AgentID?
  /// 0 … 100.
  package var progress: Double?
  package var message: String?
  package var results: [UInt8]?
  package var partial: Bool = false
  /// The JSON object of the last error, as stored.
  package var error: [UInt8]?
  package var needsAttention: Bool = false
  package var startedAt: Timestamp?
  package var completedAt: Timestamp?
  /// Queued only: not before this time, by `runAt` or backoff.
  package var notBefore: Timestamp?

  package init(
    id: TaskID, demand: Demand, priority: Int, retry: RetryPolicy, state: TaskState,
    attempt: Int, failures: Int
  ) {
    self.id = id
    self.demand = demand
    self.priority = priority
    self.retry = retry
    self.state = state
    self.attempt = attempt
    self.failures = failures
  }

  package var createdAt: Timestamp { id.createdAt }
}
