// SPDX-License-Identifier: Apache-2.0
// The model behind a lock, as a store.
package import Domain
package import Engine
internal import Synchronization

/// A store that forgets everything when it is let go. For tests.
package final class MemoryStore: Store {
  private let model: Mutex<StoreModel>

  package init(limits: Limits = Limits()) {
    model = Mutex(StoreModel(limits: limits))
  }

  private func with<Value: Sendable>(_ body: (inout StoreModel) -> Value) -> Value {
    model.withLock { model in body(&model) }
  }

  package func submit(
    _ tasks: [TaskInsert], claiming claims: [ClaimRequest]
  ) -> (SubmitResult, [ClaimedTask?]) { with { $0.submit(tasks, claiming: claims) } }
  package func stage(_ tasks: [TaskInsert], in bulk: Bulk) -> [DemandID] {
    with { $0.stage(tasks, in: bulk) }
  }
  package func publish(_ bulk: Bulk) { with { $0.publish(bulk) } }
  package func discard(_ bulk: Bulk) { with { $0.discard(bulk) } }
  package func claim(_ claims: [ClaimRequest]) -> [ClaimedTask?] { with { $0.claim(claims) } }
  package func settle(_ settlements: [SettleRequest]) -> [SettleResult] {
    with { $0.settle(settlements) }
  }
  package func renew(_ renewals: [RenewRequest]) -> [Bool] { with { $0.renew(renewals) } }
  package func release(_ releases: [ReleaseRequest]) -> [Bool] { with { $0.release(releases) } }
  package func end(_ ends: [EndRequest]) -> [EndResult] { with { $0.end(ends) } }
  package func hasten(_ id: TaskID, at now: Timestamp) -> Bool { with { $0.hasten(id, at: now) } }
  package func acknowledge(_ id: TaskID) -> Bool { with { $0.acknowledge(id) } }
  package func appendLogs(_ id: TaskID, _ lines: [TaskLog]) {
    with { $0.appendLogs(id, lines) }
  }

  package func task(_ id: TaskID) -> TaskRecord? { with { $0.task(id) } }
  package func running(_ id: TaskID) -> RunningTask? { with { $0.running(id) } }
  package func settledAttempts(_ id: TaskID) -> [SettledAttempt] {
    with { $0.settledAttempts(id) }
  }
  package func list(_ query: TaskQuery) -> TaskPage { with { $0.list(query) } }
  package func logs(_ id: TaskID, after line: Int64, limit: Int) -> LogPage {
    with { $0.logs(id, after: line, limit: limit) }
  }
  package func unfinished(_ body: @Sendable ([UnfinishedTask]) -> Void) {
    let tasks = with { $0.unfinished }
    if !tasks.isEmpty { body(tasks) }
  }
  package func demands() -> [(id: DemandID, demand: Demand)] { with { $0.demands } }
  package func counts() -> [String: TypeCounts] { with { $0.counts } }
  package func lastTaskID() -> TaskID? { with { $0.lastTaskID } }

  package func agents() -> [StoredAgent] { with { $0.agents } }
  package func save(_ agent: StoredAgent) { with { $0.save(agent) } }
  package func touch(_ seen: [AgentID: Timestamp]) { with { $0.touch(seen) } }
  package func removeAgent(_ id: AgentID) -> Bool { with { $0.removeAgent(id) } }
  package func types() -> [TypeSettings] { with { $0.types } }
  package func save(_ settings: TypeSettings) { with { $0.save(settings) } }
  package func tokens() -> [StoredToken] { with { $0.tokens } }
  package func save(_ token: StoredToken) { with { $0.save(token) } }
  package func removeToken(_ id: String) -> Bool { with { $0.removeToken(id) } }
  package func secrets() -> [StoredSecret] { with { $0.secrets } }
  package func save(_ secret: StoredSecret) { with { $0.save(secret) } }
  package func removeSecret(_ name: String) -> Bool { with { $0.removeSecret(name) } }
  package func reseal(agents: [StoredAgent], secrets: [StoredSecret], meta: [String: [UInt8]]) {
    with { $0.reseal(agents: agents, secrets: secrets, meta: meta) }
  }
  package func meta(_ name: String) -> [UInt8]? { with { $0.meta(name) } }
  package func setMeta(_ name: String, _ value: [UInt8]) { with { $0.setMeta(name, value) } }

  package func purge(endedBefore time: Timestamp, limit: Int) -> Int {
    with { $0.purge(endedBefore: time, limit: limit) }
  }
  /// There is nothing on disk to copy.
  package func backup(to path: String) throws(StoreError) -> Int64 {
    throw .unavailable("A store in memory has no backups.")
  }
  package func size() -> Int64 { 0 }
  package func close() async {}
}
