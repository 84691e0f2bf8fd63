// SPDX-License-Identifier: Apache-2.0
// One attempt from its dispatch to its acknowledged report.

import Domain
import Foundation
import Logging

/// Runs a handler, keeps its time, sends its progress and delivers its report.
struct TaskExecution: Sendable {
  let attempt: AttemptProgress
  let handlers: TaskHandlers
  let sender: CallbackSender

  private var dispatch: Dispatch { attempt.dispatch }
  private var clock: SystemClock { sender.link.clock }

  private enum Event: Sendable {
    case ended(AttemptReport)
    case isOver
  }

  /// Returns when the report is acknowledged, refused or given up.
  func run() async {
    async let sending: Void = attempt.run()
    let report = await outcome()
    attempt.finish()
    await sending
    do {
      let receipt = try await sender.send(report, for: dispatch)
      if !receipt.isAcknowledged {
        sender.logger.info("report came late", metadata: ["taskId": "\(dispatch.taskID)"])
      }
    } catch {
      let level: Logger.Level = (error as? OrreryError)?.status == 409 ? .info : .error
      sender.logger.log(
        level: level, "report not accepted",
        metadata: ["taskId": "\(dispatch.taskID)", "error": "\(error)"])
    }
  }

  private func outcome() async -> AttemptReport {
    let start = clock.uptime()
    let outcome = await withTaskGroup(of: Event.self) { group in
      group.addTask { .ended(await handle()) }
      group.addTask {
        await attempt.waitForCallOff()
        return .isOver
      }
      group.addTask {
        await waitForEnd()
        return .isOver
      }
      for await event in group {
        group.cancelAll()
        if case .ended(let report) = event { return report }
      }
      return AttemptReport(.failure(CallOff.stopping.failure))
    }
    return AttemptReport(
      outcome.outcome, duration: .milliseconds(max(clock.uptime() - start, 0)))
  }

  private func handle() async -> AttemptReport {
    guard let handler = handlers[dispatch.type] else {
      let text = "This agent has no handler for tasks of this type."
      return AttemptReport(.failure(TaskFailure("UNKNOWN_TASK_TYPE", text, isRetryable: false)))
    }
    do {
      return AttemptReport(.result(try await handler(TaskContext(attempt), dispatch.payload)))
    } catch {
      // Whatever a handler throws once it is called off, the reason is the calling off.
      if let reason = attempt.callOff { return AttemptReport(.failure(reason.failure)) }
      if error is CancellationError { return AttemptReport(.failure(CallOff.stopping.failure)) }
      return AttemptReport(.failure(TaskFailure(error)))
    }
  }

  /// Calls the attempt off when its time is over.
  private func waitForEnd() async {
    do {
      try await clock.sleep(min(millisecondsLeft ?? Self.year, Self.year))
      attempt.callOff(.timeout)
    } catch {
      return  // Cancelled: the handler was done first.
    }
  }

  /// Longer than any attempt may take, and well inside what a timer can count.
  private static let year: Int64 = 31_536_000_000

  private var millisecondsLeft: Int64? {
    var left = dispatch.timeout?.wholeMilliseconds
    if let deadline = dispatch.deadline {
      let untilDeadline = Timestamp(deadline).milliseconds.saturatingAdd(-clock.now())
      left = min(left ?? .max, max(untilDeadline, 0))
    }
    return left
  }
}
