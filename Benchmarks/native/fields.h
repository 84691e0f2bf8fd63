// SPDX-License-Identifier: Apache-2.0
// Finds a field in a small JSON text that this benchmark's own server and tools wrote.
#ifndef ORRERY_BENCH_FIELDS_H
#define ORRERY_BENCH_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

struct field {
  const char *text;
  size_t count;
};

/// The value of the first field called `name` (a string without its quotes, or a number); `text`
/// is NULL when it is not there. Not a JSON parser: the field must not hold escapes.
struct field field_find(const char *json, size_t count, const char *name);

/// Copies the value with a final zero; false when it is not there, empty or too long for `out`.
bool field_copy(char *out, size_t size, struct field field);

/// The value as a whole number; `otherwise` when it is not there.
long long field_integer(const char *json, size_t count, const char *name, long long otherwise);

#endif
