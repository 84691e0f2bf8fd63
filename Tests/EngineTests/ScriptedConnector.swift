// SPDX-License-Identifier: Apache-2.0
// Push agents that answer as a test says, and remember what reached them.
import Domain
import Engine
import Synchronization

final class ScriptedConnector: AgentConnector {
  typealias Answer = @Sendable (Dispatch) async -> DispatchAnswer

  struct Cancelled: Sendable, Equatable {
    var task: TaskID
    var attempt: Int
    var reason: CancelReason
    var agent: AgentID
  }

  private struct State {
    var answer: Answer = { _ in .accepted }
    var started: [Dispatch] = []
    var secrets: [[AgentSecret]] = []
    var cancelled: [Cancelled] = []
    var isHealthy = true
    var refusesURL: String?
  }

  private let state = Mutex(State())

  /// What agents answer from now on.
  func answers(_ answer: @escaping Answer) { state.withLock { $0.answer = answer } }
  func isHealthy(_ isHealthy: Bool) { state.withLock { $0.isHealthy = isHealthy } }
  func refuses(url: String) { state.withLock { $0.refusesURL = url } }

  var started: [Dispatch] { state.withLock { $0.started } }
  var cancelled: [Cancelled] { state.withLock { $0.cancelled } }
  var lastSecrets: [AgentSecret] { state.withLock { $0.secrets.last ?? [] } }

  func started(_ id: TaskID, attempt: Int) -> Dispatch? {
    state.withLock { state in
      state.started.first { $0.task.running.id == id && $0.task.running.attempt == attempt }
    }
  }

  // MARK: AgentConnector

  func start(
    _ dispatch: Dispatch, on agent: AgentRecord, secrets: [AgentSecret]
  ) async -> DispatchAnswer {
    let answer = state.withLock { state in
      state.started.append(dispatch)
      state.secrets.append(secrets)
      return state.answer
    }
    return await answer(dispatch)
  }

  func cancel(
    _ task: RunningTask, reason: CancelReason, on agent: AgentRecord, secrets: [AgentSecret]
  ) async {
    state.withLock {
      $0.cancelled.append(
        Cancelled(task: task.id, attempt: task.attempt, reason: reason, agent: agent.id))
    }
  }

  func isHealthy(_ agent: AgentRecord) async -> Bool { state.withLock { $0.isHealthy } }

  func check(url: String, path: String, isEndpoint: Bool) async throws(ControlError) {
    guard state.withLock({ $0.refusesURL }) == url else { return }
    throw ControlError(.addressNotAllowed, "This address is not allowed.", path: path)
  }
}

/// A door that is shut until it is opened.
final class Gate: Sendable {
  private struct State {
    var isOpen = false
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())

  /// How many stand before it.
  var waiting: Int { state.withLock { $0.waiting.count } }

  func pass() async {
    await withCheckedContinuation { continuation in
      let isOpen = state.withLock { state in
        if !state.isOpen { state.waiting.append(continuation) }
        return state.isOpen
      }
      if isOpen { continuation.resume() }
    }
  }

  func open() {
    let waiting = state.withLock { state in
      state.isOpen = true
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }
}
