# SPDX-License-Identifier: Apache-2.0
# The table of figures: what is measured, in which unit, and what is asked of it.
from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    """One row. `target` is a lower bound, or an upper bound (exclusive) when `at_most`."""

    title: str
    unit: str
    target: float | None = None
    at_most: bool = False

    def met(self, value: float) -> bool | None:
        if self.target is None:
            return None
        return value < self.target if self.at_most else value >= self.target


FIGURES: dict[str, Figure] = {
    "engine_loop": Figure("engine loop, submit → claim → settle", "tasks/s", 40_000),
    "engine_loop_of_limit": Figure("engine loop ÷ C writer thread", "ratio", 0.55),
    "bulk_submit": Figure("bulk submit over HTTP, 10,000 lines", "tasks/s", 150_000),
    "single_submit_p99_beside_bulk": Figure("single submits beside it, p99", "ms", 15, True),
    "single_submit": Figure("single submits over HTTP, 64 connections", "tasks/s", 20_000),
    "full_loop_push": Figure("full loop, push agent over HTTP", "tasks/s", 6_000),
    "full_loop_push_singles": Figure("  … submitted one by one", "tasks/s"),
    "full_loop_push_drain": Figure("  … all queued beforehand", "tasks/s"),
    "submit_to_agent_p50": Figure("submit → agent at 200/s, p50", "ms", 1.2, True),
    "submit_to_agent_p99": Figure("submit → agent at 200/s, p99", "ms", 5, True),
    "callback_p99": Figure("callback at 2,000/s, p99", "ms", 8, True),
    "million_queued_rss": Figure("1,000,000 queued tasks, RSS", "MB", 150, True),
    "claim_at_million": Figure("a claim beside them, p50", "ms", 1, True),
    "claim_at_million_in_process": Figure("  … in process", "ms", 1, True),
    "million_restart": Figure("restart with them until ready", "s"),
    "socket_event_p99": Figure("10,000 sockets: report → event, p99", "ms", 250, True),
    "socket_event_p50": Figure("  … p50", "ms"),
    "socket_rss": Figure("  … memory a socket", "KB", 64, True),
    "socket_unread_closed": Figure("  … closed of those never read", "%", 100),
    "fanout": Figure("fan-out to 1,000 sockets", "events/s", 100_000),
    "get": Figure("plain GET, 64 connections", "req/s"),
    "get_of_hummingbird": Figure("  … ÷ stock hummingbird", "ratio", 0.85),
    "edge_read_rise": Figure("1,000 slow connections: p99 of reads rises", "%", 20, True),
    "edge_submit_rise": Figure("  … p99 of durable submits rises", "%", 20, True),
    "edge_rss_rise": Figure("  … memory rises", "MB"),
}


@dataclass
class Sample:
    """One measurement of one figure in one round."""

    name: str
    value: float
    conditions: str = ""
    limit: float | None = None
    peer: str | None = None
    compare_with: str | None = None
    unit: str | None = None
    title: str | None = None


@dataclass
class Failure:
    """A scenario that could not be measured, with the reason in one sentence."""

    names: list[str] = field(default_factory=list)
    reason: str = ""
