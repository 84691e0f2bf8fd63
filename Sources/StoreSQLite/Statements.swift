// SPDX-License-Identifier: Apache-2.0
// The statements of the hot path, prepared once.
internal import Engine

/// What every task passes through. Each finds its row by the primary key; a test asserts the plans.
final class Statements {
  let insertTask, insertQueued, insertRunning: Statement
  let selectForClaim, setRunning: Statement
  let selectQueued, deleteQueued, insertEnd: Statement
  let requeue, insertAttempt: Statement
  let renew: Statement
  let insertLog: Statement
  let selectKey, insertKey: Statement

  init(_ connection: OpaquePointer) throws(StoreError) {
    func prepare(_ sql: String) throws(StoreError) -> Statement {
      try Statement(connection, sql)
    }
    insertTask = try prepare(SQL.insertTask)
    insertQueued = try prepare(SQL.insertQueued)
    insertRunning = try prepare(SQL.insertRunning)
    selectForClaim = try prepare(SQL.selectForClaim)
    setRunning = try prepare(SQL.setRunning)
    selectQueued = try prepare(SQL.selectQueued)
    deleteQueued = try prepare(SQL.deleteQueued)
    insertEnd = try prepare(SQL.insertEnd)
    requeue = try prepare(SQL.requeue)
    insertAttempt = try prepare(SQL.insertAttempt)
    renew = try prepare(SQL.renew)
    insertLog = try prepare(SQL.insertLog)
    selectKey = try prepare(SQL.selectKey)
    insertKey = try prepare(SQL.insertKey)
  }

  private var all: [Statement] {
    [
      insertTask, insertQueued, insertRunning, selectForClaim, setRunning, selectQueued,
      deleteQueued, insertEnd, requeue, insertAttempt, renew, insertLog, selectKey, insertKey,
    ]
  }

  func finalize() {
    for statement in all { statement.finalize() }
  }
}

/// The texts of the hot statements.
enum SQL {
  static let insertTask = """
    INSERT INTO tasks (id, demand, task_key, priority, labels, run_at, deadline, timeout, retry,
      idempotency_key, retry_of, payload, trace)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
    """
  static let insertQueued = """
    INSERT INTO queue (id, state, demand, task_key, priority, attempt, failures, not_before,
      deadline, log_count)
    VALUES (?1, 0, ?2, ?3, ?4, 0, 0, ?5, ?6, 0)
    """
  static let insertRunning = """
    INSERT INTO queue (id, state, demand, task_key, priority, attempt, failures, deadline, agent,
      token, started_at, lease_until, timeout_at, log_count)
    VALUES (?1, 1, ?2, ?3, ?4, 1, 0, ?5, ?6, ?7, ?8, ?9, ?10, 0)
    """
  static let selectForClaim = """
    SELECT q.state, q.demand, q.task_key, q.priority, q.attempt, q.failures, q.deadline,
      t.timeout, t.retry, t.payload, t.trace, t.labels
    FROM queue q JOIN tasks t ON t.id = q.id WHERE q.id = ?1
    """
  static let setRunning = """
    UPDATE queue SET state = 1, attempt = ?2, not_before = NULL, agent = ?3, token = ?4,
      started_at = ?5, lease_until = ?6, timeout_at = ?7, progress = NULL, message = NULL
    WHERE id = ?1
    """
  static let selectQueued = """
    SELECT state, demand, attempt, failures, agent, started_at, progress, message, log_count
    FROM queue WHERE id = ?1
    """
  static let deleteQueued = "DELETE FROM queue WHERE id = ?1"
  static let insertEnd = """
    INSERT INTO ends (id, state, demand, attempt, failures, agent, started_at, completed_at,
      progress, message, partial, needs_attention, report_status, signed_id, log_count, error,
      results)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
    """
  static let requeue = """
    UPDATE queue SET state = 0, failures = ?2, not_before = ?3, log_count = ?4, agent = NULL,
      token = NULL, started_at = NULL, lease_until = NULL, timeout_at = NULL, progress = NULL,
      message = NULL
    WHERE id = ?1
    """
  static let insertAttempt = """
    INSERT INTO attempts (task, attempt, agent, started_at, ended_at, status, signed_id, error)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    """
  static let renew = """
    UPDATE queue SET lease_until = max(lease_until, ?2), progress = coalesce(?3, progress),
      message = coalesce(?4, message), log_count = ?5
    WHERE id = ?1
    """
  static let insertLog = """
    INSERT INTO task_logs (task, line, time, level, message, metadata)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    """
  static let selectKey = "SELECT task, body_hash FROM idempotency WHERE key = ?1"
  static let insertKey = "INSERT INTO idempotency (key, task, body_hash) VALUES (?1, ?2, ?3)"
  static let selectRunning = """
    SELECT q.state, q.demand, q.task_key, q.priority, q.agent, q.attempt, q.token, q.failures,
      t.retry, q.started_at, q.lease_until, q.timeout_at, q.deadline,
      t.trace, t.labels
    FROM queue q JOIN tasks t ON t.id = q.id WHERE q.id = ?1
    """
}
