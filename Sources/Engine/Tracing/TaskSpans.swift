// SPDX-License-Identifier: Apache-2.0
// The spans of tasks and their attempts, made when they end. Nothing here runs unless somebody
// wants spans.
import Domain
import Logging
import Synchronization

extension Engine {
  private static let saltName = "trace-salt"

  /// Drawn once for an installation, so that ids of spans stay what they are over a restart.
  static func traceSalt(_ store: any Store, _ world: World) async throws(StoreError) -> UInt64 {
    if let known = try await store.meta(saltName), known.count == 8 {
      return known.reduce(0) { $0 << 8 | UInt64($1) }
    }
    let salt = world.random()
    try await store.setMeta(
      saltName, (0..<8).map { UInt8(truncatingIfNeeded: salt >> (56 - 8 * UInt64($0))) })
    return salt
  }

  // MARK: Ends

  /// Attempts that a report ended, and the tasks that ended with them.
  func trace(_ batch: [Settling], _ applied: [Settlement?], now: Timestamp) {
    guard let spans = tracing.spans else { return }
    for (item, settlement) in zip(batch, applied) {
      guard let settlement, isTraced(item.task) else { continue }
      let status = settlement.partial ? "partial" : item.report.status.name
      let failure = item.report.status == .failure ? item.report.errorCode ?? "AGENT_ERROR" : nil
      spans.record(span(item.task, status, failure: failure, now: now))
      guard settlement.state.isEnd else { continue }
      spans.record(taskSpan(item.task, settlement.state, failure: failure, now: now))
    }
  }

  /// Attempts that nobody worked on.
  func trace(released tasks: [RunningTask], _ applied: [Bool]) {
    guard let spans = tracing.spans else { return }
    let now = world.now()
    for (task, applied) in zip(tasks, applied) where applied && isTraced(task) {
      spans.record(span(task, "released", failure: "NOT_DELIVERED", now: now))
    }
  }

  /// A running task that was cancelled, or whose deadline has passed.
  func trace(_ task: RunningTask, endedBy request: EndRequest) {
    guard let spans = tracing.spans, isTraced(task) else { return }
    let failure = request.state == .failed ? Lapsed.deadline : nil
    spans.record(span(task, request.state.name, failure: failure, now: request.now))
    spans.record(taskSpan(task, request.state, failure: failure, now: request.now))
  }

  /// Tasks that ended before an attempt began: their traces are in the store only. However many
  /// there are, they take one place among the jobs, and are left out where spans would be, too.
  func traceEndInQueue(_ request: EndRequest) {
    guard let spans = tracing.spans, spans.sampler.samplesAny else { return }
    guard spans.hasRoom, queueEnds.add(request) else { return spans.drop(1) }
    guard queueEnds.begin() else { return }
    if !inBackground({ await self.traceEndsInQueue(spans) }) { queueEnds.pause() }
  }

  private func traceEndsInQueue(_ spans: SpanRecorder) async {
    while let request = queueEnds.next() {
      guard spans.hasRoom else {
        spans.drop(1)
        continue
      }
      do throws(StoreError) { try await traceEndInQueue(request, spans) } catch {
        spans.drop(1)
        logger.debug(
          "the end of a task was not traced",
          metadata: ["taskId": "\(request.id)", "error": "\(error)"])
      }
    }
  }

  private func traceEndInQueue(
    _ request: EndRequest, _ spans: SpanRecorder
  ) async throws(StoreError) {
    guard let record = try await store.task(request.id) else { return }
    let context = tracing.task(record.id, in: record.trace)
    guard context.isSampled else { return }
    spans.record(
      Self.taskSpan(
        record.id, record.demand.type, context, parent: record.trace?.spanID, record.state,
        attempts: record.attempt,
        failure: record.state == .failed ? Lapsed.deadline : nil, now: request.now))
  }

  private func isTraced(_ task: RunningTask) -> Bool {
    tracing.task(task.id, in: task.trace).isSampled
  }

  private func type(of demand: DemandID) -> String {
    core.withLock { $0.demand(demand)?.type } ?? Family<UInt64>.other
  }

  // MARK: Spans

  private func span(
    _ task: RunningTask, _ status: String, failure: String?, now: Timestamp
  ) -> Span {
    let type = type(of: task.demand)
    var span = Span(
      "process \(type)", .consumer, context: tracing.attempt(task),
      parent: tracing.task(task.id, in: task.trace).spanID, start: task.startedAt.nanoseconds,
      end: now.nanoseconds)
    span.setMessage(type, task.id, operation: "process")
    span.set("orrery.agent.id", task.agent.text)
    span.set("orrery.attempt", task.attempt)
    span.set("orrery.status", status)
    span.fail(failure)
    return span
  }

  private func taskSpan(
    _ task: RunningTask, _ state: TaskState, failure: String?, now: Timestamp
  ) -> Span {
    Self.taskSpan(
      task.id, type(of: task.demand), tracing.task(task.id, in: task.trace),
      parent: task.trace?.spanID, state, attempts: task.attempt,
      failure: state == .failed ? failure : nil, now: now)
  }

  private static func taskSpan(
    _ id: TaskID, _ type: String, _ context: TraceContext, parent: SpanID?, _ state: TaskState,
    attempts: Int, failure: String?, now: Timestamp
  ) -> Span {
    var span = Span(
      "send \(type)", .producer, context: context, parent: parent,
      start: id.createdAt.nanoseconds, end: now.nanoseconds)
    span.setMessage(type, id, operation: "send")
    span.set("orrery.state", state.name)
    span.set("orrery.attempts", attempts)
    span.fail(failure)
    return span
  }
}

extension Span {
  /// OpenTelemetry's conventions for messaging: a type is a destination, a task is a message.
  fileprivate mutating func setMessage(_ type: String, _ id: TaskID, operation: String) {
    set("messaging.system", "orrery")
    set("messaging.operation.name", operation)
    set("messaging.operation.type", operation)
    set("messaging.destination.name", type)
    set("messaging.message.id", id.description)
  }

  fileprivate mutating func fail(_ code: String?) {
    failure = code
    set("error.type", code)
  }
}
