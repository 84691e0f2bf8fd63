// SPDX-License-Identifier: Apache-2.0
// A store in memory that fails, or waits, at the calls that a test names.
import Domain
import Engine
import Simulation
import Synchronization

final class FaultyStore: Store {
  enum Call: Hashable, Sendable {
    case submit, stage, publish, discard, claim, settle, renew, release, end, task, appendLogs,
      saveAgent, saveType
    case removeAgent, purge, saveToken, reseal, touch
  }

  private struct State {
    var faults: [Call: [StoreError]] = [:]
    var gates: [Call: Gate] = [:]
    var calls: [Call: Int] = [:]
  }

  let inner: MemoryStore
  private let state = Mutex(State())

  init(_ inner: MemoryStore = MemoryStore()) { self.inner = inner }

  /// The next `times` such calls fail; nothing is written.
  func fail(_ call: Call, _ error: StoreError = .unavailable("test"), times: Int = 1) {
    state.withLock {
      $0.faults[call, default: []] += Array(repeating: error, count: times)
    }
  }

  /// Such calls wait at a gate before anything is written.
  func hold(_ call: Call, at gate: Gate?) { state.withLock { $0.gates[call] = gate } }

  func calls(_ call: Call) -> Int { state.withLock { $0.calls[call] ?? 0 } }

  private func enter(_ call: Call) async throws(StoreError) {
    let (gate, error) = state.withLock { state in
      state.calls[call, default: 0] += 1
      let error = state.faults[call]?.isEmpty == false ? state.faults[call]?.removeFirst() : nil
      return (state.gates[call], error)
    }
    await gate?.pass()
    if let error { throw error }
  }

  // MARK: Tasks

  func submit(
    _ tasks: [TaskInsert], claiming claims: [ClaimRequest]
  ) async throws(StoreError) -> (SubmitResult, [ClaimedTask?]) {
    try await enter(.submit)
    return inner.submit(tasks, claiming: claims)
  }

  func stage(_ tasks: [TaskInsert], in bulk: Bulk) async throws(StoreError) -> [DemandID] {
    try await enter(.stage)
    return inner.stage(tasks, in: bulk)
  }

  func publish(_ bulk: Bulk) async throws(StoreError) {
    try await enter(.publish)
    inner.publish(bulk)
  }

  func discard(_ bulk: Bulk) async throws(StoreError) {
    try await enter(.discard)
    inner.discard(bulk)
  }

  func claim(_ claims: [ClaimRequest]) async throws(StoreError) -> [ClaimedTask?] {
    try await enter(.claim)
    return inner.claim(claims)
  }

  func settle(_ settlements: [SettleRequest]) async throws(StoreError) -> [SettleResult] {
    try await enter(.settle)
    return inner.settle(settlements)
  }

  func renew(_ renewals: [RenewRequest]) async throws(StoreError) -> [Bool] {
    try await enter(.renew)
    return inner.renew(renewals)
  }

  func release(_ releases: [ReleaseRequest]) async throws(StoreError) -> [Bool] {
    try await enter(.release)
    return inner.release(releases)
  }

  func end(_ ends: [EndRequest]) async throws(StoreError) -> [EndResult] {
    try await enter(.end)
    return inner.end(ends)
  }

  func hasten(_ id: TaskID, at now: Timestamp) async throws(StoreError) -> Bool {
    inner.hasten(id, at: now)
  }

  func acknowledge(_ id: TaskID) async throws(StoreError) -> Bool { inner.acknowledge(id) }

  func appendLogs(_ id: TaskID, _ lines: [TaskLog]) async throws(StoreError) {
    try await enter(.appendLogs)
    inner.appendLogs(id, lines)
  }

  func task(_ id: TaskID) async throws(StoreError) -> TaskRecord? {
    try await enter(.task)
    return inner.task(id)
  }

  func running(_ id: TaskID) async throws(StoreError) -> RunningTask? { inner.running(id) }

  func settledAttempts(_ id: TaskID) async throws(StoreError) -> [SettledAttempt] {
    inner.settledAttempts(id)
  }

  func list(_ query: TaskQuery) async throws(StoreError) -> TaskPage { inner.list(query) }

  func logs(_ id: TaskID, after line: Int64, limit: Int) async throws(StoreError) -> LogPage {
    inner.logs(id, after: line, limit: limit)
  }

  func unfinished(_ body: @Sendable ([UnfinishedTask]) -> Void) async throws(StoreError) {
    inner.unfinished(body)
  }

  func demands() async throws(StoreError) -> [(id: DemandID, demand: Demand)] { inner.demands() }
  func counts() async throws(StoreError) -> [String: TypeCounts] { inner.counts() }
  func lastTaskID() async throws(StoreError) -> TaskID? { inner.lastTaskID() }

  // MARK: Agents, types, tokens, secrets

  func agents() async throws(StoreError) -> [StoredAgent] { inner.agents() }

  func save(_ agent: StoredAgent) async throws(StoreError) {
    try await enter(.saveAgent)
    inner.save(agent)
  }

  func touch(_ seen: [AgentID: Timestamp]) async throws(StoreError) {
    try await enter(.touch)
    inner.touch(seen)
  }

  func removeAgent(_ id: AgentID) async throws(StoreError) -> Bool {
    try await enter(.removeAgent)
    return inner.removeAgent(id)
  }

  func types() async throws(StoreError) -> [TypeSettings] { inner.types() }

  func save(_ settings: TypeSettings) async throws(StoreError) {
    try await enter(.saveType)
    inner.save(settings)
  }

  func tokens() async throws(StoreError) -> [StoredToken] { inner.tokens() }

  func save(_ token: StoredToken) async throws(StoreError) {
    try await enter(.saveToken)
    inner.save(token)
  }

  func removeToken(_ id: String) async throws(StoreError) -> Bool { inner.removeToken(id) }
  func secrets() async throws(StoreError) -> [StoredSecret] { inner.secrets() }
  func save(_ secret: StoredSecret) async throws(StoreError) { inner.save(secret) }
  func removeSecret(_ name: String) async throws(StoreError) -> Bool { inner.removeSecret(name) }

  func reseal(
    agents: [StoredAgent], secrets: [StoredSecret], meta: [String: [UInt8]]
  ) async throws(StoreError) {
    try await enter(.reseal)
    inner.reseal(agents: agents, secrets: secrets, meta: meta)
  }

  func meta(_ name: String) async throws(StoreError) -> [UInt8]? { inner.meta(name) }

  func setMeta(_ name: String, _ value: [UInt8]) async throws(StoreError) {
    inner.setMeta(name, value)
  }

  // MARK: Care

  func purge(endedBefore time: Timestamp, limit: Int) async throws(StoreError) -> Int {
    try await enter(.purge)
    return inner.purge(endedBefore: time, limit: limit)
  }

  func backup(to path: String) async throws(StoreError) -> Int64 { try inner.backup(to: path) }
  func size() async throws(StoreError) -> Int64 { inner.size() }
  func close() async { await inner.close() }
}
