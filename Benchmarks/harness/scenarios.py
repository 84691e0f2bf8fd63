# SPDX-License-Identifier: Apache-2.0
# What is measured over HTTP: one function per scenario, each on a fresh server and data folder.
from __future__ import annotations

from pathlib import Path
from typing import Any

from .conditions import process_cpu_seconds, resident_megabytes
from .control_plane import ControlPlane
from .figures import Sample
from .load_tools import LoadGenerator, PushAgent
from .processes import BenchError
from .profile import Profile

SINGLE_CONNECTIONS = 64
BULK_LINES = 10_000
BESIDE_BULK_PER_SECOND = 1_000
LOOP_BULK_LINES = 1_000


class Bench:
    """Where things are, and how much to measure."""

    def __init__(self, root: Path, folder: Path, binary: Path, profile: Profile) -> None:
        self.root = root
        self.folder = folder
        self.binary = binary
        self.profile = profile

    def server(self) -> ControlPlane:
        return ControlPlane(self.binary, self.folder / "server")

    def load(self, server: ControlPlane) -> LoadGenerator:
        return LoadGenerator(self.folder, server)

    def agent(self, server: ControlPlane) -> PushAgent:
        return PushAgent(self.folder, server, capability="bench")


def completed_by_server(server: ControlPlane, kind: str) -> int:
    """How many tasks of a type the server itself counts as completed."""
    stats = server.call("GET", "/api/stats")
    completed = stats.get("types", {}).get(kind, {}).get("completed")
    if not isinstance(completed, int):
        raise BenchError(f"GET /api/stats counts no completed tasks: {str(stats)[:200]}")
    return completed


def verify(server: ControlPlane, expected: int) -> None:
    counted = completed_by_server(server, "bench")
    if counted != expected:
        raise BenchError(f"the agent saw {expected} completions, the server counts {counted}")


def singles(bench: Bench) -> list[Sample]:
    seconds = bench.profile.singles_seconds
    warmup = min(1.0, seconds / 2)
    with bench.server() as server:
        cpu = process_cpu_seconds(server.pid)
        figures = bench.load(server).run(
            "submit", connections=SINGLE_CONNECTIONS, seconds=seconds, warmup=warmup
        )
        cpu = process_cpu_seconds(server.pid) - cpu
    latency = figures["latencyMs"]
    conditions = (
        f"64 connections, 200 B payload, answered after the commit; p50 {latency['p50']:.2f}"
        f" p99 {latency['p99']:.2f} ms; server {cpu / (seconds + warmup):.2f} cores"
    )
    return [Sample("single_submit", figures["tasksPerSecond"], conditions)]


def bulk(bench: Bench) -> list[Sample]:
    seconds = bench.profile.bulk_seconds
    with bench.server() as server:
        load = bench.load(server)
        load.run("bulk", connections=1, lines=BULK_LINES, count=2)
        beside = load.start(
            "submit",
            connections=SINGLE_CONNECTIONS,
            rate=BESIDE_BULK_PER_SECOND,
            seconds=seconds,
        )
        figures = load.run("bulk", connections=1, lines=BULK_LINES, seconds=seconds)
        singles_figures = load.finish(beside, "submit", seconds + 60)
    if figures["tasks"] != figures["accepted"] * BULK_LINES:
        raise BenchError(f"{figures['tasks']} ids for {figures['accepted']} bulks of {BULK_LINES}")
    latency = singles_figures["latencyMs"]
    overlap = min(figures["endNanoseconds"], singles_figures["endNanoseconds"]) - max(
        figures["startNanoseconds"], singles_figures["startNanoseconds"]
    )
    return [
        Sample(
            "bulk_submit",
            figures["tasksPerSecond"],
            f"one connection, 200 B payloads, no keys, {figures['accepted']} requests one after"
            f" another (p50 {figures['latencyMs']['p50']:.0f} ms) beside"
            f" {BESIDE_BULK_PER_SECOND}/s singles",
        ),
        Sample(
            "single_submit_p99_beside_bulk",
            latency["p99"],
            f"{BESIDE_BULK_PER_SECOND}/s on 64 connections, counted from when each was due;"
            f" p50 {latency['p50']:.2f} max {latency['max']:.1f} ms;"
            f" {overlap / 1e9:.1f} of {singles_figures['seconds']:.1f} s beside the bulks",
        ),
    ]


def loop(bench: Bench) -> list[Sample]:
    tasks = bench.profile.loop_tasks
    return [_loop_bulk(bench, tasks), _loop_singles(bench, tasks), _loop_drain(bench, tasks)]


def _loop_bulk(bench: Bench, tasks: int) -> Sample:
    with bench.server() as server, bench.agent(server) as agent:
        cpu = process_cpu_seconds(server.pid)
        submitted = bench.load(server).run(
            "bulk", connections=1, lines=LOOP_BULK_LINES, count=tasks // LOOP_BULK_LINES
        )
        done = agent.wait_for(tasks, 300)
        cpu = process_cpu_seconds(server.pid) - cpu
        verify(server, tasks)
    rate, seconds = _loop_rate(tasks, submitted, done)
    return Sample(
        "full_loop_push",
        rate,
        f"{tasks} tasks by bulks of {LOOP_BULK_LINES} while they are worked on, one agent process,"
        f" concurrency 128; first submit to last acknowledged callback {seconds:.1f} s;"
        f" callback p99 {done['callbackMs']['p99']:.1f} ms; server {cpu / tasks * 1e6:.0f} us"
        " CPU a task; counted again by the server",
    )


def _loop_singles(bench: Bench, tasks: int) -> Sample:
    with bench.server() as server, bench.agent(server) as agent:
        submitted = bench.load(server).run("submit", connections=SINGLE_CONNECTIONS, count=tasks)
        done = agent.wait_for(tasks, 300)
        verify(server, tasks)
    rate, seconds = _loop_rate(tasks, submitted, done)
    return Sample(
        "full_loop_push_singles",
        rate,
        f"{tasks} tasks one by one on 64 connections while they are worked on, {seconds:.1f} s",
    )


def _loop_drain(bench: Bench, tasks: int) -> Sample:
    with bench.server() as server, bench.agent(server) as agent:
        server.call("PATCH", "/api/types/bench", {"paused": True})
        bench.load(server).run(
            "bulk", connections=1, lines=LOOP_BULK_LINES, count=tasks // LOOP_BULK_LINES
        )
        server.call("PATCH", "/api/types/bench", {"paused": False})
        done = agent.wait_for(tasks, 300)
        verify(server, tasks)
    seconds = done["firstDispatchToLastAckSeconds"]
    return Sample(
        "full_loop_push_drain",
        tasks / seconds,
        f"{tasks} tasks queued while the type was paused; first dispatch to last"
        f" acknowledged callback {seconds:.1f} s",
    )


def _loop_rate(tasks: int, submitted: dict[str, Any], done: dict[str, Any]) -> tuple[float, float]:
    seconds = (done["lastAckNanoseconds"] - submitted["startNanoseconds"]) / 1e9
    return tasks / seconds, seconds


def latency(bench: Bench) -> list[Sample]:
    with bench.server() as server, bench.agent(server) as agent:
        load = bench.load(server)
        slow = _paced(load, agent, 200, bench.profile.latency_seconds)
        fast = _paced(load, agent, 2_000, bench.profile.callback_seconds)
    pickup, callback = slow["submitToAgentMs"], fast["callbackMs"]
    conditions = (
        f"open loop, {pickup['count']} tasks, from when each submit was due to the verified"
        f" dispatch; p90 {pickup['p90']:.2f} max {pickup['max']:.1f} ms"
    )
    return [
        Sample("submit_to_agent_p50", pickup["p50"], conditions),
        Sample("submit_to_agent_p99", pickup["p99"], conditions),
        Sample(
            "callback_p99",
            callback["p99"],
            f"{callback['count']} callbacks while 2,000/s are submitted and dispatched, from when"
            f" each was due; p50 {callback['p50']:.2f} max {callback['max']:.1f} ms",
        ),
    ]


def _paced(load: LoadGenerator, agent: PushAgent, rate: int, seconds: float) -> dict[str, Any]:
    warm = load.run("submit", connections=32, rate=rate, seconds=1)
    agent.wait_for(warm["accepted"], 30)
    agent.reset()
    measured = load.run("submit", connections=32, rate=rate, seconds=seconds)
    done = agent.wait_for(measured["accepted"], 60)
    agent.reset()
    return done


def million(bench: Bench) -> list[Sample]:
    tasks, claims = bench.profile.queued_tasks, bench.profile.claims
    with bench.server() as server:
        load = bench.load(server)
        started = resident_megabytes(server.pid)
        filled = load.run("bulk", connections=1, lines=BULK_LINES, count=tasks // BULK_LINES)
        after_fill = resident_megabytes(server.pid)
        agent = server.register("claimer", capabilities=["bench"], concurrency=16)
        claimed = load.run("lease", agent, connections=1, count=claims)
        if claimed["empty"]:
            raise BenchError(f"{claimed['empty']} of {claims} leases came back empty")
        after_claims = resident_megabytes(server.pid)
        server.stop()
        ready = server.start()
        after_restart = resident_megabytes(server.pid)
    if filled["tasks"] != tasks:
        raise BenchError(f"{filled['tasks']} of {tasks} tasks were queued")
    wait, settle = claimed["latencyMs"], claimed["settleMs"]
    return [
        Sample(
            "million_queued_rss",
            max(after_fill, after_claims, after_restart),
            f"the highest of: after queueing {tasks:,} by bulk {after_fill:.0f}, after {claims}"
            f" claims {after_claims:.0f}, after a restart {after_restart:.0f} MB"
            f" ({started:.0f} MB when empty)",
        ),
        Sample(
            "claim_at_million",
            wait["p50"],
            f"{claims} leases of one over HTTP, durable, one connection; p99 {wait['p99']:.2f}"
            f" max {wait['max']:.1f} ms; its callback p50 {settle['p50']:.2f} ms",
        ),
        Sample("million_restart", ready, f"start of the process to /readyz with {tasks:,} queued"),
    ]
