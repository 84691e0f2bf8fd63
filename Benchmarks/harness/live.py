# SPDX-License-Identifier: Apache-2.0
# What is measured of live updates: many sockets on tasks of their own, and fan-out of all tasks.
from __future__ import annotations

from typing import Any

from .control_plane import TOKEN, ControlPlane
from .figures import Sample
from .load_tools import build_tools
from .processes import BenchError, run_json
from .scenarios import Bench

SOCKET_REPORTS_PER_SECOND = 200
UNREAD_SHARE = 100
FANOUT_TASKS = 1_000


class LiveClient:
    """The compiled client: its sockets, and the agent whose reports they show."""

    def __init__(self, bench: Bench, server: ControlPlane, tasks: int) -> None:
        build_tools(bench.folder, "live")
        self._tool = str(bench.folder / "live")
        self._server = server
        self._load = bench.load(server)
        self._agent = server.register(
            "reporter", capabilities=["bench"], concurrency=tasks, leaseSeconds=3600
        )

    def run(self, mode: str, tasks: int, **options: Any) -> dict[str, Any]:
        """Queues the tasks, leases them, opens the sockets and reports; the client's figures."""
        self._load.run("bulk", connections=1, lines=tasks, count=1)
        command = [self._tool, mode, "--port", str(self._server.port)]
        command += ["--server", str(self._server.pid), "--tasks", str(tasks)]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        return run_json(command, {"ORRERY_TOKEN": TOKEN, **self._agent})[0]


def fault_of(figures: dict[str, Any]) -> str | None:
    """Why the figures mean nothing: a socket that was read did not get all that it should."""
    for name, what in (
        ("failed", "sockets could not be opened"),
        ("closed", "sockets that were read were closed"),
        ("errors", "messages were errors"),
        ("missing", "events never came"),
    ):
        if figures[name]:
            code = f", close code {figures['lastCloseCode']}" if figures["lastCloseCode"] else ""
            return f"{figures[name]} {what}{code}; first: {figures['firstError']}"
    return None


def _both_sides(figures: dict[str, Any]) -> str:
    return f"server {figures['serverCores']:.2f}, client {figures['clientCores']:.2f} cores"


def sockets(bench: Bench) -> list[Sample]:
    """Each socket on `overview` and one task of its own; some are never read."""
    count = bench.profile.sockets
    unread = max(1, count // UNREAD_SHARE)
    with bench.server() as server:
        figures = LiveClient(bench, server, count).run(
            "own",
            tasks=count,
            sockets=count,
            stuck=unread,
            rate=SOCKET_REPORTS_PER_SECOND,
            seconds=bench.profile.socket_seconds,
            patience=bench.profile.socket_patience,
        )
    fault = fault_of(figures)
    if fault:
        raise BenchError(f"live own: {fault}")
    return _socket_samples(figures, count, unread)


def _socket_samples(figures: dict[str, Any], count: int, unread: int) -> list[Sample]:
    latency, late = figures["latencyMs"], figures["lateMs"]
    before, quiet = figures["residentBefore"], figures["residentWithSockets"]
    highest = max(figures["residentHighest"], quiet)
    shared = f"{count:,} sockets, {figures['reports']} reports at {SOCKET_REPORTS_PER_SECOND}/s"
    return [
        Sample(
            "socket_event_p99",
            latency["p99"],
            f"{shared}, from when a report was due to its event; p50 {latency['p50']:.1f} p90"
            f" {latency['p90']:.1f} max {latency['max']:.0f} ms (reports were sent p99"
            f" {late['p99']:.1f} ms late, answered p99 {figures['reportMs']['p99']:.1f} ms);"
            f" beside it {figures['overviews'] / figures['windowSeconds']:,.0f} overviews/s;"
            f" {_both_sides(figures)}; {figures['resyncs']} resyncs",
        ),
        Sample(
            "socket_event_p50",
            latency["p50"],
            f"the same; all open after {figures['openSeconds']:.1f} s (128 at a time, upgrade to"
            f" subscribed p99 {figures['handshakeMs']['p99']:.0f} ms, server"
            f" {figures['openingServerCpuSeconds']:.1f} s CPU)",
        ),
        Sample(
            "socket_rss",
            (highest - before) / count / 1e3,
            f"the server's highest while measured {highest / 1e6:.0f} MB, without sockets"
            f" {before / 1e6:.0f} MB; before the reports"
            f" {(quiet - before) / count / 1e3:.1f} KB a socket",
        ),
        Sample(
            "socket_unread_closed",
            100 * figures["stuckClosed"] / unread,
            f"{figures['stuckClosed']} of {unread} that are never read (smallest receive window,"
            f" segments of 536 bytes), the last {figures['stuckClosedSeconds']:.0f} s after all"
            " were open; the others stayed open and missed nothing",
        ),
    ]


def fanout(bench: Bench) -> list[Sample]:
    """Every socket gets every event, at rising rates until one is too much."""
    best: dict[str, Any] | None = None
    steps: list[str] = []
    with bench.server() as server:
        client = LiveClient(bench, server, 10_000)
        for rate in bench.profile.fanout_rates:
            figures = client.run(
                "all",
                tasks=FANOUT_TASKS,
                sockets=bench.profile.fanout_sockets,
                rate=rate,
                seconds=bench.profile.fanout_seconds,
                settle=0.5,
            )
            fault = fault_of(figures) or _resync_fault(figures)
            delivered = figures["eventsPerSecond"]
            steps.append(f"{rate}/s: {fault or f'{delivered:,.0f}/s, {_both_sides(figures)}'}")
            if fault:
                break
            if best is None or delivered > best["eventsPerSecond"]:
                best = figures
    if best is None:
        raise BenchError(f"live all: {'; '.join(steps)}")
    return [_fanout_sample(best, bench.profile.fanout_sockets, steps)]


def _resync_fault(figures: dict[str, Any]) -> str | None:
    return f"{figures['resyncs']} resyncs" if figures["resyncs"] else None


def _fanout_sample(figures: dict[str, Any], count: int, steps: list[str]) -> Sample:
    events = max(1, figures["events"])
    return Sample(
        "fanout",
        figures["eventsPerSecond"],
        f"{count:,} sockets on `tasks`, counted in the frames that arrived"
        f" ({events / max(1, figures['frames']):.1f} events and"
        f" {figures['bytes'] / max(1, figures['frames']):,.0f} bytes a frame,"
        f" {figures['bytes'] / figures['windowSeconds'] / 1e6:.0f} MB/s);"
        f" {_both_sides(figures)}; reports {figures['reports'] / figures['windowSeconds']:,.0f}/s,"
        f" answered p99 {figures['reportMs']['p99']:.1f} ms; steps: {'; '.join(steps)}",
    )
