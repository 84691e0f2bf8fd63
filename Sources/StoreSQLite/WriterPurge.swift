// SPDX-License-Identifier: Apache-2.0
// Retention: finished tasks leave with everything that hangs on them.
internal import Domain
internal import Engine

extension Writer {
  /// Deletes those of `ids` that have ended, with their attempts and logs, and returns how many.
  /// Idempotency keys stay for a day after the end, counted against `time`.
  func purge(_ ids: ArraySlice<Int64>, endedBefore time: Timestamp) throws(StoreError) -> Int {
    var purged = 0
    for id in ids where try purge(id, endedBefore: time) { purged += 1 }
    if let highest = ids.max() { try keepLastID(highest) }
    return purged
  }

  private func purge(_ id: Int64, endedBefore time: Timestamp) throws(StoreError) -> Bool {
    let select = try statement(
      """
      SELECT e.state, e.demand, e.completed_at, t.idempotency_key
      FROM ends e JOIN tasks t ON t.id = e.id WHERE e.id = ?1
      """)
    try select.bind(1, id)
    guard try select.step() else { return false }
    let state: TaskState
    do {
      defer { select.reset() }
      state = try select.state(0)
      counters.add(-1, to: state, of: select.demand(1))
      if let key = select.optionalText(3) {
        try purge(key: key, endedAt: select.time(2), before: time)
      }
    }
    for sql in Self.purgeStatements {
      let delete = try statement(sql)
      try delete.bind(1, id)
      try delete.run()
    }
    return true
  }

  private static let purgeStatements = [
    "DELETE FROM ends WHERE id = ?1", "DELETE FROM tasks WHERE id = ?1",
    "DELETE FROM attempts WHERE task = ?1", "DELETE FROM task_logs WHERE task = ?1",
  ]

  private func purge(key: String, endedAt: Timestamp, before time: Timestamp) throws(StoreError) {
    let isOver = endedAt.adding(milliseconds: Limits.idempotencyMemory) <= time
    let change = try statement(
      isOver
        ? "DELETE FROM idempotency WHERE key = ?1"
        : "UPDATE idempotency SET ended_at = ?2 WHERE key = ?1")
    try change.bind(1, text: key)
    if !isOver { try change.bind(2, endedAt.milliseconds) }
    try change.run()
  }

  /// Deletes keys that have outlived their task for long enough.
  func purgeKeys(endedBefore time: Timestamp) throws(StoreError) {
    let delete = try statement("DELETE FROM idempotency WHERE ended_at <= ?1")
    try delete.bind(1, time.adding(milliseconds: -Limits.idempotencyMemory).milliseconds)
    try delete.run()
  }

  /// Ids must not be used twice, even when the newest task is gone.
  private func keepLastID(_ id: Int64) throws(StoreError) {
    let select = try statement("SELECT value FROM meta WHERE name = '\(Self.lastIDName)'")
    let kept = try select.step() ? Int64(String(decoding: select.bytes(0), as: UTF8.self)) : nil
    select.reset()
    if id > kept ?? 0 { try setMeta(Self.lastIDName, Array("\(id)".utf8)) }
  }

  static let lastIDName = "highest purged task"
}
