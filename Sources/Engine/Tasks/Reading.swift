// SPDX-License-Identifier: Apache-2.0
// What people and programs read of tasks.
package import Domain
import Synchronization

extension Engine {
  package func task(_ id: TaskID) async throws(ControlError) -> TaskRecord {
    let record = try await stored { () throws(StoreError) in try await store.task(id) }
    guard let record else { throw Engine.noSuchTask }
    return record
  }

  /// The task as it is when it ends, or at the end of the wait.
  package func wait(_ id: TaskID, milliseconds: Int64) async throws(ControlError) -> TaskRecord {
    let record = try await task(id)
    guard isOpen, !record.state.isEnd, milliseconds > 0 else { return record }
    let until = steadyNow.adding(milliseconds: milliseconds)
    _ = await waiters.wait(for: id, until: until) {
      do { return try await self.task(id).state.isEnd } catch { return true }
    }
    return try await task(id)
  }

  package func list(_ query: TaskQuery) async throws(ControlError) -> TaskPage {
    try await stored { () throws(StoreError) in try await store.list(query) }
  }

  package func logs(
    _ id: TaskID, after: Int64, limit: Int
  ) async throws(ControlError) -> LogPage {
    _ = try await task(id)
    return try await stored { () throws(StoreError) in
      try await store.logs(id, after: after, limit: limit)
    }
  }

  /// Why a queued task waits; nil for all others.
  package func reason(_ record: TaskRecord) -> WaitingReason? {
    guard record.state == .queued else { return nil }
    return core.withLock {
      $0.reason(
        demand: record.demand, key: record.key, notBefore: record.notBefore,
        failures: record.failures, now: world.now())
    }
  }
}
