// SPDX-License-Identifier: Apache-2.0
// Scans for `"name":` and takes the string or number behind it.
#define _GNU_SOURCE
#include "fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_spaces(const char *cursor, const char *end) {
  while (cursor < end && (*cursor == ' ' || *cursor == '\n' || *cursor == '\t')) cursor++;
  return cursor;
}

static struct field value_at(const char *cursor, const char *end) {
  cursor = skip_spaces(cursor, end);
  if (cursor < end && *cursor == '"') {
    const char *close = memchr(cursor + 1, '"', (size_t)(end - cursor - 1));
    if (!close) return (struct field){NULL, 0};
    return (struct field){cursor + 1, (size_t)(close - cursor - 1)};
  }
  const char *stop = cursor;
  while (stop < end && !strchr(",}] \n\t", *stop)) stop++;
  return (struct field){cursor, (size_t)(stop - cursor)};
}

struct field field_find(const char *json, size_t count, const char *name) {
  char quoted[64];
  int quoted_count = snprintf(quoted, sizeof quoted, "\"%s\"", name);
  if (quoted_count < 0 || (size_t)quoted_count >= sizeof quoted) return (struct field){NULL, 0};
  const char *end = json + count;
  const char *cursor = json;
  while ((cursor = memmem(cursor, (size_t)(end - cursor), quoted, (size_t)quoted_count))) {
    cursor = skip_spaces(cursor + quoted_count, end);
    if (cursor < end && *cursor == ':') return value_at(cursor + 1, end);
  }
  return (struct field){NULL, 0};
}

bool field_copy(char *out, size_t size, struct field field) {
  if (!field.text || field.count == 0 || field.count >= size) return false;
  memcpy(out, field.text, field.count);
  out[field.count] = 0;
  return true;
}

long long field_integer(const char *json, size_t count, const char *name, long long otherwise) {
  char digits[24];
  if (!field_copy(digits, sizeof digits, field_find(json, count, name))) return otherwise;
  char *stop = NULL;
  long long value = strtoll(digits, &stop, 10);
  return *stop == 0 ? value : otherwise;
}
