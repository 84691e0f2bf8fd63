# SPDX-License-Identifier: Apache-2.0
# What clients that are slow on purpose cost the others: p99 of good traffic with and without them.
from __future__ import annotations

import json
import resource
import subprocess
import sys
from types import TracebackType
from typing import Any

from .conditions import process_cpu_seconds, resident_megabytes
from .control_plane import TOKEN, ControlPlane
from .figures import Sample
from .processes import BenchError
from .scenarios import Bench

CROWD = 1_000
RATE = 500
CONNECTIONS = 32
KINDS = {"heads": "edge_slow_heads", "bodies": "edge_slow_bodies", "reads": "edge_slow_reads"}


class Crowd:
    """Slow clients in a process of their own; each that is ended is followed by a new one."""

    def __init__(self, bench: Bench, server: ControlPlane, kind: str, seconds: float) -> None:
        script = bench.root / "Tests" / "BlackBox" / "harness" / "slow.py"
        self._kind = kind
        self._command = [sys.executable, str(script), kind, str(server.port), "--again"]
        self._command += ["--count", str(CROWD), "--token", TOKEN, "--seconds", str(seconds)]

    def __enter__(self) -> Crowd:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        opened = self._line()
        if opened.get("opened") != CROWD:
            raise BenchError(f"slow clients ({self._kind}): {opened}")
        return self

    def _line(self) -> dict[str, Any]:
        stdout = self._process.stdout
        figures: dict[str, Any] = json.loads((stdout.readline() if stdout else "") or "{}")
        return figures

    def leave(self) -> dict[str, Any]:
        """Ends the crowd; what became of it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        return self._line()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def edge(bench: Bench) -> list[Sample]:
    """Each kind of slow client on a fresh server."""
    _raise_file_limit(2 * CROWD + 500)
    return [_slow(bench, kind, name) for kind, name in KINDS.items()]


def _slow(bench: Bench, kind: str, name: str) -> Sample:
    seconds = bench.profile.edge_seconds
    with bench.server() as server:
        load = bench.load(server)

        def p99(long: float = seconds) -> float:
            figures = load.run("submit", connections=CONNECTIONS, rate=RATE, seconds=long)
            return float(figures["latencyMs"]["p99"])

        p99(1)
        before, memory = p99(), resident_megabytes(server.pid)
        with Crowd(bench, server, kind, 10 * seconds + 60) as crowd:
            p99(1)
            cpu = process_cpu_seconds(server.pid)
            during = p99()
            cpu = process_cpu_seconds(server.pid) - cpu
            grown = resident_megabytes(server.pid) - memory
            became = crowd.leave()
        p99(2)  # that all leave at once is not calm: counted, it would flatter the ratio
        after = p99()
    calm = min(before, after)
    return Sample(
        name,
        during / calm,
        f"{CROWD} clients with slow {kind}, renewed when ended ({became.get('ended')} were); submits"
        f" at {RATE}/s: p99 {before:.2f} ms before, {during:.2f} during, {after:.2f} after; server"
        f" {cpu / seconds:.2f} cores, {grown:+.0f} MB",
    )


def _raise_file_limit(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise BenchError(f"{wanted} open files are needed; the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
