// SPDX-License-Identifier: Apache-2.0
// The load generator: submits, bulks, leases or plain GETs over keep-alive HTTP, as JSON figures.
#define _GNU_SOURCE
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "../native/process.h"
#include "load.h"

static const char usage[] =
    "usage: load submit|bulk|lease|get --port PORT [--connections 64] [--seconds S] [--count N]\n"
    "  [--warmup S] [--rate PER_SECOND] [--lines 10000] [--payload-bytes 200] [--type bench]\n"
    "  [--path /healthz]\n"
    "  submit and bulk take the operator's token from ORRERY_TOKEN; lease takes the agent from\n"
    "  ORRERY_AGENT_ID and ORRERY_AGENT_SECRET, leases one task at a time and reports success;\n"
    "  get sends a token only if there is one.\n"
    "  Without --rate every connection sends again at once; with it the latency counts from the\n"
    "  moment a request was due. Give --seconds, --count or both.\n";

static void refuse(void) {
  fputs(usage, stderr);
  exit(64);
}

static void parse_mode(struct options *options, const char *word) {
  if (word && strcmp(word, "submit") == 0) options->mode = SUBMIT;
  else if (word && strcmp(word, "bulk") == 0) options->mode = BULK;
  else if (word && strcmp(word, "lease") == 0) options->mode = LEASE;
  else if (word && strcmp(word, "get") == 0) options->mode = GET;
  else refuse();
}

static void parse_identity(struct options *options) {
  options->token = getenv("ORRERY_TOKEN");
  options->agent = getenv("ORRERY_AGENT_ID");
  if (options->mode != LEASE) {
    if (!options->token && options->mode != GET) refuse();
    return;
  }
  const char *secret = getenv("ORRERY_AGENT_SECRET");
  if (options->agent && secret && strlen(options->agent) < MAX_TEXT)
    options->signer = signer_new(secret);
  if (!options->signer) refuse();
}

void options_parse(struct options *options, int count, char **words) {
  static const struct option known[] = {
      {"port", required_argument, NULL, 'p'},    {"connections", required_argument, NULL, 'c'},
      {"seconds", required_argument, NULL, 's'}, {"count", required_argument, NULL, 'n'},
      {"warmup", required_argument, NULL, 'w'},  {"rate", required_argument, NULL, 'r'},
      {"lines", required_argument, NULL, 'l'},   {"payload-bytes", required_argument, NULL, 'b'},
      {"type", required_argument, NULL, 't'},    {"path", required_argument, NULL, 'g'},
      {NULL, 0, NULL, 0}};
  *options = (struct options){
      .connections = 64, .lines = 10000, .payload_bytes = 200, .type = "bench",
      .path = "/healthz"};
  parse_mode(options, count > 1 ? words[1] : NULL);
  int option;
  while ((option = getopt_long(count - 1, words + 1, "", known, NULL)) != -1) {
    switch (option) {
      case 'p': options->port = (uint16_t)atoi(optarg); break;
      case 'c': options->connections = atoi(optarg); break;
      case 's': options->seconds = atof(optarg); break;
      case 'n': options->count = atoll(optarg); break;
      case 'w': options->warmup = atof(optarg); break;
      case 'r': options->rate = atof(optarg); break;
      case 'l': options->lines = atoi(optarg); break;
      case 'b': options->payload_bytes = atoi(optarg); break;
      case 't': options->type = optarg; break;
      case 'g': options->path = optarg; break;
      default: refuse();
    }
  }
  bool bounded = options->seconds > 0 || options->count > 0;
  if (!options->port || !bounded || options->connections < 1 || options->lines < 1 ||
      options->connections > MAX_CONNECTIONS)
    refuse();
  parse_identity(options);
}

static void print_figures(const struct load *load) {
  const struct figures *figures = &load->figures;
  double seconds = (double)(figures->last_ns - figures->first_ns) / 1e9;
  double divisor = seconds > 0 ? seconds : 1e9;
  printf("{\"requests\":%llu,\"accepted\":%llu,\"refused\":%llu,\"lost\":%llu,\"empty\":%llu,"
         "\"tasks\":%llu,\"seconds\":%.6f,\"acceptedPerSecond\":%.1f,\"tasksPerSecond\":%.1f,"
         "\"startNanoseconds\":%llu,\"endNanoseconds\":%llu,\"cpuSeconds\":%.3f,\"latencyMs\":",
         (unsigned long long)figures->requests, (unsigned long long)figures->accepted,
         (unsigned long long)figures->refused, (unsigned long long)figures->lost,
         (unsigned long long)figures->empty, (unsigned long long)figures->tasks, seconds,
         (double)figures->accepted / divisor, (double)figures->tasks / divisor,
         (unsigned long long)figures->first_ns, (unsigned long long)figures->last_ns,
         own_cpu_seconds());
  histogram_print(&figures->latency, stdout);
  fputs(",\"lateMs\":", stdout);
  histogram_print(&figures->late, stdout);
  fputs(",\"settleMs\":", stdout);
  histogram_print(&figures->settle, stdout);
  printf(",\"firstError\":\"%s\"}\n", figures->first_error);
}

int main(int count, char **words) {
  struct load *load = calloc(1, sizeof *load);
  if (!load) return 2;
  options_parse(&load->options, count, words);
  prctl(PR_SET_TIMERSLACK, 1ul);
  load->identity = (struct identity){.port = load->options.port,
                                     .agent = load->options.agent,
                                     .signer = load->options.signer};
  run(load);
  print_figures(load);
  return 0;
}
