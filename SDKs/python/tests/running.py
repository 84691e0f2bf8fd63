# SPDX-License-Identifier: Apache-2.0
"""Agents for tests, and the ways to run them against the control plane's double."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from control_plane import AGENT, SECRET, ControlPlaneDouble

from orrery_agent import Agent, Backoff

QUICK = Backoff(base=0.01, cap=0.02, longest=0.02)


def make_agent(plane: ControlPlaneDouble, **settings: Any) -> Agent:
    settings = {"backoff": QUICK, "cancel_grace": 0.05, "wait_seconds": 5, **settings}
    return Agent(AGENT, SECRET, plane.url, **settings)


@asynccontextmanager
async def pulling(agent: Agent) -> AsyncIterator[asyncio.Task[None]]:
    """Runs the agent as a pull agent; at the end it drains."""
    task = asyncio.create_task(agent.pull())
    try:
        yield task
    finally:
        agent.stop()
        await task


@asynccontextmanager
async def pushing(agent: Agent) -> AsyncIterator[str]:
    """Runs the agent as a push agent and gives its address; at the end it drains."""
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(agent.push(port=0, started=address.set_result))
    try:
        yield await address
    finally:
        agent.stop()
        await task
