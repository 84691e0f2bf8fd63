// SPDX-License-Identifier: Apache-2.0
// One request on its way, from the caller who waits to the outcome.
internal import NIOCore

/// Resumes its caller once, with whatever comes first: an answer, a fault, the deadline, or the
/// caller's own cancellation. Confined to its event loop after `init`.
final class OutboundCall: @unchecked Sendable {
  let request: OutboundClient.Request
  private let loop: any EventLoop
  private let answerTimeout: TimeAmount?
  private var continuation: CheckedContinuation<Exchange, Never>?
  private var timer: Scheduled<Void>?
  private var sentAt: NIODeadline?
  /// Answers status and Retry-After once the answer's head is there.
  private var answered: (status: Int, retryAfter: String?)?
  private(set) var isOver = false
  /// Set while a connection carries the request; closed with the call if it ends early.
  weak var connection: OutboundConnection?

  init(_ request: OutboundClient.Request, on loop: any EventLoop, answerTimeout: TimeAmount?) {
    self.request = request
    self.loop = loop
    self.answerTimeout = answerTimeout
  }

  func begin(_ continuation: CheckedContinuation<Exchange, Never>) {
    loop.assertInEventLoop()
    guard !isOver else { return continuation.resume(returning: .unsent(.cancelled)) }
    self.continuation = continuation
    startTimer()
  }

  /// The request is being handed to a connection.
  func markSent() { sentAt = .now() }

  func answer(status: Int, retryAfter: String?) { answered = (status, retryAfter) }

  /// The whole answer is there, or too much of it.
  func finish(_ body: Exchange.Body) {
    guard let answered else { return finish(.noAnswer(isLate: false)) }
    finish(.answer(status: answered.status, retryAfter: answered.retryAfter, body: body))
  }

  /// What stopped the request counts only if it was never sent.
  func fail(_ obstacle: Exchange.Obstacle) {
    if answered != nil { return finish(.incomplete) }
    finish(sentAt == nil ? .unsent(obstacle) : .noAnswer(isLate: false))
  }

  func cancel() {
    end(.cancelled, isLate: false)
  }

  // MARK: Time

  private func startTimer() {
    let end = min(request.deadline, answerTimeout.map { (sentAt ?? .now()) + $0 } ?? .distantFuture)
    timer = loop.scheduleTask(deadline: end) { self.timeIsUp() }
  }

  private func timeIsUp() {
    let now = NIODeadline.now()
    if now < request.deadline {
      guard let answerTimeout, let sentAt, sentAt + answerTimeout <= now else {
        return startTimer()
      }
    }
    end(.timeout, isLate: true)
  }

  /// Ends a call that has not got all of its answer; its connection is of no further use.
  private func end(_ obstacle: Exchange.Obstacle, isLate: Bool) {
    guard !isOver else { return }
    let connection = connection
    if answered != nil {
      finish(.incomplete)
    } else {
      finish(sentAt == nil ? .unsent(obstacle) : .noAnswer(isLate: isLate))
    }
    connection?.close()
  }

  private func finish(_ exchange: Exchange) {
    loop.assertInEventLoop()
    guard !isOver else { return }
    isOver = true
    connection = nil
    timer?.cancel()
    timer = nil
    continuation?.resume(returning: exchange)
    continuation = nil
  }
}
