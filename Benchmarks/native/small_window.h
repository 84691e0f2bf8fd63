// SPDX-License-Identifier: Apache-2.0
// Sockets of clients that read slowly or never, as a server sees them over a network.
#ifndef ORRERY_BENCH_SMALL_WINDOW_H
#define ORRERY_BENCH_SMALL_WINDOW_H

#include <stdint.h>

/// Like `loopback_connect`, with a network's smallest segments and the smallest receive window:
/// with loopback's own of 64 KiB the kernel would take megabytes for a client that reads nothing.
int small_window_connect(uint16_t port);

#endif
