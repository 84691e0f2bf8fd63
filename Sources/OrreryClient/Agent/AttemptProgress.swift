// SPDX-License-Identifier: Apache-2.0
// Sends an attempt's progress and log lines while its handler works.

import Domain
import Logging
import Synchronization

/// Collects news of one attempt and sends it, one report at a time.
final class AttemptProgress: Sendable {
  private struct State {
    var news = ProgressNews()
    var callOff: CallOff?
  }

  let dispatch: Dispatch
  private let link: ControlPlaneLink
  private let logger: Logger
  private let state = Mutex(State())
  private let wakeups: AsyncStream<Void>
  private let wake: AsyncStream<Void>.Continuation
  private let callOffs: AsyncStream<CallOff>
  private let callOffSignal: AsyncStream<CallOff>.Continuation

  /// Reports of one attempt are at least this far apart, in milliseconds.
  private static let interval: Int64 = 200

  init(dispatch: Dispatch, link: ControlPlaneLink, logger: Logger) {
    self.dispatch = dispatch
    self.link = link
    self.logger = logger
    (wakeups, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    (callOffs, callOffSignal) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1))
  }

  // MARK: The handler's side

  func progress(_ percent: Double?, _ message: String?) {
    state.withLock { state in
      if let percent, percent.isFinite { state.news.percent = percent }
      if let message { state.news.message = message }
    }
    wake.yield()
  }

  func log(_ message: String, _ level: TaskLogLevel, _ metadata: JSONText?) {
    let time = Timestamp(milliseconds: link.clock.now())
    let line = ProgressNews.Line(
      time: time, level: level, message: message, metadata: metadata)
    state.withLock { $0.news.add(line) }
    wake.yield()
  }

  // MARK: Calling off

  var callOff: CallOff? { state.withLock { $0.callOff } }

  /// Says that the attempt shall end; the first reason counts.
  func callOff(_ reason: CallOff) {
    let isFirst = state.withLock { state in
      guard state.callOff == nil else { return false }
      state.callOff = reason
      return true
    }
    if isFirst { callOffSignal.yield(reason) }
  }

  /// Returns when the attempt is called off or the calling task is cancelled.
  func waitForCallOff() async {
    for await _ in callOffs { return }
  }

  // MARK: Sending

  /// Sends what comes until `finish`.
  func run() async {
    for await _ in wakeups {
      await send()
      do {
        try await link.clock.sleep(Self.interval)
      } catch {
        return  // Cancelled: the agent stops at once.
      }
    }
    await sendRest()
  }

  /// The last reports, with a few tries: the result is waiting behind them.
  private func sendRest() async {
    var failures = 0
    while !isEmpty, callOff == nil, failures < 3 {
      if await send() { continue }
      failures += 1
      do {
        try await link.clock.sleep(
          link.clock.backoff(afterFailures: failures, base: 200, cap: 1_000))
      } catch {
        return  // Cancelled: the agent stops at once.
      }
    }
  }

  /// Lets `run` return once everything is sent.
  func finish() {
    wake.finish()
    callOffSignal.finish()
  }

  private var isEmpty: Bool { state.withLock { $0.news.isEmpty } }

  /// One report. Returns whether it arrived.
  @discardableResult
  private func send() async -> Bool {
    let time = Timestamp(milliseconds: link.clock.now())
    let news = state.withLock { $0.news.take(at: time) }
    if news.isEmpty { return true }
    do {
      if try await link.progress(dispatch, news) { callOff(.cancelled) }
      if !isEmpty { wake.yield() }
      return true
    } catch let error as OrreryError {
      logger.warning(
        "progress not delivered", metadata: ["taskId": "\(dispatch.taskID)", "error": "\(error)"])
      if error.status == 404 || error.status == 409 { callOff(.lost) }
      if error.isPassing {
        state.withLock { $0.news.putBack(news) }
        wake.yield()
      }
    } catch {
      logger.debug("progress stopped", metadata: ["taskId": "\(dispatch.taskID)"])
    }
    return false
  }
}

/// Why an attempt shall end before its handler is done.
public enum CallOff: String, Sendable {
  /// The task was cancelled.
  case cancelled
  /// The attempt's time is over.
  case timeout
  /// The lease is not ours any more.
  case lost
  /// The agent stops.
  case stopping

  var failure: TaskFailure {
    switch self {
    case .cancelled:
      TaskFailure("CANCELLED", "The task was cancelled.", isRetryable: false)
    case .timeout: TaskFailure("TIMEOUT", "The attempt did not end in time.")
    case .lost: TaskFailure("LEASE_LOST", "The lease is not this agent's any more.")
    case .stopping: TaskFailure("AGENT_STOPPED", "The agent stopped before the task was done.")
    }
  }
}
