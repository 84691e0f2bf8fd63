// SPDX-License-Identifier: Apache-2.0
// Reads the CPU and the memory of a process.
#define _GNU_SOURCE
#include "process.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

double own_cpu_seconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int read_file(int process, const char *name, char text[1024]) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", process, name);
  FILE *file = fopen(path, "r");
  if (!file) return 0;
  size_t count = fread(text, 1, 1023, file);
  fclose(file);
  text[count] = 0;
  return count > 0;
}

double process_cpu_seconds(int process) {
  char text[1024];
  if (!read_file(process, "stat", text)) return 0;
  const char *after_name = strrchr(text, ')');
  unsigned long long user = 0, system = 0;
  const char *format = ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu";
  if (!after_name || sscanf(after_name, format, &user, &system) != 2) return 0;
  return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

long long process_resident_bytes(int process) {
  char text[1024];
  long long resident = 0;
  if (!read_file(process, "statm", text) || sscanf(text, "%*d %lld", &resident) != 1) return 0;
  return resident * sysconf(_SC_PAGESIZE);
}
