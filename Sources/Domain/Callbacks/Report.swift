// SPDX-License-Identifier: Apache-2.0
// What an agent reports of an attempt, and the one rule of what becomes of the task.

package enum ReportStatus: Int, Sendable, CaseIterable {
  case success = 0
  case partial = 1
  case failure = 2

  package var name: String {
    switch self {
    case .success: "success"
    case .partial: "partial"
    case .failure: "failure"
    }
  }

  package init?(name: String) {
    guard let status = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = status
  }
}

/// The outcome of one attempt, from a callback, a synchronous answer or the control plane itself.
package struct Report: Sendable {
  package var status: ReportStatus
  /// The JSON object `{"data","artifacts","logs","metrics"}`, normalised.
  package var results: [UInt8]?
  /// The JSON object `{"code","message",…}`, normalised.
  package var error: [UInt8]?
  package var errorCode: String?
  package var retryable: Bool?
  /// Milliseconds.
  package var retryAfter: Int64?
  package var duration: Int64?
  package var logs: [TaskLog] = []

  package init(status: ReportStatus) { self.status = status }
}

package enum NextAction: String, Sendable { case none, retry, escalate }

/// What a report makes of a running task whose attempt is current.
package struct Settlement: Sendable, Equatable {
  package var state: TaskState
  package var partial: Bool
  package var needsAttention: Bool
  package var nextAction: NextAction
  package var failures: Int
  /// Queued again: not before this time.
  package var notBefore: Timestamp?

  /// The settlement table of the agent protocol, §4.
  ///
  /// - Parameter chance: 0 ..< 1, for the jitter.
  package static func decide(
    status: ReportStatus, retryable: Bool?, retryAfter: Int64?, failures: Int,
    retry: RetryPolicy, now: Timestamp, chance: Double
  ) -> Settlement {
    guard status == .failure else {
      return Settlement(
        state: .completed, partial: status == .partial, needsAttention: false,
        nextAction: .none, failures: failures, notBefore: nil)
    }
    let failed = failures + 1
    guard retryable ?? true, failed < retry.maxAttempts else {
      return Settlement(
        state: .failed, partial: false, needsAttention: true, nextAction: .escalate,
        failures: failed, notBefore: nil)
    }
    let backoff = retry.delay(afterFailures: failed, chance: chance)
    let delay = max(backoff, min(max(retryAfter ?? 0, 0), Limits.delayRange.upperBound))
    return Settlement(
      state: .queued, partial: false, needsAttention: false, nextAction: .retry,
      failures: failed, notBefore: now.adding(milliseconds: delay))
  }
}
