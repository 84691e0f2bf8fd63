// SPDX-License-Identifier: Apache-2.0
// Keeps the text of the first fault, so that it can be printed as a JSON string.
#ifndef ORRERY_BENCH_FAULT_H
#define ORRERY_BENCH_FAULT_H

#include <stddef.h>

enum { FAULT_SIZE = 512 };

/// Writes `what: detail` in printable ASCII, unless there is a text already.
void fault_keep(char text[FAULT_SIZE], const char *what, const char *detail, size_t count);

#endif
