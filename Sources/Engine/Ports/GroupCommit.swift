// SPDX-License-Identifier: Apache-2.0
// Coalesces concurrent writes into one commit, so that one fsync serves many.

private import Foundation
private import Synchronization

/// What a group commit writes through: one transaction at a time, always on the same thread.
package protocol CommitTarget: AnyObject, SendableMetatype {
  /// Starts a transaction. Throws `overloaded` where somebody else holds the database: nothing
  /// was written, and a later transaction may succeed.
  ///
  /// - Parameter isDurable: if false, its commit need not be on disk before a later, durable one
  ///   is; it never comes to be without those before it.
  func begin(isDurable: Bool) throws(StoreError)
  /// Returns once everything since `begin` is on disk, if it is to be durable.
  func commit() throws(StoreError)
  /// Forgets everything since `begin`, in memory too.
  func rollback()
  /// Called after a transaction, when its callers have been answered: a moment for upkeep. What it
  /// throws is taken like a failed commit.
  func rest() throws(StoreError)
}

extension CommitTarget {
  package func rest() throws(StoreError) {}
}

/// Concurrent callers hand in writes; one thread takes whatever waits, runs it in one transaction,
/// and completes it after the commit. There is no timer: while a commit is on its way to the disk,
/// the next one gathers.
///
/// A write that fails on its own account returns a value that says so, and has written nothing. A
/// write that throws undoes the whole transaction, and every write in it fails. After `unavailable`
/// nothing is written any more: an fsync is never tried twice.
package final class GroupCommit<Target: CommitTarget>: Sendable {
  private struct State {
    var pending: [Write<Target>] = []
    /// Long writes in order of arrival; the first one makes one step at a time.
    var stepwise: [Write<Target>] = []
    /// After a step, what waits for it goes first: others wait for one step at most.
    var hasJustStepped = false
    var isIdle = false
    var isClosed = false
    var failure: String?
  }

  private let state = Mutex(State())
  private let doorbell = Doorbell()
  private let limit: Int
  /// Rows after which a transaction takes no further writes.
  private let rowsPerCommit: Int
  private let failures = AsyncStream.makeStream(
    of: String.self, bufferingPolicy: .bufferingOldest(1))

  /// - Parameter limit: writes that may wait; more are refused as `overloaded`.
  package init(limit: Int, rowsPerCommit: Int = 4_096) {
    self.limit = limit
    self.rowsPerCommit = rowsPerCommit
  }

  // MARK: For callers

  /// Runs `body` in the next transaction and returns its value after the commit.
  ///
  /// - Parameter rows: roughly what it writes, to bound the transaction.
  package func write<Value: Sendable>(
    rows: Int = 1, _ body: @escaping @Sendable (Target) throws(StoreError) -> Value
  ) async throws(StoreError) -> Value {
    try await perform(rows: rows, isStepwise: false) { target throws(StoreError) in
      try body(target)
    }
  }

  /// Runs `step` in one transaction after another until it returns a value. Other writes commit in
  /// between, and wait for one step at most; so a step should be short. If a step throws, what
  /// earlier steps wrote remains: the caller cleans up. Steps are not durable by themselves, but
  /// with the next `write`.
  package func writeStepwise<Value: Sendable>(
    _ step: @escaping @Sendable (Target) throws(StoreError) -> Value?
  ) async throws(StoreError) -> Value {
    try await perform(rows: 0, isStepwise: true, step)
  }

  /// Waits until nothing can be written any more and returns why; nil if it was closed instead,
  /// or if the waiting task is cancelled. For one waiter.
  package func untilFailed() async -> String? {
    for await sentence in failures.stream { return sentence }
    return nil
  }

  /// Nothing is written any more.
  package var hasFailed: Bool { state.withLock { $0.failure != nil } }

  /// Writes in line, without those of the transaction that is being committed.
  package var waiting: Int { state.withLock { $0.pending.count + $0.stepwise.count } }

  /// Refuses new writes; `run` returns once those that wait are done.
  package func close() {
    let mustRing = state.withLock { state in
      state.isClosed = true
      return state.isIdle
    }
    if mustRing { doorbell.ring() }
  }

  private func perform<Value: Sendable>(
    rows: Int, isStepwise: Bool,
    _ body: @escaping @Sendable (Target) throws(StoreError) -> Value?
  ) async throws(StoreError) -> Value {
    let result = await withUnsafeContinuation { continuation in
      enqueue(TypedWrite(rows: rows, continuation: continuation, body: body), isStepwise)
    }
    return try result.get()
  }

  private func enqueue(_ write: Write<Target>, _ isStepwise: Bool) {
    let (refusal, mustRing) = state.withLock { state -> (StoreError?, Bool) in
      if let refusal = self.refusal(state) { return (refusal, false) }
      if isStepwise { state.stepwise.append(write) } else { state.pending.append(write) }
      defer { state.isIdle = false }
      return (nil, state.isIdle)
    }
    if let refusal { return write.complete(refusal) }
    if mustRing { doorbell.ring() }
  }

  private func refusal(_ state: borrowing State) -> StoreError? {
    if let failure = state.failure { return .unavailable(failure) }
    if state.isClosed { return .unavailable("The store is closed.") }
    return state.pending.count + state.stepwise.count < limit ? nil : .overloaded
  }

  // MARK: For the writer's thread

  /// Commits until `close`; blocks the thread.
  package func run(_ target: Target) {
    var batch: [Write<Target>] = []
    while let turn = take(into: &batch) {
      switch turn {
      case .batch: commit(batch, target)
      case .step(let write): advance(write, target)
      }
      batch.removeAll(keepingCapacity: true)
      rest(target)
    }
    failures.continuation.finish()
  }

  private enum Turn {
    case batch
    case step(Write<Target>)
  }

  /// Waits for work; nil once closed and empty. Batches and steps take turns: a batch is not held
  /// up by more than one step, and a step costs no fsync.
  private func take(into batch: inout [Write<Target>]) -> Turn? {
    while true {
      let (turn, isOver) = state.withLock { state -> (Turn?, Bool) in
        if let step = state.stepwise.first, state.pending.isEmpty || !state.hasJustStepped {
          state.hasJustStepped = true
          return (.step(step), false)
        }
        state.hasJustStepped = false
        guard !state.pending.isEmpty else {
          state.isIdle = !state.isClosed
          return (nil, state.isClosed)
        }
        moveAffordable(from: &state.pending, to: &batch)
        return (.batch, false)
      }
      if let turn { return turn }
      if isOver { return nil }
      doorbell.wait()
    }
  }

  private func moveAffordable(from pending: inout [Write<Target>], to batch: inout [Write<Target>])
  {
    var rows = 0
    var count = 0
    while count < pending.count, count == 0 || rows + pending[count].rows <= rowsPerCommit {
      rows += pending[count].rows
      count += 1
    }
    if count == pending.count {
      swap(&pending, &batch)
    } else {
      batch.append(contentsOf: pending[..<count])
      pending.removeFirst(count)
    }
  }

  private func commit(_ batch: [Write<Target>], _ target: Target) {
    do throws(StoreError) {
      try transact(target, isDurable: true) { () throws(StoreError) in
        for write in batch { _ = try write.perform(target) }
      }
      for write in batch { write.complete(nil) }
    } catch {
      if case .unavailable(let sentence) = error { fail(sentence) }
      for write in batch { write.complete(error) }
    }
  }

  private func advance(_ step: Write<Target>, _ target: Target) {
    do throws(StoreError) {
      var isDone = false
      try transact(target, isDurable: false) { () throws(StoreError) in
        isDone = try step.perform(target)
      }
      if isDone, leaves(step) { step.complete(nil) }
    } catch {
      let isOurs = leaves(step)
      if case .unavailable(let sentence) = error { fail(sentence) }
      if isOurs { step.complete(error) }
    }
  }

  /// Takes the first step out. False if a failure on another thread has completed it already.
  private func leaves(_ step: Write<Target>) -> Bool {
    state.withLock { state in
      guard state.stepwise.first === step else { return false }
      state.stepwise.removeFirst()
      return true
    }
  }

  private func rest(_ target: Target) {
    do throws(StoreError) {
      try target.rest()
    } catch {
      if case .unavailable(let sentence) = error { fail(sentence) }
    }
  }

  private func transact(
    _ target: Target, isDurable: Bool, _ body: () throws(StoreError) -> Void
  ) throws(StoreError) {
    try target.begin(isDurable: isDurable)
    do throws(StoreError) {
      try body()
      try target.commit()
    } catch {
      target.rollback()
      throw error
    }
  }

  /// Nothing is written from now on; what waits fails. For a writer that finds its database
  /// damaged, too.
  package func fail(_ sentence: String) {
    let refused = state.withLock { state in
      state.failure = sentence
      defer {
        state.pending.removeAll()
        state.stepwise.removeAll()
      }
      return state.pending + state.stepwise
    }
    for write in refused { write.complete(.unavailable(sentence)) }
    failures.continuation.yield(sentence)
  }
}

/// A write in line. Confined to the caller until it is queued, then to the writer's thread.
private class Write<Target>: @unchecked Sendable {
  let rows: Int

  init(rows: Int) { self.rows = rows }

  /// True if it needs no further transaction.
  func perform(_ target: Target) throws(StoreError) -> Bool { true }
  func complete(_ failure: StoreError?) {}
}

/// Confined to the writer's thread, like its base.
private final class TypedWrite<Target, Value: Sendable>: Write<Target>, @unchecked Sendable {
  private let body: @Sendable (Target) throws(StoreError) -> Value?
  private let continuation: UnsafeContinuation<Result<Value, StoreError>, Never>
  private var value: Value?

  init(
    rows: Int, continuation: UnsafeContinuation<Result<Value, StoreError>, Never>,
    body: @escaping @Sendable (Target) throws(StoreError) -> Value?
  ) {
    self.body = body
    self.continuation = continuation
    super.init(rows: rows)
  }

  override func perform(_ target: Target) throws(StoreError) -> Bool {
    value = try body(target)
    return value != nil
  }

  override func complete(_ failure: StoreError?) {
    if let failure {
      continuation.resume(returning: .failure(failure))
    } else if let value {
      continuation.resume(returning: .success(value))
    }
  }
}

/// Wakes the writer's thread. A ring before the wait is not lost.
private final class Doorbell: @unchecked Sendable {
  private let condition = NSCondition()
  /// Under the condition's lock.
  private var hasRung = false

  func ring() {
    condition.lock()
    hasRung = true
    condition.signal()
    condition.unlock()
  }

  func wait() {
    condition.lock()
    while !hasRung { condition.wait() }
    hasRung = false
    condition.unlock()
  }
}
