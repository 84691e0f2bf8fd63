// SPDX-License-Identifier: Apache-2.0
// Delivers reports: again and again until they are acknowledged or refused for good.

import Domain
import Logging

/// Sends the results of attempts to the control plane.
///
/// ```swift
/// let sender = try CallbackSender(url: "https://orrery.example.com", identity: identity)
/// try await sender.send(.init(.result(TaskResult(encoding: page))), for: dispatch)
/// ```
public struct CallbackSender: Sendable {
  /// How long a report is sent again before it is given up.
  public var longest: Duration = .seconds(86_400)
  let link: ControlPlaneLink
  var logger = Logger(label: "orrery.agent")

  /// - Parameters:
  ///   - url: Where the control plane is.
  ///   - usesDispatchURLs: send to the `callbackUrl` of the dispatch instead; only for dispatches
  ///     whose signature was verified.
  public init(
    url: String, identity: AgentIdentity, usesDispatchURLs: Bool = false,
    allowsInsecureHTTP: Bool = false
  ) throws {
    let address = try ServerAddress(url)
    try address.requireProtection(allowsInsecureHTTP: allowsInsecureHTTP)
    link = ControlPlaneLink(
      address: address, identity: identity, usesDispatchURLs: usesDispatchURLs)
  }

  init(link: ControlPlaneLink, logger: Logger) {
    self.link = link
    self.logger = logger
  }

  /// Sends a report until it is acknowledged.
  ///
  /// A result that the control plane refuses (too large, or not as the contract says) is
  /// reported as the failure `RESULT_REFUSED` instead, so that the task ends.
  ///
  /// - Returns: the receipt; `isAcknowledged` is false for a report that came too late.
  /// - Throws: `OrreryError` if it is refused, or given up after `longest`.
  @discardableResult
  public func send(
    _ report: AttemptReport, for dispatch: Dispatch
  ) async throws -> ReportReceipt {
    do {
      return try await deliver(report, dispatch)
    } catch let error as OrreryError {
      guard !report.isFailure, [400, 413, 422].contains(error.status) else { throw error }
      let failure = TaskFailure(
        "RESULT_REFUSED", "The control plane refused the result: \(error.description)",
        isRetryable: false)
      return try await deliver(
        AttemptReport(.failure(failure), duration: report.duration), dispatch)
    }
  }

  private func deliver(
    _ report: AttemptReport, _ dispatch: Dispatch
  ) async throws -> ReportReceipt {
    let clock = link.clock
    let messageID = clock.messageID()
    let time = Timestamp(milliseconds: clock.now())
    let body = report.body(for: dispatch, agentID: link.identity.id, at: time)
    let end = clock.uptime().saturatingAdd(longest.wholeMilliseconds)
    var failures = 0
    while true {
      do {
        return try await link.report(body, for: dispatch, messageID: messageID)
      } catch let error as OrreryError where error.isPassing {
        failures += 1
        let delay = clock.backoff(
          afterFailures: failures, base: 500, cap: 30_000, asked: error.askedDelay)
        if clock.uptime().saturatingAdd(delay) > end { throw error }
        logger.warning(
          "callback not delivered",
          metadata: ["taskId": "\(dispatch.taskID)", "error": "\(error)", "again": "\(delay) ms"])
        try await clock.sleep(delay)
      }
    }
  }
}
