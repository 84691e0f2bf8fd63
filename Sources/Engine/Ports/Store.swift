// SPDX-License-Identifier: Apache-2.0
// Everything durable, behind one protocol.
package import Domain

/// What is durable. Each call is one atomic step, and returns only after its commit is on disk;
/// calls take and return batches, in order. Concurrent calls are coalesced into one commit while
/// the
/// previous one is in flight (`GroupCommit`), so that one fsync serves many.
///
/// Two stores that pass `StoreContract` are interchangeable.
package protocol Store: Sendable {
  // MARK: Tasks

  /// Stores new tasks as queued, all or none: an idempotency conflict anywhere stores nothing.
  ///
  /// - Parameter claims: Tasks of the batch to give out in the same commit, as `claim` would;
  ///   nil for one that is not new.
  func submit(
    _ tasks: [TaskInsert], claiming claims: [ClaimRequest]
  ) async throws(StoreError) -> (SubmitResult, [ClaimedTask?])

  /// Writes a part of a bulk, without keys and claims. Parts may be under way at the same time;
  /// nothing of the bulk is seen before `publish`, and if the process ends before, it is gone. Not
  /// durable before `publish` either.
  func stage(_ tasks: [TaskInsert], in bulk: Bulk) async throws(StoreError) -> [DemandID]

  /// Shows everything that was staged, at one moment.
  func publish(_ bulk: Bulk) async throws(StoreError)

  /// Removes what was staged of an abandoned bulk.
  func discard(_ bulk: Bulk) async throws(StoreError)

  /// Gives queued tasks to agents: state running, attempt + 1, lease and token set. Nil where
  /// the task is no longer queued.
  func claim(_ claims: [ClaimRequest]) async throws(StoreError) -> [ClaimedTask?]

  /// Ends running attempts by report. Fenced: applies only where the task is running this very
  /// attempt.
  func settle(_ settlements: [SettleRequest]) async throws(StoreError) -> [SettleResult]

  /// Moves leases of running attempts forward, with progress and log lines. False where the attempt
  /// is
  /// not current (nothing is changed then).
  func renew(_ renewals: [RenewRequest]) async throws(StoreError) -> [Bool]

  /// Puts running attempts back into the queue without counting a failure, fenced like `settle`.
  func release(_ releases: [ReleaseRequest]) async throws(StoreError) -> [Bool]

  /// Ends a queued or running task without a report: cancelled, or failed by its deadline.
  func end(_ ends: [EndRequest]) async throws(StoreError) -> [EndResult]

  /// Lets a queued task run now that waits for its time. False if it is not queued.
  func hasten(_ id: TaskID, at now: Timestamp) async throws(StoreError) -> Bool

  /// Clears `needsAttention`. False if there is no such task.
  func acknowledge(_ id: TaskID) async throws(StoreError) -> Bool

  /// Adds log lines to a task whatever its state (late reports); lines over the limit are dropped.
  func appendLogs(_ id: TaskID, _ lines: [TaskLog]) async throws(StoreError)

  func task(_ id: TaskID) async throws(StoreError) -> TaskRecord?
  /// The running attempt of a task, whoever holds it.
  func running(_ id: TaskID) async throws(StoreError) -> RunningTask?
  /// What ended each attempt of a task that is over, the one that ended the task included (it is
  /// kept
  /// in the end's row), oldest first.
  func settledAttempts(_ id: TaskID) async throws(StoreError) -> [SettledAttempt]
  /// Newest first, without payloads and results; looks at `Limits.pageScan` rows at most.
  func list(_ query: TaskQuery) async throws(StoreError) -> TaskPage
  /// Oldest first, after line `after`.
  func logs(_ id: TaskID, after: Int64, limit: Int) async throws(StoreError) -> LogPage

  /// Calls `body` with every unfinished task, in batches, oldest first; for the start.
  func unfinished(
    _ body: @Sendable ([UnfinishedTask]) -> Void
  ) async throws(StoreError)
  /// All demands ever stored; their numbers appear in the rows above.
  func demands() async throws(StoreError) -> [(id: DemandID, demand: Demand)]
  /// Counts per type, maintained with each commit.
  func counts() async throws(StoreError) -> [String: TypeCounts]
  /// The highest task id ever stored.
  func lastTaskID() async throws(StoreError) -> TaskID?

  // MARK: Agents, types, tokens, secrets

  func agents() async throws(StoreError) -> [StoredAgent]
  func save(_ agent: StoredAgent) async throws(StoreError)
  func touch(_ seen: [AgentID: Timestamp]) async throws(StoreError)
  func removeAgent(_ id: AgentID) async throws(StoreError) -> Bool

  func types() async throws(StoreError) -> [TypeSettings]
  func save(_ settings: TypeSettings) async throws(StoreError)

  func tokens() async throws(StoreError) -> [StoredToken]
  func save(_ token: StoredToken) async throws(StoreError)
  func removeToken(_ id: String) async throws(StoreError) -> Bool

  func secrets() async throws(StoreError) -> [StoredSecret]
  func save(_ secret: StoredSecret) async throws(StoreError)
  func removeSecret(_ name: String) async throws(StoreError) -> Bool
  /// Replaces every sealed value in one transaction (key rotation).
  func reseal(agents: [StoredAgent], secrets: [StoredSecret], meta: [String: [UInt8]])
    async throws(StoreError)

  /// Small facts of the installation, like the check value of the master key.
  func meta(_ name: String) async throws(StoreError) -> [UInt8]?
  func setMeta(_ name: String, _ value: [UInt8]) async throws(StoreError)

  // MARK: Care

  /// Deletes finished tasks that ended before `time`, at most `limit`; returns how many.
  func purge(endedBefore time: Timestamp, limit: Int) async throws(StoreError) -> Int
  /// Writes a consistent copy while running; returns its size in bytes.
  func backup(to path: String) async throws(StoreError) -> Int64
  /// Bytes on disk.
  func size() async throws(StoreError) -> Int64
  func close() async
}

extension Store {
  package func submit(_ tasks: [TaskInsert]) async throws(StoreError) -> SubmitResult {
    try await submit(tasks, claiming: []).0
  }
}
