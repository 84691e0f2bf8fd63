# SPDX-License-Identifier: Apache-2.0
# What is measured of the edge: a plain GET beside the stock framework, and traffic under attack.
from __future__ import annotations

import json
import os
import select
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .conditions import process_cpu_seconds, resident_megabytes
from .control_plane import TOKEN, ControlPlane
from .figures import Sample
from .load_tools import BENCHMARKS, build_tools, checked
from .processes import BenchError, free_port, run_json, stop, tail
from .scenarios import SINGLE_CONNECTIONS, Bench

Latencies = dict[str, dict[str, Any]]

PEER = BENCHMARKS / "peers" / "hummingbird-app"
GOOD_PER_SECOND = 500
GOOD_CONNECTIONS = 32
READ_PATH = "/api/tasks?limit=5"


def get(bench: Bench) -> list[Sample]:
    """GET /healthz against the same answer of a stock application, one after the other."""
    program = _built_peer(bench)
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    with bench.server() as server, _peer(program, bench.folder) as (port, pid):
        for _ in range(bench.profile.get_pairs):
            ours.append(_gets(bench, server.port, "/healthz", server.pid))
            theirs.append(_gets(bench, port, "/", pid))
    ratio = statistics.median(
        our["rate"] / their["rate"] for our, their in zip(ours, theirs, strict=True)
    )
    rate, peer_rate = (statistics.median(each["rate"] for each in side) for side in (ours, theirs))
    conditions = (
        f"GET of 15 bytes of JSON, {SINGLE_CONNECTIONS} connections, {len(ours)} pairs of"
        f" {bench.profile.get_seconds:g} s; p99 {_middle(ours, 'p99'):.2f} against"
        f" {_middle(theirs, 'p99'):.2f} ms; server {_middle(ours, 'cores'):.2f} against"
        f" {_middle(theirs, 'cores'):.2f} cores"
    )
    return [
        Sample("get", rate, conditions, limit=peer_rate),
        Sample(
            "get_of_hummingbird",
            ratio,
            f"median of the pairs' ratios; hummingbird {peer_rate:,.0f} requests/s",
            limit=peer_rate,
        ),
    ]


def _middle(side: list[dict[str, float]], name: str) -> float:
    return statistics.median(each[name] for each in side)


def _gets(bench: Bench, port: int, path: str, pid: int) -> dict[str, float]:
    seconds, warmup = bench.profile.get_seconds, 0.5
    command = [str(bench.folder / "load"), "get", "--port", str(port), "--path", path]
    command += ["--connections", str(SINGLE_CONNECTIONS), "--seconds", str(seconds)]
    command += ["--warmup", str(warmup)]
    cpu = process_cpu_seconds(pid)
    figures = checked(run_json(command)[0], "get")
    cpu = process_cpu_seconds(pid) - cpu
    return {
        "rate": figures["acceptedPerSecond"],
        "p99": figures["latencyMs"]["p99"],
        "cores": cpu / (seconds + warmup),
    }


def _built_peer(bench: Bench) -> Path:
    """Builds the stock application when its sources are newer than what is built."""
    folder = bench.folder / "hummingbird"
    program = folder / "release" / "HummingbirdPeer"
    sources = [PEER / "Package.swift", *(PEER / "Sources").rglob("*.swift")]
    newest = max(source.stat().st_mtime for source in sources)
    if program.exists() and program.stat().st_mtime > newest:
        return program
    if shutil.which("swift") is None:
        raise BenchError("swift is not in PATH, so the stock application cannot be built")
    command = ["swift", "build", "-c", "release", "--package-path", str(PEER)]
    done = subprocess.run(
        [*command, "--scratch-path", str(folder)], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise BenchError(f"the stock application did not build: {_last_words(done)}")
    program.touch()
    return program


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    return " | ".join((done.stdout + done.stderr).strip().splitlines()[-5:])


@contextmanager
def _peer(program: Path, folder: Path) -> Iterator[tuple[int, int]]:
    port, log = free_port(), folder / "hummingbird.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(program), str(port)], stdout=output, stderr=subprocess.STDOUT, text=True
        )
    try:
        begin = time.monotonic()
        while "listening" not in log.read_text():
            if process.poll() is not None or time.monotonic() - begin > 20:
                raise BenchError(f"the stock application did not start: {tail(log)}")
            time.sleep(0.02)
        yield port, process.pid
    finally:
        stop(process)


class SlowClients:
    """1,000 slow connections while the block runs; a context manager."""

    def __init__(self, bench: Bench, server: ControlPlane, connections: int) -> None:
        build_tools(bench.folder, "slow")
        self._command = [str(bench.folder / "slow"), "mixed", "--port", str(server.port)]
        self._command += ["--connections", str(connections)]
        self._process: subprocess.Popen[str] | None = None
        self.figures: dict[str, Any] = {}

    def __enter__(self) -> SlowClients:
        self._process = subprocess.Popen(
            self._command,
            env={**os.environ, "ORRERY_TOKEN": TOKEN},
            stdout=subprocess.PIPE,
            text=True,
        )
        ready, _, _ = select.select([self._process.stdout], [], [], 20)
        if not ready or self._process.stdout is None or not self._process.stdout.readline():
            stop(self._process)
            raise BenchError("the slow connections were not all open within 20 s")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        self._process.terminate()
        out, _ = self._process.communicate(timeout=20)
        self.figures = json.loads(out)


def edge(bench: Bench) -> list[Sample]:
    """Good traffic at a steady rate, quiet and beside slow connections, in turns."""
    pairs: list[tuple[Latencies, Latencies]] = []
    resident: list[float] = []
    closed = 0
    with bench.server() as server:
        _good(bench, server)
        before = resident_megabytes(server.pid)
        for _ in range(bench.profile.edge_pairs):
            quiet = _good(bench, server)
            with SlowClients(bench, server, bench.profile.slow_connections) as slow:
                attacked = _good(bench, server)
                resident.append(resident_megabytes(server.pid))
            closed += slow.figures["closedByServer"]
            pairs.append((quiet, attacked))
    slow_ones = (
        f"{bench.profile.slow_connections:,} slow connections (a third each send headers, send"
        f" bodies, read answers, one byte a second; the server closed {closed} of them)"
    )
    return [
        _rise(bench, "edge_read_rise", "get", pairs, slow_ones),
        _rise(bench, "edge_submit_rise", "submit", pairs, slow_ones),
        Sample(
            "edge_rss_rise",
            max(resident) - before,
            f"the highest of {len(resident)} phases, {max(resident):.0f} MB, above"
            f" {before:.0f} MB after traffic alone; first phase {resident[0]:.0f}, last"
            f" {resident[-1]:.0f} MB; {slow_ones}",
        ),
    ]


def _rise(
    bench: Bench, name: str, mode: str, pairs: list[tuple[Latencies, Latencies]], slow_ones: str
) -> Sample:
    ratios = [attacked[mode]["p99"] / quiet[mode]["p99"] for quiet, attacked in pairs]
    p50, p99 = (
        [statistics.median(pair[side][mode][share] for pair in pairs) for side in (0, 1)]
        for share in ("p50", "p99")
    )
    return Sample(
        name,
        100 * (statistics.median(ratios) - 1),
        f"{GOOD_PER_SECOND} of each kind a second on {GOOD_CONNECTIONS} connections, counted from"
        f" when each was due; {len(pairs)} pairs of {bench.profile.edge_seconds:g} s, the median of"
        f" their ratios ({min(ratios):.2f} … {max(ratios):.2f}); p99 {p99[0]:.2f} quiet,"
        f" {p99[1]:.2f} ms beside {slow_ones}; p50 {p50[0]:.2f} and {p50[1]:.2f} ms",
    )


def _good(bench: Bench, server: ControlPlane) -> Latencies:
    """Durable submits, and reads of the newest tasks, at the same time."""
    load = bench.load(server)
    options = {"connections": GOOD_CONNECTIONS, "rate": GOOD_PER_SECOND}
    seconds = bench.profile.edge_seconds
    reads = load.start("get", path=READ_PATH, seconds=seconds, warmup=0.5, **options)
    submits = load.run("submit", seconds=seconds, warmup=0.5, **options)
    done = load.finish(reads, "get", seconds + 60)
    return {"submit": submits["latencyMs"], "get": done["latencyMs"]}
