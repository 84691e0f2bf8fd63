// SPDX-License-Identifier: Apache-2.0
// The API's contract, API/openapi.json, as bytes inside the program.
#ifndef ORRERY_OPENAPI_H
#define ORRERY_OPENAPI_H

#include <stddef.h>

/// The first byte of the document; it lives as long as the program.
const unsigned char *orrery_openapi_bytes(void);

/// How many bytes it has.
size_t orrery_openapi_count(void);

#endif
