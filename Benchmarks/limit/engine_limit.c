// SPDX-License-Identifier: Apache-2.0
// The limit of the engine loop: one C thread inserting, claiming and settling the same rows.
//
// The schema is the store's own: its migrations are run as they are. The statements write what
// the store writes for a no-op task without a client key: the cold row, the hot row, the claim
// with its payload read back, the end row, and the counters of the type, each phase of a batch in
// one transaction (or all three in one with --fused), WAL with synchronous=FULL.
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
    "usage: engine-limit --migrations DIR --data DIR [--batch 500] [--seconds 5] [--fused]\n";

struct options {
  const char *migrations, *data;
  long batch;
  double seconds;
  bool fused;
};

enum statement {
  BEGIN,
  COMMIT,
  INSERT_TASK,
  INSERT_QUEUE,
  CLAIM,
  READ_TASK,
  READ_RUNNING,
  INSERT_END,
  DELETE_QUEUE,
  COUNT_QUEUED,
  COUNT_CLAIMED,
  COUNT_SETTLED,
  STATEMENTS
};

static const char *const sql[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [INSERT_TASK] =
        "INSERT INTO tasks (id, demand, task_key, priority, labels, run_at, deadline, timeout,"
        " retry, idempotency_key, retry_of, payload)"
        " VALUES (?1, 1, NULL, 5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, ?2)",
    [INSERT_QUEUE] =
        "INSERT INTO queue (id, state, demand, task_key, priority, attempt, failures, not_before,"
        " deadline, log_count) VALUES (?1, 0, 1, NULL, 5, 0, 0, NULL, NULL, 0)",
    [CLAIM] =
        "UPDATE queue SET state = 1, attempt = attempt + 1, agent = ?2, token = ?3,"
        " started_at = ?4, lease_until = ?5, timeout_at = ?5, progress = NULL, message = NULL"
        " WHERE id = ?1 AND (state + 0) = 0",
    [READ_TASK] = "SELECT timeout, retry, payload FROM tasks WHERE id = ?1",
    [READ_RUNNING] =
        "SELECT demand, attempt, failures, agent, token, started_at, progress, message, log_count"
        " FROM queue WHERE id = ?1 AND (state + 0) = 1",
    [INSERT_END] =
        "INSERT INTO ends (id, state, demand, attempt, failures, agent, started_at, completed_at,"
        " progress, message, partial, needs_attention, report_status, signed_id, log_count, error,"
        " results) VALUES (?1, 2, 1, 1, 0, ?2, ?3, ?4, NULL, NULL, 0, 0, 0, ?5, 0, NULL, ?6)",
    [DELETE_QUEUE] = "DELETE FROM queue WHERE id = ?1",
    [COUNT_QUEUED] =
        "INSERT INTO counters (type, queued, running, completed, failed, cancelled)"
        " VALUES ('bench', ?1, 0, 0, 0, 0)"
        " ON CONFLICT (type) DO UPDATE SET queued = queued + excluded.queued",
    [COUNT_CLAIMED] =
        "UPDATE counters SET queued = queued - ?1, running = running + ?1 WHERE type = 'bench'",
    [COUNT_SETTLED] = "UPDATE counters SET running = running - ?1, completed = completed + ?1"
                      " WHERE type = 'bench'",
};

struct writer {
  sqlite3 *database;
  sqlite3_stmt *statements[STATEMENTS];
  struct histogram commits;
  char payload[201], results[49];
  long long next_id;
  unsigned long long bytes_read;
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
  execute(writer, "PRAGMA cache_size = -16000");
  execute(writer, "PRAGMA foreign_keys = ON");
}

static void prepare(struct writer *writer) {
  for (int index = 0; index < STATEMENTS; index++)
    if (sqlite3_prepare_v3(writer->database, sql[index], -1, SQLITE_PREPARE_PERSISTENT,
                           &writer->statements[index], NULL) != SQLITE_OK)
      die(writer, sql[index]);
  memset(writer->payload, 'x', 200);
  memcpy(writer->payload, "{\"pad\":\"", 8);
  memcpy(writer->payload + 198, "\"}", 2);
  memcpy(writer->results, "{\"data\":{\"ok\":true},\"pad\":\"                    \"}", 48);
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

static void commit(struct writer *writer) {
  uint64_t begin = monotonic_ns();
  step(writer, COMMIT, SQLITE_DONE);
  histogram_add(&writer->commits, monotonic_ns() - begin);
}

static void submit(struct writer *writer, long batch) {
  for (long index = 0; index < batch; index++) {
    integer(writer, INSERT_TASK, 1, writer->next_id + index);
    text(writer, INSERT_TASK, 2, writer->payload);
    step(writer, INSERT_TASK, SQLITE_DONE);
    integer(writer, INSERT_QUEUE, 1, writer->next_id + index);
    step(writer, INSERT_QUEUE, SQLITE_DONE);
  }
  integer(writer, COUNT_QUEUED, 1, batch);
  step(writer, COUNT_QUEUED, SQLITE_DONE);
}

static void claim(struct writer *writer, long batch, long long now) {
  for (long index = 0; index < batch; index++) {
    long long id = writer->next_id + index;
    integer(writer, CLAIM, 1, id);
    text(writer, CLAIM, 2, "agent-1");
    integer(writer, CLAIM, 3, id * 2654435761);
    integer(writer, CLAIM, 4, now);
    integer(writer, CLAIM, 5, now + 300000);
    step(writer, CLAIM, SQLITE_DONE);
    if (sqlite3_changes(writer->database) != 1) die(writer, "a claim changed no row");
    integer(writer, READ_TASK, 1, id);
    step(writer, READ_TASK, SQLITE_ROW);
    writer->bytes_read += (unsigned)sqlite3_column_bytes(writer->statements[READ_TASK], 2);
    sqlite3_reset(writer->statements[READ_TASK]);
  }
  integer(writer, COUNT_CLAIMED, 1, batch);
  step(writer, COUNT_CLAIMED, SQLITE_DONE);
}

static void settle(struct writer *writer, long batch, long long now) {
  for (long index = 0; index < batch; index++) {
    long long id = writer->next_id + index;
    char signed_id[32];
    snprintf(signed_id, sizeof signed_id, "msg_%lld", id);
    integer(writer, READ_RUNNING, 1, id);
    step(writer, READ_RUNNING, SQLITE_ROW);
    long long started = sqlite3_column_int64(writer->statements[READ_RUNNING], 5);
    sqlite3_reset(writer->statements[READ_RUNNING]);
    integer(writer, INSERT_END, 1, id);
    text(writer, INSERT_END, 2, "agent-1");
    integer(writer, INSERT_END, 3, started);
    integer(writer, INSERT_END, 4, now + 1);
    text(writer, INSERT_END, 5, signed_id);
    text(writer, INSERT_END, 6, writer->results);
    step(writer, INSERT_END, SQLITE_DONE);
    integer(writer, DELETE_QUEUE, 1, id);
    step(writer, DELETE_QUEUE, SQLITE_DONE);
  }
  integer(writer, COUNT_SETTLED, 1, batch);
  step(writer, COUNT_SETTLED, SQLITE_DONE);
}

static void boundary(struct writer *writer, bool fused) {
  if (fused) return;
  commit(writer);
  step(writer, BEGIN, SQLITE_DONE);
}

static void cycle(struct writer *writer, const struct options *options) {
  long long now = (long long)time(NULL) * 1000;
  step(writer, BEGIN, SQLITE_DONE);
  submit(writer, options->batch);
  boundary(writer, options->fused);
  claim(writer, options->batch, now);
  boundary(writer, options->fused);
  settle(writer, options->batch, now);
  commit(writer);
  writer->next_id += options->batch;
}

static void parse_options(struct options *options, int count, char **words) {
  static const struct option known[] = {{"migrations", required_argument, NULL, 'm'},
                                        {"data", required_argument, NULL, 'd'},
                                        {"batch", required_argument, NULL, 'b'},
                                        {"seconds", required_argument, NULL, 's'},
                                        {"fused", no_argument, NULL, 'f'},
                                        {NULL, 0, NULL, 0}};
  *options = (struct options){.batch = 500, .seconds = 5};
  int option;
  bool understood = true;
  while ((option = getopt_long(count, words, "", known, NULL)) != -1) {
    if (option == 'm') options->migrations = optarg;
    else if (option == 'd') options->data = optarg;
    else if (option == 'b') options->batch = atol(optarg);
    else if (option == 's') options->seconds = atof(optarg);
    else if (option == 'f') options->fused = true;
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
  // Time-ordered ids, as the store's: milliseconds above, a counter below.
  writer->next_id = (long long)time(NULL) * 1000 << 20;
  long long first_id = writer->next_id;
  uint64_t begin = monotonic_ns();
  uint64_t end = begin + (uint64_t)(options.seconds * 1e9);
  while (monotonic_ns() < end) cycle(writer, &options);
  double seconds = (double)(monotonic_ns() - begin) / 1e9;
  long long tasks = writer->next_id - first_id;
  printf("{\"tasks\":%lld,\"seconds\":%.3f,\"tasksPerSecond\":%.1f,\"batch\":%ld,"
         "\"fused\":%s,\"sqlite\":\"%s\",\"commitMs\":",
         tasks, seconds, (double)tasks / seconds, options.batch,
         options.fused ? "true" : "false", sqlite3_libversion());
  histogram_print(&writer->commits, stdout);
  puts("}");
  for (int index = 0; index < STATEMENTS; index++) sqlite3_finalize(writer->statements[index]);
  return sqlite3_close(writer->database) == SQLITE_OK ? 0 : 2;
}
