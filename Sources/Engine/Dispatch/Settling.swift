// SPDX-License-Identifier: Apache-2.0
// Ends attempts: decide, commit, then free what they held.
package import Domain
import Logging
import Synchronization

extension Engine {
  /// A report of a running attempt, and what it will make of the task.
  package struct Settling: Sendable {
    package var task: RunningTask
    package var report: Report
    package var reporter: AgentID?
    package var signedID: String?

    package init(
      task: RunningTask, report: Report, reporter: AgentID?, signedID: String? = nil
    ) {
      self.task = task
      self.report = report
      self.reporter = reporter
      self.signedID = signedID
    }
  }

  /// Settles a batch in one commit. Nil where the attempt was not current any more.
  package func settle(_ batch: [Settling]) async throws(StoreError) -> [Settlement?] {
    let now = world.now()
    let settlements = batch.map { decide($0.report, of: $0.task, now: now) }
    let requests = zip(batch, settlements).map { item, settlement in
      SettleRequest(
        id: item.task.id, attempt: item.task.attempt, settlement: settlement,
        report: item.report, reporter: item.reporter, signedID: item.signedID, now: now)
    }
    let results = try await timed(.settle) { () throws(StoreError) in
      try await store.settle(requests)
    }
    let applied = core.withLock { core in
      zip(batch, zip(requests, results)).map { item, pair -> Settlement? in
        let (request, result) = pair
        guard result == .applied else { return nil }
        let isQueued = core.settled(
          request.id, attempt: request.attempt, request.settlement, now: now)
        if isQueued || request.settlement.state.isEnd {
          announce(item, request.settlement, core)
        }
        return request.settlement
      }
    }
    meter(batch, applied, now: now)
    trace(batch, applied, now: now)
    for (request, settlement) in zip(requests, applied) where settlement?.state.isEnd == true {
      waiters.wake(request.id, ())
    }
    kick()
    return applied
  }

  private func meter(_ batch: [Settling], _ applied: [Settlement?], now: Timestamp) {
    let settled = core.withLock { core in
      zip(batch, applied).compactMap { item, settlement -> Meters.Settled? in
        guard let settlement else { return nil }
        return Meters.Settled(
          type: core.demand(item.task.demand)?.type ?? Family<UInt64>.other, agent: item.task.agent,
          status: settlement.partial ? "partial" : item.report.status.name,
          took: now.milliseconds(since: item.task.startedAt), isEnd: settlement.state.isEnd)
      }
    }
    meters.settled(settled)
  }

  private func decide(_ report: Report, of task: RunningTask, now: Timestamp) -> Settlement {
    var settlement = Settlement.decide(
      status: report.status, retryable: report.retryable, retryAfter: report.retryAfter,
      failures: task.failures, retry: task.retry, now: now, chance: world.chance())
    if report.errorCode == Lapsed.lease, settlement.state == .queued { settlement.notBefore = nil }
    return settlement
  }

  /// Settles what nobody will report again: tries until it is stored or no longer current.
  func settleSurely(_ task: RunningTask, _ report: Report, reporter: AgentID?) async {
    var wait: Int64 = 100
    while core.withLock({ $0.runningTask(task.id)?.attempt == task.attempt }) {
      do {
        _ = try await settle([Settling(task: task, report: report, reporter: reporter)])
        return
      } catch {
        logger.error(
          "a result could not be stored yet",
          metadata: task.logged(["error": "\(error)"]))
      }
      do { try await world.sleep(wait) } catch { return }
      wait = min(wait * 2, 5_000)
    }
  }
}

/// Error codes of attempts that the control plane ended by time.
enum Lapsed {
  static let lease = "LEASE_EXPIRED"
  static let timeout = "TIMEOUT"
  static let deadline = "DEADLINE_EXCEEDED"
}

extension Report {
  /// A failure that the control plane reports itself.
  package static func failure(code: String, message: String, retryable: Bool? = nil) -> Report {
    var report = Report(status: .failure)
    report.errorCode = code
    report.retryable = retryable
    var writer = JSONWriter()
    writer.object {
      $0.field("code", code)
      $0.field("message", message)
      if let retryable { $0.field("retryable", retryable) }
    }
    report.error = writer.bytes
    return report
  }
}
