// SPDX-License-Identifier: Apache-2.0
// Many WebSockets and the agent whose reports they show, in one process with one clock.
#define _GNU_SOURCE
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "live.h"

static const char usage[] =
    "usage: live own|all --port PORT --server PID [--sockets 10000] [--tasks N] [--stuck 0]\n"
    "  [--rate REPORTS_PER_SECOND] [--warmup 2] [--seconds 10] [--settle 2] [--patience 0]\n"
    "  own: each socket is subscribed to `overview` and to one task of its own;\n"
    "  all: each is subscribed to `tasks`. As many sockets as --stuck says are never read.\n"
    "  The tasks are leased by the agent of ORRERY_AGENT_ID and ORRERY_AGENT_SECRET and their\n"
    "  progress is reported one after another. The sockets sign in with ORRERY_TOKEN. After the\n"
    "  measured seconds it reports on for at most --patience seconds, until the server has\n"
    "  closed the sockets that are never read.\n";

static void refuse(void) {
  fputs(usage, stderr);
  exit(64);
}

static void check(struct live *live) {
  struct options *options = &live->options;
  const char *secret = getenv("ORRERY_AGENT_SECRET");
  options->token = getenv("ORRERY_TOKEN");
  if (options->tasks == 0) options->tasks = options->sockets;
  live->identity.port = options->port;
  live->identity.agent = getenv("ORRERY_AGENT_ID");
  if (live->identity.agent && secret) live->identity.signer = signer_new(secret);
  bool counts = options->sockets > 0 && options->tasks > 0 && options->stuck >= 0 &&
                options->stuck < options->sockets && options->rate > 0 && options->seconds > 0;
  bool own_tasks = options->all_tasks || options->tasks == options->sockets;
  if (!options->port || !options->token || !live->identity.signer || !counts || !own_tasks)
    refuse();
}

static void parse(struct live *live, int count, char **words) {
  static const struct option known[] = {
      {"port", required_argument, NULL, 'p'},    {"server", required_argument, NULL, 'v'},
      {"sockets", required_argument, NULL, 'c'}, {"tasks", required_argument, NULL, 't'},
      {"stuck", required_argument, NULL, 'k'},   {"rate", required_argument, NULL, 'r'},
      {"warmup", required_argument, NULL, 'w'},  {"seconds", required_argument, NULL, 's'},
      {"settle", required_argument, NULL, 'e'},  {"patience", required_argument, NULL, 'a'},
      {NULL, 0, NULL, 0}};
  struct options *options = &live->options;
  *options = (struct options){.sockets = 10000, .rate = 200, .warmup = 2, .seconds = 10,
                              .settle = 2, .path = "/ws"};
  if (count < 2 || (strcmp(words[1], "own") != 0 && strcmp(words[1], "all") != 0)) refuse();
  options->all_tasks = strcmp(words[1], "all") == 0;
  int option;
  while ((option = getopt_long(count - 1, words + 1, "", known, NULL)) != -1) {
    switch (option) {
      case 'p': options->port = (uint16_t)atoi(optarg); break;
      case 'v': options->server = atoi(optarg); break;
      case 'c': options->sockets = atoi(optarg); break;
      case 't': options->tasks = atoi(optarg); break;
      case 'k': options->stuck = atoi(optarg); break;
      case 'r': options->rate = atof(optarg); break;
      case 'w': options->warmup = atof(optarg); break;
      case 's': options->seconds = atof(optarg); break;
      case 'e': options->settle = atof(optarg); break;
      case 'a': options->patience = atof(optarg); break;
      default: refuse();
    }
  }
  check(live);
}

static double seconds_between(uint64_t begin, uint64_t end) {
  return end > begin ? (double)(end - begin) / 1e9 : 0;
}

static void print_number(const char *name, uint64_t value) {
  printf("\"%s\":%llu,", name, (unsigned long long)value);
}

static void print_histogram(const char *name, const struct histogram *histogram) {
  printf("\"%s\":", name);
  histogram_print(histogram, stdout);
  putchar(',');
}

static void print_usage(const struct live *live) {
  double window = seconds_between(live->begin.at_ns, live->end.at_ns);
  printf("\"windowSeconds\":%.3f,\"serverCores\":%.3f,\"clientCores\":%.3f,", window,
         (live->end.server_cpu - live->begin.server_cpu) / window,
         (live->end.own_cpu - live->begin.own_cpu) / window);
  printf("\"residentBefore\":%lld,\"residentWithSockets\":%lld,\"residentHighest\":%lld,",
         live->before.server_resident, live->settled.server_resident, live->highest_resident);
  printf("\"openingServerCpuSeconds\":%.3f,",
         live->settled.server_cpu - live->before.server_cpu);
}

static void print_figures(const struct live *live) {
  const struct figures *figures = &live->figures;
  double window = seconds_between(live->begin.at_ns, live->end.at_ns);
  putchar('{');
  print_number("opened", figures->opened);
  print_number("failed", figures->failed);
  print_number("closed", figures->closed);
  print_number("lastCloseCode", figures->last_close_code);
  print_number("resyncs", figures->resyncs);
  print_number("errors", figures->errors);
  print_number("events", figures->events);
  print_number("overviews", figures->overviews);
  print_number("frames", figures->frames);
  print_number("bytes", figures->bytes);
  print_number("reports", live->window_reports);
  print_number("missing", figures->missing);
  print_number("stuckClosed", figures->stuck_closed);
  printf("\"stuckClosedSeconds\":%.1f,\"openSeconds\":%.3f,\"eventsPerSecond\":%.1f,",
         seconds_between(live->all_open_ns, live->stuck_closed_ns),
         seconds_between(live->opened_ns, live->all_open_ns), (double)figures->events / window);
  print_usage(live);
  print_histogram("handshakeMs", &figures->handshake);
  print_histogram("latencyMs", &figures->latency);
  print_histogram("reportMs", &figures->report);
  print_histogram("lateMs", &figures->late);
  printf("\"firstError\":\"%s\"}\n", figures->first_error);
}

// 10,000 sockets need more descriptors than a shell gives.
static void raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int count, char **words) {
  struct live *live = calloc(1, sizeof *live);
  if (!live) return 2;
  parse(live, count, words);
  prctl(PR_SET_TIMERSLACK, 1ul);
  raise_descriptor_limit();
  run(live);
  print_figures(live);
  return 0;
}
