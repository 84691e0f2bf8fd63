// SPDX-License-Identifier: Apache-2.0
// Remembers on disk that an agent took an attempt, so that a restart does not hand it over again.
import Domain
import Logging
import Synchronization

/// Attempts that push agents have accepted and not reported on yet. Most are over before they are
/// looked at; what is still running then is marked in the store by a progress of 0.
final class Acceptances: Sendable {
  /// Milliseconds after which an accepted attempt is marked.
  static let delay: Int64 = 100
  private let accepted = Mutex<[TaskID: (attempt: Int, at: Int64)]>([:])

  func add(_ task: RunningTask, uptime: Int64) {
    accepted.withLock { $0[task.id] = (task.attempt, uptime) }
  }

  var count: Int { accepted.withLock { $0.count } }

  func remove(_ id: TaskID) { accepted.withLock { _ = $0.removeValue(forKey: id) } }

  /// Takes out those that were accepted before `uptime`.
  func take(before uptime: Int64) -> [(id: TaskID, attempt: Int)] {
    accepted.withLock { accepted in
      guard !accepted.isEmpty else { return [] }
      let due = accepted.filter { $0.value.at <= uptime }
      for id in due.keys { accepted[id] = nil }
      return due.map { ($0.key, $0.value.attempt) }.sorted { $0.id < $1.id }
    }
  }
}

extension Engine {
  /// Marks what was accepted and still runs. Losing a mark costs a repeat after a crash, no more.
  func markAccepted(before uptime: Int64) async {
    let due = acceptances.take(before: uptime)
    let marks = core.withLock { core in
      due.compactMap { id, attempt -> RenewRequest? in
        guard let task = core.runningTask(id), task.attempt == attempt else { return nil }
        return RenewRequest(
          id: id, attempt: attempt, leaseUntil: task.leaseUntil, progress: 0)
      }
    }
    guard !marks.isEmpty else { return }
    do { _ = try await store.renew(marks) } catch {
      logger.warning("accepted attempts were not marked", metadata: ["error": "\(error)"])
    }
  }
}
