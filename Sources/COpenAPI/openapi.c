// SPDX-License-Identifier: Apache-2.0
// Puts API/openapi.json into the program; a build rule of its own would take minutes.
#include "openapi.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char document[] = {
#embed "../../API/openapi.json"
};

const unsigned char *orrery_openapi_bytes(void) { return document; }

size_t orrery_openapi_count(void) { return sizeof document; }
