# SPDX-License-Identifier: Apache-2.0
# Measures whether the machine was fit to measure on: the disk's fdatasync and other processes' CPU.
from __future__ import annotations

import os
import resource
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

FDATASYNC_LIMIT_MS = 0.2
OTHER_LOAD_LIMIT_CORES = 0.3

_KERNEL_THREAD = 0x00200000
_TICKS = os.sysconf("SC_CLK_TCK")


def fdatasync_p50_ms(folder: Path, samples: int = 500) -> float:
    """The median time of a 4 KiB overwrite and fdatasync in a preallocated file in `folder`."""
    path = folder / "fdatasync.probe"
    size = 4 * 1024 * 1024
    block = os.urandom(4096)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, os.urandom(size), 0)
        os.fsync(descriptor)
        times = []
        for index in range(samples):
            begin = time.perf_counter_ns()
            os.pwrite(descriptor, block, index * 4096 % size)
            os.fdatasync(descriptor)
            times.append(time.perf_counter_ns() - begin)
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)
    return statistics.median(times) / 1e6


@dataclass(frozen=True)
class CPU:
    """CPU seconds since boot: of all processes, of this benchmark's, of kernel threads, stolen."""

    at: float
    processes: float
    own: float
    kernel: float
    stolen: float


def _fields(pid: str) -> list[str] | None:
    try:
        text = Path("/proc", pid, "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None  # it ended between the listing and the reading
    return text[text.rindex(")") + 2 :].split()


def cpu_snapshot() -> CPU:
    """Reads all of it at this moment."""
    parents: dict[str, str] = {}
    used: dict[str, float] = {}
    kernel = 0.0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        fields = _fields(pid)
        if fields is None:
            continue
        if int(fields[6]) & _KERNEL_THREAD:
            kernel += (int(fields[11]) + int(fields[12])) / _TICKS
            continue
        parents[pid] = fields[1]
        used[pid] = sum(int(value) for value in fields[11:15]) / _TICKS
    me = str(os.getpid())
    own = 0.0
    for usage in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        figures = resource.getrusage(usage)
        own += figures.ru_utime + figures.ru_stime
    own += sum(used[pid] for pid in used if pid != me and _descends(pid, me, parents))
    first = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    user, nice, system, stolen = (int(first[index]) for index in (1, 2, 3, 8))
    processes = (user + nice + system) / _TICKS
    return CPU(time.monotonic(), processes, own, kernel, stolen / _TICKS)


def _descends(pid: str, ancestor: str, parents: dict[str, str]) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == ancestor:
            return True
    return False


class LoadMeter:
    """Says how many cores others used since it was made.

    Others are: user, nice, system and stolen time of /proc/stat, without this process, its
    descendants and the kernel's own threads (which write what we sync). Interrupt time is left
    out: on loopback it is ours and is charged to no process.
    """

    def __init__(self) -> None:
        self._begin = cpu_snapshot()

    def other_cores(self) -> float:
        end, begin = cpu_snapshot(), self._begin
        seconds = max(end.at - begin.at, 1e-6)
        processes = end.processes - begin.processes
        ours = end.own - begin.own + end.kernel - begin.kernel
        stolen = end.stolen - begin.stolen
        return max(0.0, (processes - ours + stolen) / seconds)


def process_cpu_seconds(pid: int) -> float:
    """CPU seconds that a live process has used; 0 when it has ended."""
    fields = _fields(str(pid))
    return 0.0 if fields is None else (int(fields[11]) + int(fields[12])) / _TICKS


def resident_megabytes(pid: int) -> float:
    """VmRSS of a process in megabytes of 10^6 bytes."""
    for line in Path("/proc", str(pid), "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"no VmRSS for process {pid}")
