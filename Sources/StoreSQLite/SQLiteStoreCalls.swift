// SPDX-License-Identifier: Apache-2.0
// The store's calls: which go through the group commit, and which read.
package import Domain
package import Engine
internal import Logging

extension SQLiteStore {
  // MARK: Tasks

  package func submit(
    _ tasks: [TaskInsert], claiming claims: [ClaimRequest]
  ) async throws(StoreError) -> (SubmitResult, [ClaimedTask?]) {
    try await commits.write(rows: tasks.count) { writer throws(StoreError) in
      try writer.submit(tasks, claiming: claims)
    }
  }

  package func stage(
    _ tasks: [TaskInsert], in bulk: Bulk
  ) async throws(StoreError) -> [DemandID] {
    try await commits.writeStepwise { writer throws(StoreError) in
      try writer.stage(tasks, in: bulk)
    }
  }

  package func publish(_ bulk: Bulk) async throws(StoreError) {
    try await commits.write { writer throws(StoreError) in try writer.publish(bulk) }
  }

  package func discard(_ bulk: Bulk) async throws(StoreError) {
    _ = try await commits.writeStepwise { writer throws(StoreError) in
      try writer.discard(bulk) ? true : nil
    }
  }

  package func claim(_ claims: [ClaimRequest]) async throws(StoreError) -> [ClaimedTask?] {
    if claims.isEmpty { return [] }
    return try await commits.write(rows: claims.count) { writer throws(StoreError) in
      try claims.map { claim throws(StoreError) in try writer.claim(claim) }
    }
  }

  package func settle(_ settlements: [SettleRequest]) async throws(StoreError) -> [SettleResult] {
    if settlements.isEmpty { return [] }
    return try await commits.write(rows: settlements.count) { writer throws(StoreError) in
      try settlements.map { request throws(StoreError) in try writer.settle(request) }
    }
  }

  package func renew(_ renewals: [RenewRequest]) async throws(StoreError) -> [Bool] {
    if renewals.isEmpty { return [] }
    return try await commits.write(rows: renewals.count) { writer throws(StoreError) in
      try renewals.map { renewal throws(StoreError) in try writer.renew(renewal) }
    }
  }

  package func release(_ releases: [ReleaseRequest]) async throws(StoreError) -> [Bool] {
    if releases.isEmpty { return [] }
    return try await commits.write(rows: releases.count) { writer throws(StoreError) in
      try releases.map { release throws(StoreError) in try writer.release(release) }
    }
  }

  package func end(_ ends: [EndRequest]) async throws(StoreError) -> [EndResult] {
    if ends.isEmpty { return [] }
    return try await commits.write(rows: ends.count) { writer throws(StoreError) in
      try ends.map { end throws(StoreError) in try writer.end(end) }
    }
  }

  package func hasten(_ id: TaskID, at now: Timestamp) async throws(StoreError) -> Bool {
    try await commits.write { writer throws(StoreError) in try writer.hasten(id, at: now) }
  }

  package func acknowledge(_ id: TaskID) async throws(StoreError) -> Bool {
    try await commits.write { writer throws(StoreError) in try writer.acknowledge(id) }
  }

  package func appendLogs(_ id: TaskID, _ lines: [TaskLog]) async throws(StoreError) {
    if lines.isEmpty { return }
    try await commits.write(rows: lines.count) { writer throws(StoreError) in
      try writer.appendLogs(id, lines)
    }
  }

  package func task(_ id: TaskID) async throws(StoreError) -> TaskRecord? {
    try await read { snapshot throws(StoreError) in try snapshot.task(id) }
  }

  package func running(_ id: TaskID) async throws(StoreError) -> RunningTask? {
    try await read { snapshot throws(StoreError) in try snapshot.running(id) }
  }

  package func settledAttempts(_ id: TaskID) async throws(StoreError) -> [SettledAttempt] {
    try await read { snapshot throws(StoreError) in try snapshot.settledAttempts(id) }
  }

  package func list(_ query: TaskQuery) async throws(StoreError) -> TaskPage {
    let scan = limits.pageScan
    return try await read { snapshot throws(StoreError) in try snapshot.list(query, scan: scan) }
  }

  package func logs(_ id: TaskID, after: Int64, limit: Int) async throws(StoreError) -> LogPage {
    try await read { snapshot throws(StoreError) in
      try snapshot.logs(id, after: after, limit: limit)
    }
  }

  package func unfinished(
    _ body: @Sendable ([UnfinishedTask]) -> Void
  ) async throws(StoreError) {
    var last = Int64.min
    while true {
      let after = last
      let batch = try await read { snapshot throws(StoreError) in
        try snapshot.unfinished(after: after)
      }
      guard let batch else { return }
      if !batch.tasks.isEmpty { body(batch.tasks) }
      last = batch.last
    }
  }

  package func demands() async throws(StoreError) -> [(id: DemandID, demand: Demand)] {
    demandNumbers.all
  }

  package func counts() async throws(StoreError) -> [String: TypeCounts] {
    try await read { snapshot throws(StoreError) in try snapshot.counts() }
  }

  package func lastTaskID() async throws(StoreError) -> TaskID? {
    try await read { snapshot throws(StoreError) in try snapshot.lastTaskID() }
  }

  // MARK: Agents, types, tokens, secrets

  package func agents() async throws(StoreError) -> [StoredAgent] {
    try await read { snapshot throws(StoreError) in try snapshot.agents() }
  }

  package func save(_ agent: StoredAgent) async throws(StoreError) {
    try await commits.write { writer throws(StoreError) in try writer.save(agent) }
  }

  package func touch(_ seen: [AgentID: Timestamp]) async throws(StoreError) {
    if seen.isEmpty { return }
    try await commits.write(rows: seen.count) { writer throws(StoreError) in
      try writer.touch(seen)
    }
  }

  package func removeAgent(_ id: AgentID) async throws(StoreError) -> Bool {
    try await commits.write { writer throws(StoreError) in
      try writer.remove(id.text, from: .agents)
    }
  }

  package func types() async throws(StoreError) -> [TypeSettings] {
    try await read { snapshot throws(StoreError) in try snapshot.types() }
  }

  package func save(_ settings: TypeSettings) async throws(StoreError) {
    try await commits.write { writer throws(StoreError) in try writer.save(settings) }
  }

  package func tokens() async throws(StoreError) -> [StoredToken] {
    try await read { snapshot throws(StoreError) in try snapshot.tokens() }
  }

  package func save(_ token: StoredToken) async throws(StoreError) {
    try await commits.write { writer throws(StoreError) in try writer.save(token) }
  }

  package func removeToken(_ id: String) async throws(StoreError) -> Bool {
    try await commits.write { writer throws(StoreError) in try writer.remove(id, from: .tokens) }
  }

  package func secrets() async throws(StoreError) -> [StoredSecret] {
    try await read { snapshot throws(StoreError) in try snapshot.secrets() }
  }

  package func save(_ secret: StoredSecret) async throws(StoreError) {
    try await commits.write { writer throws(StoreError) in try writer.save(secret) }
  }

  package func removeSecret(_ name: String) async throws(StoreError) -> Bool {
    try await commits.write { writer throws(StoreError) in
      try writer.remove(name, from: .secrets)
    }
  }

  package func reseal(agents: [StoredAgent], secrets: [StoredSecret], meta: [String: [UInt8]])
    async throws(StoreError)
  {
    let rows = agents.count + secrets.count + meta.count
    try await commits.write(rows: rows) { writer throws(StoreError) in
      try writer.reseal(agents: agents, secrets: secrets, meta: meta)
    }
  }

  package func meta(_ name: String) async throws(StoreError) -> [UInt8]? {
    try await read { snapshot throws(StoreError) in try snapshot.meta(name) }
  }

  package func setMeta(_ name: String, _ value: [UInt8]) async throws(StoreError) {
    try await commits.write { writer throws(StoreError) in try writer.setMeta(name, value) }
  }
}
