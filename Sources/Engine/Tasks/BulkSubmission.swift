// SPDX-License-Identifier: Apache-2.0
// Takes in many tasks while they are still being read.
package import Domain
import Logging
import Synchronization

extension Engine {
  /// Tasks of one part: few milliseconds of writing, so that other writes wait no longer.
  package static let bulkPart = 300

  /// Stores tasks, all or none, and returns after the commit that shows them. Parts are written
  /// while the next ones are being read.
  ///
  /// - Parameters:
  ///   - count: Tasks at most.
  ///   - next: Reads `bulkPart` tasks, or the rest; nil at the end. What it throws leaves nothing
  ///     behind.
  package func submitBulk(
    ofAtMost count: Int, _ next: () throws(ControlError) -> [Submission]?
  ) async throws(ControlError) -> [Submitted] {
    try checkRoom(forTasks: count)
    guard let first = try next() else { return [] }
    guard first.count == Self.bulkPart, !Self.hasKeys(first) else {
      return try await submitWhole(first, next)
    }
    let now = world.now()
    let ids = ids.next(count, now: now)
    let bulk = Bulk(ids: ids.lowerBound...(ids.upperBound - 1))
    switch await stage(first, in: bulk, next) {
    case .failure(let error):
      abandon(bulk)
      throw error
    case .success(.keyed(let read)):
      abandon(bulk)
      return try await submitWhole(read, next)
    case .success(.staged(let parts)): return try await publish(parts, of: bulk, now: now)
    }
  }

  /// In one commit: keys are compared with those that are there, and with each other.
  private func submitWhole(
    _ read: [Submission], _ next: () throws(ControlError) -> [Submission]?
  ) async throws(ControlError) -> [Submitted] {
    var batch = read
    while let part = try next() {
      batch += part
      await Task.yield()
    }
    return try await submit(batch)
  }

  private static func hasKeys(_ batch: [Submission]) -> Bool {
    batch.contains { $0.task.idempotencyKey != nil }
  }

  // MARK: Parts

  private struct Part {
    var inserts: [TaskInsert]
    var demands: [DemandID] = []
  }

  private enum Staging {
    case staged([Part])
    /// A key turned up: what was read so far.
    case keyed([Submission])
  }

  private func stage(
    _ first: [Submission], in bulk: Bulk, _ next: () throws(ControlError) -> [Submission]?
  ) async -> Result<Staging, ControlError> {
    await withTaskGroup(of: (Int, Result<[DemandID], ControlError>).self) { group in
      var parts: [Part] = []
      var new: Set<Demand> = []
      do throws(ControlError) {
        var read: [Submission]? = first
        while let batch = read {
          guard !Self.hasKeys(batch) else {
            bulk.abandon()
            return .success(.keyed(Self.read(parts) + batch))
          }
          try checkDemands(of: batch, besides: &new)
          let number = parts.count
          let inserts = Self.inserts(
            batch, from: bulk.ids.lowerBound + Int64(number * Self.bulkPart))
          parts.append(Part(inserts: inserts))
          group.addTask { (number, await self.write(inserts, in: bulk)) }
          await Task.yield()
          read = try next()
        }
      } catch {
        bulk.abandon()
        return .failure(error)
      }
      for await (number, result) in group {
        switch result {
        case .success(let demands): parts[number].demands = demands
        case .failure(let error):
          bulk.abandon()
          return .failure(error)
        }
      }
      return .success(.staged(parts))
    }
  }

  private static func inserts(_ batch: [Submission], from first: Int64) -> [TaskInsert] {
    batch.enumerated().map { index, item in
      TaskInsert(id: TaskID(rawValue: first + Int64(index)), task: item.task)
    }
  }

  private static func read(_ parts: [Part]) -> [Submission] {
    parts.flatMap { $0.inserts.map { Submission(task: $0.task, bodyHash: nil) } }
  }

  private func write(_ inserts: [TaskInsert], in bulk: Bulk) async -> Result<
    [DemandID], ControlError
  > {
    do throws(StoreError) {
      let demands = try await timed(.stage) { () throws(StoreError) in
        try await store.stage(inserts, in: bulk)
      }
      // They stay in the store even if the bulk is given up.
      knownDemands.withLock { known in
        var last: Demand?
        for insert in inserts where insert.task.demand != last {
          last = insert.task.demand
          known.insert(insert.task.demand)
        }
      }
      return .success(demands)
    } catch {
      return .failure(error.asControlError)
    }
  }

  // MARK: The end of a bulk

  private func publish(
    _ parts: [Part], of bulk: Bulk, now: Timestamp
  ) async throws(ControlError) -> [Submitted] {
    do throws(StoreError) {
      try await timed(.publish) { () throws(StoreError) in try await store.publish(bulk) }
    } catch {
      abandon(bulk)
      throw error.asControlError
    }
    var submitted: [Submitted] = []
    for part in parts {
      // One lock for each part: others go on in between.
      core.withLock { core in
        announce(part.inserts, core)
        for (insert, demand) in zip(part.inserts, part.demands) {
          enqueue(insert, demand, &core, now: now)
        }
      }
      kick()
      meterSubmissions(part.inserts)
      for insert in part.inserts { submitted.append(Submitted(id: insert.id, isNew: true)) }
    }
    return submitted
  }

  /// Removes what was written, after the answer. If that fails too, it stays hidden until the next
  /// start removes it.
  private func abandon(_ bulk: Bulk) {
    bulk.abandon()
    inBackground {
      do { try await self.store.discard(bulk) } catch {
        self.logger.warning(
          "part of a failed bulk stays in the store until the next start",
          metadata: ["error": "\(error)"])
      }
    }
  }
}
