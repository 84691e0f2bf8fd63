// SPDX-License-Identifier: Apache-2.0
// What a handler knows of its task, and how it tells of its work.

import Domain

/// Handed to every handler.
///
/// When the task is cancelled, its time is over or its lease is lost, the handler's Swift task is
/// cancelled: let `CancellationError` through, or look at `Task.isCancelled`.
public struct TaskContext: Sendable {
  public let dispatch: Dispatch
  private let attempt: AttemptProgress

  init(_ attempt: AttemptProgress) {
    self.attempt = attempt
    dispatch = attempt.dispatch
  }

  public var taskID: String { dispatch.taskID }
  public var type: String { dispatch.type }

  /// W3C trace context of this attempt: pass it on to what the handler calls.
  public var traceparent: String? { dispatch.traceparent }

  /// Why the attempt was called off; nil while it shall go on.
  public var callOff: CallOff? { attempt.callOff }

  /// Reports progress; returns at once. Reports are sent as fast as the network takes them, the
  /// latest wins.
  public func progress(_ percent: Double, _ message: String? = nil) {
    attempt.progress(percent, message)
  }

  /// Reports what is being done.
  public func message(_ message: String) {
    attempt.progress(nil, message)
  }

  /// Adds a line to the task's log; returns at once.
  ///
  /// - Parameter metadata: a JSON object.
  public func log(
    _ message: String, level: TaskLogLevel = .info, metadata: JSONText? = nil
  ) {
    attempt.log(message, level, metadata)
  }
}
