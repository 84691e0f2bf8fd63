// SPDX-License-Identifier: Apache-2.0
// What a process of this machine uses, read from /proc.
#ifndef ORRERY_BENCH_PROCESS_H
#define ORRERY_BENCH_PROCESS_H

/// CPU seconds that the calling process has used.
double own_cpu_seconds(void);

/// CPU seconds that a process has used; 0 when it is not there.
double process_cpu_seconds(int process);

/// The resident bytes of a process; 0 when it is not there.
long long process_resident_bytes(int process);

#endif
