# SPDX-License-Identifier: Apache-2.0
"""Heartbeats, cancellation, deadlines and the graceful end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from control_plane import AGENT, SECRET, ControlPlaneDouble
from running import make_agent, pulling

from orrery_agent import TaskCancelled, TaskContext

_SOURCE = Path(__file__).resolve().parents[1] / "src"


async def test_heartbeats_renew_what_runs() -> None:
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane, lease_seconds=0.06)

        @agent.task("work")
        async def work(_: TaskContext, __: Any) -> None:
            await plane.until(lambda: len(plane.of("heartbeat")) >= 3)

        async with pulling(agent):
            await plane.add(plane.dispatch("t1"))
            await plane.until(lambda: bool(plane.callbacks))
            beats = [call.body for call in plane.of("heartbeat")]
        expected = {"status": "active", "running": [{"taskId": "t1", "leaseToken": "lease-t1"}]}
        assert expected in beats


@pytest.mark.parametrize("way", ["heartbeat", "progress"])
async def test_cancellation_reaches_async_handlers(way: str) -> None:
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane, lease_seconds=0.06)
        seen: list[str] = []

        @agent.task("work")
        async def work(context: TaskContext, _: Any) -> None:
            plane.cancelled.add("t1")
            if way == "progress":
                context.progress(1)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append(str(context.cancel_reason))
                raise

        plane.answers["agent-callback"] = [(409, {"acknowledged": False, "nextAction": "none"})]
        async with pulling(agent):
            await plane.add(plane.dispatch("t1"))
            await plane.until(lambda: bool(plane.callbacks))
        assert seen == ["cancelled"]
        assert plane.callbacks[0]["error"]["code"] == "CANCELLED"


async def test_cancellation_reaches_threads() -> None:
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane, lease_seconds=0.06)
        seen: list[str] = []

        @agent.task("work")
        def work(context: TaskContext, _: Any) -> None:
            plane.cancelled.add("t1")
            assert context.wait(10)
            try:
                context.progress(50)
            except TaskCancelled as error:
                seen.append(error.reason)
                raise

        async with pulling(agent):
            await plane.add(plane.dispatch("t1"))
            await plane.until(lambda: bool(plane.callbacks))
        assert seen == ["cancelled"]


async def test_a_lost_attempt_is_stopped_and_not_reported() -> None:
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane, lease_seconds=0.06, concurrency=1)

        @agent.task("work")
        async def work(context: TaskContext, _: Any) -> None:
            plane.lost.add(context.task_id)
            assert await context.wait_cancelled() == "lost"

        async with pulling(agent):
            await plane.add(plane.dispatch("t1"))
            await plane.until(lambda: len(plane.of("lease")) == 2)
        assert plane.callbacks == []


async def test_stale_progress_means_lost() -> None:
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane, concurrency=1)
        plane.answers["progress"] = [(409, {"code": "stale_lease"})]

        @agent.task("work")
        async def work(context: TaskContext, _: Any) -> None:
            context.progress(1)
            assert await context.wait_cancelled() == "lost"

        async with pulling(agent):
            await plane.add(plane.dispatch("t1"))
            await plane.until(lambda: len(plane.of("lease")) == 2)
        assert plane.callbacks == []


async def test_the_deadline_ends_an_attempt() -> None:
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane)

        @agent.task("work")
        async def work(_: TaskContext, __: Any) -> None:
            await asyncio.Event().wait()

        async with pulling(agent):
            await plane.add(plane.dispatch("t1", deadline="2020-01-01T00:00:00.000Z"))
            await plane.until(lambda: bool(plane.callbacks))
        assert plane.callbacks[0]["error"]["code"] == "TIMEOUT"


async def test_drain_finishes_what_runs_and_leases_nothing_more() -> None:
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane, concurrency=2, lease_seconds=0.06)
        started = asyncio.Event()

        @agent.task("work")
        async def work(_: TaskContext, __: Any) -> str:
            started.set()
            await plane.until(
                lambda: any(call.body["status"] == "draining" for call in plane.of("heartbeat"))
            )
            leases.append(len(plane.of("lease")))
            return "finished"

        leases: list[int] = []
        task = asyncio.create_task(agent.pull())
        await plane.add(plane.dispatch("t1"))
        await started.wait()
        agent.stop()
        await task
        assert [one["results"]["data"] for one in plane.callbacks] == ["finished"]
        assert len(plane.of("lease")) == leases[0]


async def test_drain_takes_the_last_answer_of_a_long_poll() -> None:
    async with ControlPlaneDouble(holds_polls=True) as plane:
        agent = make_agent(plane)
        agent.task("work")(lambda _, __: "late but done")
        task = asyncio.create_task(agent.pull())
        await plane.until(lambda: len(plane.of("lease")) == 1)
        agent.stop()
        await plane.until(lambda: bool(plane.of("heartbeat")))
        await plane.add(plane.dispatch("t1"))
        await task
        assert len(plane.callbacks) == 1


async def test_drain_has_an_end() -> None:
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane, drain_seconds=0.05)
        started = asyncio.Event()

        @agent.task("work")
        async def work(_: TaskContext, __: Any) -> None:
            started.set()
            await asyncio.Event().wait()

        async with pulling(agent):
            await plane.add(plane.dispatch("t1"))
            await started.wait()
        error = plane.callbacks[0]["error"]
        assert error["code"] == "AGENT_STOPPED" and error["retryable"] is True


_PROGRAM = """
from orrery_agent import Agent
agent = Agent(wait_seconds=5)
@agent.task("work")
def work(context, payload):
    context.progress(10, "started")
    context.wait(payload["seconds"])
    return "finished"
agent.run()
"""


async def _program(plane: ControlPlaneDouble) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM,
        env={
            **os.environ, "PYTHONPATH": str(_SOURCE), "ORRERY_URL": plane.url,
            "ORRERY_AGENT_ID": AGENT, "ORRERY_AGENT_SECRET": SECRET,
        },
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_the_process(number: signal.Signals) -> None:
    async with ControlPlaneDouble() as plane:
        await plane.add(plane.dispatch("t1", payload={"seconds": 0.3}))
        process = await _program(plane)
        await plane.until(lambda: bool(plane.of("progress")))
        process.send_signal(number)
        assert await process.wait() == 0
        assert plane.callbacks[0]["results"]["data"] == "finished"


async def test_a_second_signal_ends_the_process_at_once() -> None:
    async with ControlPlaneDouble() as plane:
        await plane.add(plane.dispatch("t1", payload={"seconds": 60}))
        process = await _program(plane)
        await plane.until(lambda: bool(plane.of("progress")))
        process.send_signal(signal.SIGTERM)
        await plane.until(lambda: bool(plane.of("heartbeat")))
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        assert plane.callbacks == []
