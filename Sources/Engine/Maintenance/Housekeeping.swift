// SPDX-License-Identifier: Apache-2.0
// What is done once in a while: retention, silent agents, last-seen times.
import Domain
import Logging
import Synchronization

extension Engine {
  private static let interval: Int64 = 1_000
  private static let purgeEvery = 60
  private static let purgeBatch = 1_000

  func housekeepingLoop() async {
    var round = 0
    while true {
      do { try await world.sleep(Self.interval) } catch { return }
      core.withLock { $0.sweepSilent(now: world.now()) }
      await disableRetired()
      round += 1
      guard round % Self.purgeEvery == 0 else { continue }
      core.withLock { $0.sweepKeys(now: world.now()) }
      await flushSeen()
      await removeSilentJoined()
      await purgeAll()
    }
  }

  private func purgeAll() async {
    do {
      let purged = try await purge()
      if purged > 0 { logger.info("finished tasks purged", metadata: ["count": "\(purged)"]) }
    } catch {
      logger.error("retention failed; it goes on later", metadata: ["error": "\(error)"])
    }
  }

  /// Deletes what has been over for longer than it is kept, batch by batch.
  package func purge() async throws(StoreError) -> Int {
    let before = world.now().adding(milliseconds: -retention)
    var total = 0
    while true {
      let count = try await store.purge(endedBefore: before, limit: Self.purgeBatch)
      total += count
      if count < Self.purgeBatch { return total }
    }
  }
}
