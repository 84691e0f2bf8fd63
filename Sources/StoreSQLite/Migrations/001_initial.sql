-- SPDX-License-Identifier: Apache-2.0
-- The first schema: cold tasks, the hot queue, what ended, and what surrounds them.
-- Times are Unix milliseconds. Task ids are time-ordered, so new rows go to the right edge.

-- What was submitted. Never changed; the payload is last, so that scans do not read it.
CREATE TABLE tasks (
  id INTEGER PRIMARY KEY,
  demand INTEGER NOT NULL,
  task_key TEXT,
  priority INTEGER NOT NULL,
  labels TEXT,              -- JSON array: name, value, name, value, …
  run_at INTEGER,
  deadline INTEGER,
  timeout INTEGER,
  retry TEXT,               -- NULL: the default policy
  idempotency_key TEXT,
  retry_of INTEGER,
  payload TEXT NOT NULL
) STRICT;

-- Unfinished tasks only, narrow. state: 0 queued, 1 running.
CREATE TABLE queue (
  id INTEGER PRIMARY KEY,
  state INTEGER NOT NULL,
  demand INTEGER NOT NULL,
  task_key TEXT,
  priority INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  not_before INTEGER,
  deadline INTEGER,
  agent TEXT,
  token INTEGER,
  started_at INTEGER,
  lease_until INTEGER,
  timeout_at INTEGER,
  progress REAL,
  message TEXT,
  log_count INTEGER NOT NULL
) STRICT;
CREATE INDEX queue_running ON queue (state) WHERE state = 1;

-- Finished tasks. state: 2 completed, 3 failed, 4 cancelled. agent is NULL if the task ended while
-- queued, report_status if no report ended it.
CREATE TABLE ends (
  id INTEGER PRIMARY KEY,
  state INTEGER NOT NULL,
  demand INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  agent TEXT,
  started_at INTEGER,
  completed_at INTEGER NOT NULL,
  progress REAL,
  message TEXT,
  partial INTEGER NOT NULL,
  needs_attention INTEGER NOT NULL,
  report_status INTEGER,
  signed_id TEXT,
  log_count INTEGER NOT NULL,
  error TEXT,
  results TEXT
) STRICT;
CREATE INDEX ends_not_completed ON ends (state) WHERE state <> 2;
CREATE INDEX ends_attention ON ends (needs_attention) WHERE needs_attention = 1;

-- Attempts that ended without ending their task, and what settled them.
CREATE TABLE attempts (
  task INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  agent TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  status INTEGER,
  signed_id TEXT,
  error TEXT,
  PRIMARY KEY (task, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE task_logs (
  task INTEGER NOT NULL,
  line INTEGER NOT NULL,
  time INTEGER NOT NULL,
  level TEXT NOT NULL,
  message TEXT NOT NULL,
  metadata TEXT,
  PRIMARY KEY (task, line)
) STRICT, WITHOUT ROWID;

-- Distinct combinations of what tasks ask of agents. Never removed.
CREATE TABLE demands (
  id INTEGER PRIMARY KEY,
  type TEXT NOT NULL,
  agent_type TEXT NOT NULL, -- '': any
  requires TEXT NOT NULL,   -- JSON array
  selector TEXT NOT NULL,   -- JSON array: name, value, …
  UNIQUE (type, agent_type, requires, selector)
) STRICT;

-- Tasks per type and state, maintained with every commit.
CREATE TABLE counters (
  type TEXT PRIMARY KEY,
  queued INTEGER NOT NULL,
  running INTEGER NOT NULL,
  completed INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  cancelled INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Only tasks that were submitted with a key. ended_at is set once the task has been purged: the key
-- outlives it for a while.
CREATE TABLE idempotency (
  key TEXT PRIMARY KEY,
  task INTEGER NOT NULL,
  body_hash BLOB NOT NULL,
  ended_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_purged ON idempotency (ended_at) WHERE ended_at IS NOT NULL;

-- Ranges of task ids that are being written in several commits, and not to be seen yet.
CREATE TABLE bulk (
  first INTEGER PRIMARY KEY,
  last INTEGER NOT NULL
) STRICT;

CREATE TABLE agents (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  endpoint TEXT,
  cancel_endpoint TEXT,
  health_url TEXT,
  answers TEXT NOT NULL,
  capabilities TEXT NOT NULL, -- JSON array
  concurrency INTEGER NOT NULL,
  lease_seconds INTEGER,
  labels TEXT NOT NULL,       -- JSON array: name, value, …
  state TEXT NOT NULL,
  origin INTEGER NOT NULL,
  timeout INTEGER,
  options TEXT,
  created_at INTEGER NOT NULL,
  last_seen INTEGER,
  secret BLOB,                -- sealed
  previous_secret BLOB,       -- sealed
  previous_until INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE types (
  type TEXT PRIMARY KEY,
  paused INTEGER NOT NULL,
  concurrency INTEGER,
  rate REAL,
  key_concurrency INTEGER,
  key_rate REAL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  hash BLOB NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
  name TEXT PRIMARY KEY,
  sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
