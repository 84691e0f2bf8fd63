// SPDX-License-Identifier: Apache-2.0
// The embedded store: one writing thread with group commit, readers that never wait for it.
package import Domain
package import Engine
internal import Foundation
internal import GRDB
package import Logging
internal import Synchronization

/// A store in one SQLite file: WAL, every commit on disk before it is answered.
///
/// A thread of its own holds the pool's writing connection for as long as the store is open.
package final class SQLiteStore: Store {
  let folder: DataFolder
  let pool: DatabasePool
  let commits: GroupCommit<Writer>
  let demandNumbers = CommittedDemands()
  let limits: Limits
  let logger: Logger
  /// Where the last purge of each cut-off stopped looking.
  let purgeCursor = Mutex<Int64>(0)
  private let closing = Closing()

  /// Opens the database of a data folder, making both if they are missing; blocks for up to five
  /// seconds if another program has the file locked.
  ///
  /// - Parameter database: The database file, if it lies elsewhere than in the folder.
  package static func open(
    folder path: String, database: String? = nil, limits: Limits = Limits(),
    logger: Logger = Logger(label: "orrery.store")
  ) throws(StoreOpenError) -> SQLiteStore {
    let folder = try DataFolder(path: path, database: database)
    do throws(StoreOpenError) {
      return try SQLiteStore(folder, limits, logger)
    } catch {
      folder.unlock()
      throw error
    }
  }

  private init(_ folder: DataFolder, _ limits: Limits, _ logger: Logger) throws(StoreOpenError) {
    self.folder = folder
    self.limits = limits
    self.logger = logger
    commits = GroupCommit(limit: limits.pendingWrites)
    let opened = try Opening.open(folder, limits, demandNumbers) { [commits] sentence in
      commits.fail(sentence)
    }
    pool = opened.pool
    try opened.checkpointer.start()
    startThread(opened.writer)
    if opened.checkInBackground { checkInBackground() }
  }

  private func startThread(_ writer: Writer) {
    let thread = Thread { [pool, commits, folder, closing, logger] in
      do {
        // The writer's connection is ours until `run` returns.
        try pool.writeWithoutTransaction { db in
          commits.run(writer)
          writer.finalize()
          if !commits.hasFailed { try db.checkpoint(.truncate) }
        }
        if commits.hasFailed {
          // Closing would fold the log into a file that could not be synced, and remove it.
          _ = Unmanaged.passRetained(pool)
        } else {
          try pool.close()
        }
      } catch {
        logger.error("The database did not close cleanly.", metadata: ["error": "\(error)"])
      }
      folder.unlock()
      closing.finish()
    }
    thread.name = "orrery.writer"
    thread.stackSize = 1 << 20
    thread.start()
  }

  /// Waits until the database cannot be written any more, and returns why; nil if it is closed
  /// instead. The server process must end then, with a non-zero code. For one waiter.
  package func untilFailed() async -> String? { await commits.untilFailed() }

  /// Finishes the writes that wait, folds the log into the database and unlocks the folder.
  package func close() async {
    commits.close()
    await closing.wait()
  }

  /// Bytes on disk: the database and its log.
  package func size() async throws(StoreError) -> Int64 {
    let database = folder.database
    return (DataFolder.size(of: database) ?? 0) + (DataFolder.size(of: database + "-wal") ?? 0)
  }
}

/// Lets several callers wait for the writer's thread to end.
private final class Closing: Sendable {
  private struct State {
    var isOver = false
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())

  func finish() {
    let waiting = state.withLock { state in
      state.isOver = true
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }

  func wait() async {
    await withCheckedContinuation { continuation in
      let isOver = state.withLock { state in
        if !state.isOver { state.waiting.append(continuation) }
        return state.isOver
      }
      if isOver { continuation.resume() }
    }
  }
}
