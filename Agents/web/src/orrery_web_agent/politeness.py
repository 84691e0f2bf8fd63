# SPDX-License-Identifier: Apache-2.0
"""Keeps requests to one host apart, and few at a time, across all tasks of this agent."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

MOST_HOSTS = 4_096


@dataclass(frozen=True, slots=True)
class Manners:
    """How a host is treated: seconds between starts of requests, and how many at a time."""

    delay: float
    concurrency: int


class _Gate:
    def __init__(self) -> None:
        self.active = 0
        self.waiting = 0
        self.next_start = 0.0
        self.changed = asyncio.Condition()


class HostGates:
    """One gate per host and port. Each caller brings the manners that it wants kept."""

    def __init__(self) -> None:
        self._gates: OrderedDict[str, _Gate] = OrderedDict()

    @asynccontextmanager
    async def passing(self, host: str, manners: Manners) -> AsyncIterator[None]:
        """Waits for the host's turn; the body is one request."""
        gate = self._gate(host)
        gate.waiting += 1
        try:
            async with gate.changed:
                await gate.changed.wait_for(lambda: gate.active < manners.concurrency)
                gate.active += 1
        finally:
            gate.waiting -= 1
        try:
            start = max(time.monotonic(), gate.next_start)
            gate.next_start = start + manners.delay
            if start > time.monotonic():
                await asyncio.sleep(start - time.monotonic())
            yield
        finally:
            gate.active -= 1
            async with gate.changed:
                gate.changed.notify_all()

    def _gate(self, host: str) -> _Gate:
        gate = self._gates.setdefault(host, _Gate())
        self._gates.move_to_end(host)
        if len(self._gates) > MOST_HOSTS:
            for name, one in list(self._gates.items()):
                if one.active == one.waiting == 0 and one is not gate:
                    del self._gates[name]
                    break
        return gate
