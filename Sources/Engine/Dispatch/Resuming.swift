// SPDX-License-Identifier: Apache-2.0
// What becomes, at the start, of attempts that were running when the last server ended.
import Domain
import Logging
import Synchronization

extension Engine {
  /// Attempts at synchronous agents whose answers went with the last server's connections.
  func putBackUnanswered() async { await putBack(held(by: .sync)) }

  /// Attempts that the last server may have claimed and never delivered.
  func heldByAsyncAgents() -> [RunningTask] {
    held(by: .async).filter { task in
      core.withLock { $0.agent(task.agent) }?.state != .disabled
    }
  }

  private func held(by answers: AnswerMode) -> [RunningTask] {
    core.withLock { core in
      core.agentRecords
        .filter { $0.isPush && $0.answers == answers }
        .flatMap { core.tasks(heldBy: $0.id) }
    }
  }

  private static let resentAtOnce = 64

  /// Hands attempts over once more, the same in every field; agents know a repeat by its id. Those
  /// that made progress were delivered and are left alone.
  func resend(_ tasks: [RunningTask]) async {
    await withTaskGroup(of: Void.self) { group in
      for (index, task) in tasks.enumerated() {
        if index >= Self.resentAtOnce { await group.next() }
        guard isOpen, !Task.isCancelled else { return }
        group.addTask { await self.resend(task) }
      }
    }
  }

  private func resend(_ task: RunningTask) async {
    do {
      guard let record = try await store.task(task.id), record.state == .running,
        record.attempt == task.attempt, record.progress == nil, let payload = record.payload,
        core.withLock({ $0.runningTask(task.id)?.attempt == task.attempt })
      else { return }
      let timeout = task.timeoutAt.milliseconds(since: task.startedAt)
      await handOver(ClaimedTask(running: task, payload: payload, timeout: timeout))
    } catch {
      logger.error(
        "an attempt could not be handed over again",
        metadata: task.logged(["error": "\(error)"]))
    }
  }
}

extension DispatchAnswer {
  /// Whether it counts even when the request was given up: a result, or nothing was delivered.
  var isDefinite: Bool {
    switch self {
    case .report, .undelivered: true
    case .accepted, .failed: false
    }
  }
}

extension Collection {
  /// Its parts of up to `count` elements, in order.
  func chunks(of count: Int) -> [SubSequence] {
    var parts: [SubSequence] = []
    var rest = self[...]
    while !rest.isEmpty {
      parts.append(rest.prefix(count))
      rest = rest.dropFirst(count)
    }
    return parts
  }
}
