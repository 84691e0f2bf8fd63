// SPDX-License-Identifier: Apache-2.0
// What an operator does to a task: cancel, retry, acknowledge.
package import Domain
import Synchronization

extension Engine {
  /// Ends tasks without a report, and frees or haunts what they held.
  @discardableResult
  func end(_ requests: [EndRequest]) async throws(StoreError) -> [EndResult] {
    let results = try await timed(.end) { () throws(StoreError) in
      try await store.end(requests)
    }
    for (request, result) in zip(requests, results) {
      let told = core.withLock { core in
        announce(request, result, core)
        return core.ended(request.id, result)
      }
      if let told { tell(told, request.state == .cancelled ? .cancelled : .timeout) }
      waiters.wake(request.id, ())
      switch result {
      case .wasQueued:
        meters.ended(request.state)
        traceEndInQueue(request)
      case .wasRunning(let task):
        meters.ended(request.state)
        trace(task, endedBy: request)
      case .alreadyEnded, .notFound: break
      }
    }
    kick()
    return results
  }

  /// Tells a push agent, in the background, that its attempt is over.
  func tell(_ task: RunningTask, _ reason: CancelReason) {
    guard let record = core.withLock({ $0.agent(task.agent) }), record.cancelEndpoint != nil else {
      return
    }
    let secrets = agentSecrets.active(task.agent, now: world.now())
    inBackground {
      await self.connector.cancel(task, reason: reason, on: record, secrets: secrets)
    }
  }

  /// Cancelled at once, whatever the agent does; a second time is fine.
  package func cancel(_ id: TaskID) async throws(ControlError) {
    let request = EndRequest(id: id, state: .cancelled, now: world.now())
    let results = try await stored { () throws(StoreError) in try await end([request]) }
    switch results.first {
    case .alreadyEnded(let state) where state != .cancelled:
      throw ControlError(.taskEnded, "The task has ended before: it is \(state.name).")
    case .notFound, nil: throw Engine.noSuchTask
    default: return
    }
  }

  /// What a manual retry came to.
  package enum Retried: Sendable {
    case newTask(TaskID)
    /// It was in backoff and runs now.
    case hastened
  }

  /// Of an ended task a new one; one in backoff runs now.
  ///
  /// - Parameter trace: That of the new task; nil: as the ended one's.
  package func retry(
    _ id: TaskID, in trace: TraceContext? = nil
  ) async throws(ControlError) -> Retried {
    let record = try await task(id)
    if record.state.isEnd { return .newTask(try await resubmit(record, in: trace)) }
    let now = world.now()
    guard record.state == .queued, record.failures > 0, let notBefore = record.notBefore,
      notBefore > now
    else {
      throw ControlError(
        .conflict,
        "Only an ended task or one in backoff can be retried; this one is \(record.state.name).")
    }
    let hastened = try await stored { () throws(StoreError) in
      try await store.hasten(id, at: now)
    }
    guard hastened else {
      throw ControlError(.conflict, "The task has just left its backoff.")
    }
    core.withLock { $0.hastened(id) }
    kick()
    return .hastened
  }

  private func resubmit(
    _ record: TaskRecord, in trace: TraceContext?
  ) async throws(ControlError) -> TaskID {
    let now = world.now()
    var task = NewTask(demand: record.demand, payload: record.payload ?? Array("{}".utf8))
    task.labels = record.labels
    task.priority = record.priority
    task.key = record.key
    task.timeout = record.timeout
    task.retry = record.retry
    task.deadline = record.deadline.flatMap { $0 > now ? $0 : nil }
    task.retryOf = record.id
    task.trace = trace ?? record.trace
    guard let submitted = try await submit([Submission(task: task, bodyHash: nil)]).first else {
      throw ControlError(.internalError, "The retry was not stored.")
    }
    return submitted.id
  }

  /// Clears `needsAttention`.
  package func acknowledge(_ id: TaskID) async throws(ControlError) {
    let found = try await stored { () throws(StoreError) in try await store.acknowledge(id) }
    guard found else { throw Engine.noSuchTask }
  }

  static var noSuchTask: ControlError { ControlError(.notFound, "There is no task with this id.") }
}
