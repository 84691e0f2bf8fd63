// SPDX-License-Identifier: Apache-2.0
// How log lines name a running task: the same keys everywhere, so that one search finds them all.
import Domain
import Logging

extension RunningTask {
  /// `taskId`, `attempt`, `agentId`, and `traceId` if the task has a trace; and `more`.
  func logged(_ more: Logger.Metadata) -> Logger.Metadata {
    var metadata = more
    metadata["taskId"] = "\(id)"
    metadata["attempt"] = "\(attempt)"
    metadata["agentId"] = "\(agent)"
    if let trace { metadata["traceId"] = "\(trace.traceID)" }
    return metadata
  }
}
