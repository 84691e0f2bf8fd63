// SPDX-License-Identifier: Apache-2.0
// The group commit on a target of the tests: what shares a commit, and what fails with it.
import Engine
import Foundation
import Testing

/// A target whose commits wait for a permit, and fail when told to.
final class FakeTarget: CommitTarget, @unchecked Sendable {
  /// Guarded by the lock.
  private var stored: (written: [Int], committed: [[Int]], failures: [StoreError]) = ([], [], [])
  private let lock = NSLock()
  let permits = DispatchSemaphore(value: 0)
  let entered = DispatchSemaphore(value: 0)

  var committed: [[Int]] { lock.withLock { stored.committed } }

  func failNext(_ error: StoreError) { lock.withLock { stored.failures.append(error) } }
  func write(_ value: Int) { lock.withLock { stored.written.append(value) } }

  func begin(isDurable: Bool) throws(StoreError) {}

  func commit() throws(StoreError) {
    entered.signal()
    permits.wait()
    let failure = lock.withLock { stored.failures.isEmpty ? nil : stored.failures.removeFirst() }
    if let failure { throw failure }
    lock.withLock {
      stored.committed.append(stored.written)
      stored.written = []
    }
  }

  func rollback() { lock.withLock { stored.written = [] } }
}

@Suite(.timeLimit(.minutes(1))) struct GroupCommitTests {
  private func start(limit: Int = 1_000) -> (GroupCommit<FakeTarget>, FakeTarget) {
    let commits = GroupCommit<FakeTarget>(limit: limit, rowsPerCommit: 50)
    let target = FakeTarget()
    Thread { commits.run(target) }.start()
    return (commits, target)
  }

  /// Waits on a thread of its own: the semaphore must not hold up the tests' threads.
  private func wait(for semaphore: DispatchSemaphore) async {
    await withCheckedContinuation { continuation in
      Thread {
        semaphore.wait()
        continuation.resume()
      }.start()
    }
  }

  @Test func `what waits during a commit shares the next one, up to its size`() async throws {
    let (commits, target) = start()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await commits.write { $0.write(0) } }
      await wait(for: target.entered)
      for value in 1...80 { group.addTask { try await commits.write { $0.write(value) } } }
      while commits.waiting < 80 { await Task.yield() }
      for _ in 0..<3 { target.permits.signal() }
      try await group.waitForAll()
    }
    #expect(target.committed.map(\.count) == [1, 50, 30])
    commits.close()
  }

  @Test func `a full disk fails one transaction and not the next`() async throws {
    let (commits, target) = start()
    target.failNext(.diskFull)
    for _ in 0..<2 { target.permits.signal() }
    await #expect(throws: StoreError.diskFull) { try await commits.write { $0.write(1) } }
    try await commits.write { $0.write(2) }
    #expect(target.committed == [[2]])
    commits.close()
  }

  @Test func `any other failure is for ever`() async throws {
    let (commits, target) = start()
    target.failNext(.unavailable("fsync failed"))
    for _ in 0..<5 { target.permits.signal() }
    async let sentence = commits.untilFailed()
    await #expect(throws: StoreError.unavailable("fsync failed")) {
      try await commits.write { $0.write(1) }
    }
    await #expect(throws: StoreError.unavailable("fsync failed")) {
      try await commits.write { $0.write(2) }
    }
    await #expect(throws: StoreError.unavailable("fsync failed")) {
      try await commits.writeStepwise { target -> Int? in
        target.write(3)
        return 3
      }
    }
    #expect(await sentence == "fsync failed")
    #expect(target.committed.isEmpty)
    commits.close()
  }

  @Test func `a write that throws undoes its transaction`() async throws {
    let (commits, target) = start()
    for _ in 0..<2 { target.permits.signal() }
    await #expect(throws: StoreError.diskFull) {
      try await commits.write { target throws(StoreError) in
        target.write(1)
        throw .diskFull
      }
    }
    try await commits.write { $0.write(2) }
    #expect(target.committed == [[2]])
    commits.close()
  }

  @Test func `too many waiting writes are refused`() async throws {
    let (commits, target) = start(limit: 3)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await commits.write { $0.write(0) } }
      await wait(for: target.entered)
      for value in 1...3 { group.addTask { try await commits.write { $0.write(value) } } }
      while commits.waiting < 3 { await Task.yield() }
      await #expect(throws: StoreError.overloaded) { try await commits.write { $0.write(9) } }
      for _ in 0..<2 { target.permits.signal() }
      try await group.waitForAll()
    }
    #expect(target.committed.flatMap(\.self).sorted() == [0, 1, 2, 3])
    commits.close()
  }

  @Test func `others commit between the steps of a long write`() async throws {
    let (commits, target) = start()
    let steps = Counter()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        let last = try await commits.writeStepwise { target -> Int? in
          let step = steps.next()
          target.write(100 + step)
          return step == 3 ? step : nil
        }
        #expect(last == 3)
      }
      await wait(for: target.entered)
      group.addTask { try await commits.write { $0.write(1) } }
      while commits.waiting < 2 { await Task.yield() }
      for _ in 0..<4 { target.permits.signal() }
      try await group.waitForAll()
    }
    #expect(target.committed == [[101], [1], [102], [103]])
    commits.close()
  }

  @Test func `what waits is written before the end, what comes later is refused`() async throws {
    let (commits, target) = start()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await commits.write { $0.write(0) } }
      await wait(for: target.entered)
      group.addTask { try await commits.write { $0.write(1) } }
      while commits.waiting < 1 { await Task.yield() }
      commits.close()
      await #expect(throws: StoreError.self) { try await commits.write { $0.write(2) } }
      for _ in 0..<2 { target.permits.signal() }
      try await group.waitForAll()
    }
    #expect(target.committed == [[0], [1]])
    #expect(await commits.untilFailed() == nil)
  }
}

/// Counts calls. Guarded by its lock.
private final class Counter: @unchecked Sendable {
  private let lock = NSLock()
  private var count = 0

  func next() -> Int {
    lock.withLock {
      count += 1
      return count
    }
  }
}
