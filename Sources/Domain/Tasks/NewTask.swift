// SPDX-License-Identifier: Apache-2.0
// A submitted task after validation, before it is stored.

/// What a caller submits, checked against `Limits` and with defaults filled in.
package struct NewTask: Sendable {
  package var demand: Demand
  /// The JSON text as it came, validated and never decoded.
  package var payload: [UInt8]
  package var labels: [Label] = []
  package var priority: Int = 5
  /// For limits and fairness per tenant, customer or host.
  package var key: String?
  package var idempotencyKey: String?
  package var runAt: Timestamp?
  package var deadline: Timestamp?
  /// Milliseconds of one attempt; nil is the agent's, else `Limits.defaultTimeout`.
  package var timeout: Int64?
  package var retry: RetryPolicy?
  package var retryOf: TaskID?
  /// The trace that it was submitted in.
  package var trace: TraceContext?

  package init(demand: Demand, payload: [UInt8]) {
    self.demand = demand
    self.payload = payload
  }
}
