// SPDX-License-Identifier: Apache-2.0
// What an agent's answer to a dispatch means: the table of the agent protocol, §3.
internal import Domain
internal import Engine

/// Reads answers to one dispatch.
struct DispatchAnswerReader {
  let taskID: TaskID
  let attempt: Int
  let leaseToken: Int64
  let limits: Limits
  let now: Timestamp
  /// Whether the attempt's own deadline has passed.
  let isAttemptOver: Bool

  func answer(to exchange: Exchange) -> DispatchAnswer {
    switch exchange {
    case .unsent(let obstacle): unsent(obstacle)
    case .noAnswer(let isLate): noAnswer(isLate: isLate)
    case .answer(let status, let retryAfter, let body):
      answer(status: status, retryAfter: retryAfter, body: body)
    }
  }

  private func unsent(_ obstacle: Exchange.Obstacle) -> DispatchAnswer {
    let isOurs: Bool
    if case .cancelled = obstacle { isOurs = true } else { isOurs = false }
    return .undelivered(
      message: obstacle.sentence, countsForBreaker: !isOurs, retryAfter: nil, unhealthy: false)
  }

  private func noAnswer(isLate: Bool) -> DispatchAnswer {
    if isAttemptOver {
      return .failed(
        code: "TIMEOUT", message: "The agent did not answer before the attempt's end.",
        countsForBreaker: true)
    }
    return .failed(
      code: "NO_ANSWER",
      message: isLate
        ? "The agent did not answer in time."
        : "The agent closed the connection without an answer.",
      countsForBreaker: true)
  }

  private func answer(
    status: Int, retryAfter: String?, body: Exchange.Body
  ) -> DispatchAnswer {
    switch status {
    case 200..<300: return success(status: status, body: body)
    case 401, 403, 404, 410:
      return undelivered(status, retryAfter, countsForBreaker: true, unhealthy: true)
    case 429: return undelivered(status, retryAfter, countsForBreaker: false, unhealthy: false)
    case 503: return undelivered(status, retryAfter, countsForBreaker: true, unhealthy: false)
    case 400..<500:
      return .failed(
        code: "AGENT_REFUSED", message: "The agent answered \(status).", countsForBreaker: false)
    case 500..<600:
      return .failed(
        code: "AGENT_FAILED", message: "The agent answered \(status).", countsForBreaker: true)
    case 300..<400: return bad("The agent answered \(status); redirects are not followed.")
    default: return bad("The agent answered \(status).")
    }
  }

  private func undelivered(
    _ status: Int, _ retryAfter: String?, countsForBreaker: Bool, unhealthy: Bool
  ) -> DispatchAnswer {
    .undelivered(
      message: "The agent answered \(status).", countsForBreaker: countsForBreaker,
      retryAfter: retryAfter.flatMap { RetryAfter.milliseconds($0, now: now) },
      unhealthy: unhealthy)
  }

  // MARK: 2xx

  private func success(status: Int, body: Exchange.Body) -> DispatchAnswer {
    switch body {
    case .incomplete: return noAnswer(isLate: true)
    case .tooLarge:
      return bad("The agent's answer has more than \(Limits.dispatchAnswer) bytes.")
    case .bytes(let bytes):
      do throws(ControlError) {
        return try success(status: status, root: JSONDocument(bytes, limits: limits).root)
      } catch {
        let place = error.path.map { " (\($0))" } ?? ""
        return bad("The agent's answer was not understood. \(error.message)\(place)")
      }
    }
  }

  private func success(
    status: Int, root: JSONNode
  ) throws(ControlError) -> DispatchAnswer {
    if root["accepted"]?.boolValue == true { return .accepted }
    guard status == 200, root["status"] != nil else {
      return bad("The agent's answer holds neither \"accepted\": true nor a status.")
    }
    let parsed = try ReportParser(limits: limits).parse(
      root, receivedAt: now, isTaskKnown: true)
    guard parsed.taskID ?? taskID == taskID, parsed.attempt ?? attempt == attempt,
      parsed.leaseToken.map({ LeaseToken.matches($0, leaseToken) }) ?? true
    else { return bad("The agent answered with the result of another attempt.") }
    return .report(parsed.report)
  }

  private func bad(_ message: String) -> DispatchAnswer {
    .failed(code: "BAD_ANSWER", message: message, countsForBreaker: false)
  }
}
