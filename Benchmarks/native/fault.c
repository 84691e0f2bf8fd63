// SPDX-License-Identifier: Apache-2.0
// Makes the texts of faults printable.
#include "fault.h"

#include <stdio.h>

void fault_keep(char text[FAULT_SIZE], const char *what, const char *detail, size_t count) {
  if (text[0]) return;
  snprintf(text, FAULT_SIZE, "%s: %.*s", what, count > 400 ? 400 : (int)count, detail);
  for (; *text; text++)
    if (*text == '"' || *text == '\\') {
      *text = '\'';
    } else if ((unsigned char)*text < 32 || (unsigned char)*text > 126) {
      *text = ' ';
    }
}
