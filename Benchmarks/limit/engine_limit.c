// SPDX-License-Identifier: Apache-2.0
// The limit of the engine loop: one C thread inserting, claiming and settling the same rows.
//
// The schema is the store's own: its migrations are run as they are. The statements and settings
// are the store's for a no-op task without a client key and without results: the cold row, the hot
// row, the claim with its payload read back, the end row, the counters of the type. Each phase of a batch is one
// transaction; with --mixed, the phases of three successive batches share one.
#define _GNU_SOURCE
#include <dirent.h>
#include <getopt.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../native/histogram.h"
#include "../native/monotonic.h"

static const char usage[] =
    "usage: engine-limit --migrations DIR --data DIR [--batch 500] [--seconds 5] [--mixed]\n";

struct options {
  const char *migrations, *data;
  long batch;
  double seconds;
  bool mixed;
};

enum statement {
  BEGIN,
  COMMIT,
  INSERT_TASK,
  INSERT_QUEUED,
  SELECT_FOR_CLAIM,
  SET_RUNNING,
  SELECT_QUEUED,
  INSERT_END,
  DELETE_QUEUED,
  COUNT,
  STATEMENTS
};

// The texts of the store's hot statements, with what is the same for every task bound once.
static const char *const sql[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [INSERT_TASK] =
        "INSERT INTO tasks (id, demand, task_key, priority, labels, run_at, deadline, timeout,"
        " retry, idempotency_key, retry_of, payload)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    [INSERT_QUEUED] =
        "INSERT INTO queue (id, state, demand, task_key, priority, attempt, failures, not_before,"
        " deadline, log_count) VALUES (?1, 0, ?2, ?3, ?4, 0, 0, ?5, ?6, 0)",
    [SELECT_FOR_CLAIM] =
        "SELECT q.state, q.demand, q.task_key, q.priority, q.attempt, q.failures, q.deadline,"
        " t.timeout, t.retry, t.payload"
        " FROM queue q JOIN tasks t ON t.id = q.id WHERE q.id = ?1",
    [SET_RUNNING] =
        "UPDATE queue SET state = 1, attempt = ?2, not_before = NULL, agent = ?3, token = ?4,"
        " started_at = ?5, lease_until = ?6, timeout_at = ?7, progress = NULL, message = NULL"
        " WHERE id = ?1",
    [SELECT_QUEUED] =
        "SELECT state, demand, attempt, failures, agent, started_at, progress, message, log_count"
        " FROM queue WHERE id = ?1",
    [INSERT_END] =
        "INSERT INTO ends (id, state, demand, attempt, failures, agent, started_at, completed_at,"
        " progress, message, partial, needs_attention, report_status, signed_id, log_count, error,"
        " results) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"
        " ?17)",
    [DELETE_QUEUED] = "DELETE FROM queue WHERE id = ?1",
    [COUNT] = "INSERT INTO counters (type, queued, running, completed, failed, cancelled)"
              " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (type) DO UPDATE SET"
              " queued = queued + excluded.queued, running = running + excluded.running,"
              " completed = completed + excluded.completed, failed = failed + excluded.failed,"
              " cancelled = cancelled + excluded.cancelled",
};

struct writer {
  sqlite3 *database;
  sqlite3_stmt *statements[STATEMENTS];
  struct histogram commits;
  char payload[201], copy[200];
  long long next_id, queued, running, completed;
};

static void die(struct writer *writer, const char *what) {
  fprintf(stderr, "%s: %s\n", what, writer->database ? sqlite3_errmsg(writer->database) : "");
  exit(2);
}

static void execute(struct writer *writer, const char *text) {
  if (sqlite3_exec(writer->database, text, NULL, NULL, NULL) != SQLITE_OK) die(writer, text);
}

static void run_file(struct writer *writer, const char *folder, const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "r");
  char *text = NULL;
  size_t capacity = 0;
  if (!file || getdelim(&text, &capacity, 0, file) < 0) {
    perror(path);
    exit(2);
  }
  fclose(file);
  execute(writer, text);
  free(text);
}

static int is_migration(const struct dirent *entry) {
  size_t count = strlen(entry->d_name);
  return count > 4 && strcmp(entry->d_name + count - 4, ".sql") == 0;
}

static void migrate(struct writer *writer, const char *folder) {
  struct dirent **entries = NULL;
  int count = scandir(folder, &entries, is_migration, alphasort);
  if (count < 1) {
    fprintf(stderr, "no migrations in %s\n", folder);
    exit(2);
  }
  for (int index = 0; index < count; index++) {
    run_file(writer, folder, entries[index]->d_name);
    free(entries[index]);
  }
  free(entries);
}

static void open_database(struct writer *writer, const char *folder) {
  char path[4096];
  snprintf(path, sizeof path, "%s/limit.db", folder);
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path, &writer->database, flags, NULL) != SQLITE_OK) die(writer, path);
  execute(writer, "PRAGMA journal_mode = WAL");
  execute(writer, "PRAGMA synchronous = FULL");
  execute(writer, "PRAGMA cache_size = -16384");
  execute(writer, "PRAGMA wal_autocheckpoint = 4000");
  execute(writer, "PRAGMA journal_size_limit = 67108864");
  execute(writer, "PRAGMA temp_store = MEMORY");
  execute(writer, "PRAGMA foreign_keys = OFF");
}

static void prepare(struct writer *writer) {
  for (int index = 0; index < STATEMENTS; index++)
    if (sqlite3_prepare_v3(writer->database, sql[index], -1, SQLITE_PREPARE_PERSISTENT,
                           &writer->statements[index], NULL) != SQLITE_OK)
      die(writer, sql[index]);
  memset(writer->payload, 'x', 200);
  memcpy(writer->payload, "{\"pad\":\"", 8);
  memcpy(writer->payload + 198, "\"}", 2);
}

static void step(struct writer *writer, enum statement statement, int wanted) {
  sqlite3_stmt *prepared = writer->statements[statement];
  if (sqlite3_step(prepared) != wanted) die(writer, sql[statement]);
  if (wanted == SQLITE_DONE) sqlite3_reset(prepared);
}

static void integer(struct writer *writer, enum statement statement, int at, long long value) {
  sqlite3_bind_int64(writer->statements[statement], at, value);
}

static void text(struct writer *writer, enum statement statement, int at, const char *value) {
  sqlite3_bind_text(writer->statements[statement], at, value, -1, SQLITE_STATIC);
}

// What is the same for every task of the benchmark.
static void bind_constants(struct writer *writer) {
  integer(writer, INSERT_TASK, 2, 1);
  integer(writer, INSERT_TASK, 4, 5);
  text(writer, INSERT_TASK, 12, writer->payload);
  integer(writer, INSERT_QUEUED, 2, 1);
  integer(writer, INSERT_QUEUED, 4, 5);
  text(writer, SET_RUNNING, 3, "agent-1");
  integer(writer, INSERT_END, 2, 2);
  integer(writer, INSERT_END, 3, 1);
  integer(writer, INSERT_END, 5, 0);
  text(writer, INSERT_END, 6, "agent-1");
  integer(writer, INSERT_END, 11, 0);
  integer(writer, INSERT_END, 12, 0);
  integer(writer, INSERT_END, 13, 0);
  integer(writer, INSERT_END, 15, 0);
  text(writer, COUNT, 1, "bench");
  integer(writer, COUNT, 5, 0);
  integer(writer, COUNT, 6, 0);
}

static void submit(struct writer *writer, long long first, long batch) {
  for (long long id = first; id < first + batch; id++) {
    integer(writer, INSERT_TASK, 1, id);
    step(writer, INSERT_TASK, SQLITE_DONE);
    integer(writer, INSERT_QUEUED, 1, id);
    step(writer, INSERT_QUEUED, SQLITE_DONE);
  }
  writer->queued += batch;
}

static void claim(struct writer *writer, long long first, long batch, long long now) {
  sqlite3_stmt *row = writer->statements[SELECT_FOR_CLAIM];
  for (long long id = first; id < first + batch; id++) {
    integer(writer, SELECT_FOR_CLAIM, 1, id);
    step(writer, SELECT_FOR_CLAIM, SQLITE_ROW);
    if (sqlite3_column_int64(row, 0) != 0) die(writer, "a claimed task is not queued");
    memcpy(writer->copy, sqlite3_column_text(row, 9), sizeof writer->copy);
    integer(writer, SET_RUNNING, 1, id);
    integer(writer, SET_RUNNING, 2, sqlite3_column_int64(row, 4) + 1);
    integer(writer, SET_RUNNING, 4, id * 2654435761);
    integer(writer, SET_RUNNING, 5, now);
    integer(writer, SET_RUNNING, 6, now + 300000);
    integer(writer, SET_RUNNING, 7, now + 300000);
    step(writer, SET_RUNNING, SQLITE_DONE);
    sqlite3_reset(row);
  }
  writer->queued -= batch;
  writer->running += batch;
}

static void settle(struct writer *writer, long long first, long batch, long long now) {
  sqlite3_stmt *row = writer->statements[SELECT_QUEUED];
  for (long long id = first; id < first + batch; id++) {
    integer(writer, SELECT_QUEUED, 1, id);
    step(writer, SELECT_QUEUED, SQLITE_ROW);
    if (sqlite3_column_int64(row, 0) != 1) die(writer, "a settled task is not running");
    integer(writer, INSERT_END, 1, id);
    integer(writer, INSERT_END, 4, sqlite3_column_int64(row, 2));
    integer(writer, INSERT_END, 7, sqlite3_column_int64(row, 5));
    sqlite3_reset(row);
    integer(writer, INSERT_END, 8, now);
    integer(writer, DELETE_QUEUED, 1, id);
    step(writer, DELETE_QUEUED, SQLITE_DONE);
    step(writer, INSERT_END, SQLITE_DONE);
  }
  writer->running -= batch;
  writer->completed += batch;
}

static void begin(struct writer *writer) { step(writer, BEGIN, SQLITE_DONE); }

static void commit(struct writer *writer) {
  integer(writer, COUNT, 2, writer->queued);
  integer(writer, COUNT, 3, writer->running);
  integer(writer, COUNT, 4, writer->completed);
  step(writer, COUNT, SQLITE_DONE);
  writer->queued = writer->running = writer->completed = 0;
  uint64_t start = monotonic_ns();
  step(writer, COMMIT, SQLITE_DONE);
  histogram_add(&writer->commits, monotonic_ns() - start);
}

// One batch through its three phases, each in its own transaction.
static void run_phases(struct writer *writer, long batch, long long now) {
  begin(writer);
  submit(writer, writer->next_id, batch);
  commit(writer);
  begin(writer);
  claim(writer, writer->next_id, batch, now);
  commit(writer);
  begin(writer);
  settle(writer, writer->next_id, batch, now);
  commit(writer);
}

// Three batches a step apart in one transaction, as when calls of all kinds wait for a commit.
static void run_mixed(struct writer *writer, long batch, long long now, long long first_id) {
  begin(writer);
  submit(writer, writer->next_id, batch);
  if (writer->next_id - batch >= first_id) claim(writer, writer->next_id - batch, batch, now);
  if (writer->next_id - 2 * batch >= first_id)
    settle(writer, writer->next_id - 2 * batch, batch, now);
  commit(writer);
}

static void parse_options(struct options *options, int count, char **words) {
  static const struct option known[] = {{"migrations", required_argument, NULL, 'm'},
                                        {"data", required_argument, NULL, 'd'},
                                        {"batch", required_argument, NULL, 'b'},
                                        {"seconds", required_argument, NULL, 's'},
                                        {"mixed", no_argument, NULL, 'x'},
                                        {NULL, 0, NULL, 0}};
  *options = (struct options){.batch = 500, .seconds = 5};
  int option;
  bool understood = true;
  while ((option = getopt_long(count, words, "", known, NULL)) != -1) {
    if (option == 'm') options->migrations = optarg;
    else if (option == 'd') options->data = optarg;
    else if (option == 'b') options->batch = atol(optarg);
    else if (option == 's') options->seconds = atof(optarg);
    else if (option == 'x') options->mixed = true;
    else understood = false;
  }
  bool complete = options->migrations && options->data && options->batch > 0;
  if (understood && complete && options->seconds > 0) return;
  fputs(usage, stderr);
  exit(64);
}

int main(int count, char **words) {
  struct options options;
  struct writer *writer = calloc(1, sizeof *writer);
  if (!writer) return 2;
  parse_options(&options, count, words);
  open_database(writer, options.data);
  migrate(writer, options.migrations);
  prepare(writer);
  bind_constants(writer);
  // Time-ordered ids, as the store's: milliseconds above, a counter below.
  writer->next_id = (long long)time(NULL) * 1000 << 20;
  long long first_id = writer->next_id;
  uint64_t start = monotonic_ns();
  uint64_t end = start + (uint64_t)(options.seconds * 1e9);
  for (; monotonic_ns() < end; writer->next_id += options.batch) {
    long long now = (long long)time(NULL) * 1000;
    if (options.mixed) run_mixed(writer, options.batch, now, first_id);
    else run_phases(writer, options.batch, now);
  }
  double seconds = (double)(monotonic_ns() - start) / 1e9;
  long long tasks = writer->next_id - first_id;
  printf("{\"tasks\":%lld,\"seconds\":%.3f,\"tasksPerSecond\":%.1f,\"batch\":%ld,"
         "\"mixed\":%s,\"sqlite\":\"%s\",\"commitMs\":",
         tasks, seconds, (double)tasks / seconds, options.batch,
         options.mixed ? "true" : "false", sqlite3_libversion());
  histogram_print(&writer->commits, stdout);
  puts("}");
  for (int index = 0; index < STATEMENTS; index++) sqlite3_finalize(writer->statements[index]);
  return sqlite3_close(writer->database) == SQLITE_OK ? 0 : 2;
}
