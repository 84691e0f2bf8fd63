# SPDX-License-Identifier: Apache-2.0
"""The pull agent's loop: long polls for work, heartbeats while it runs, a graceful end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Literal

from .backoff import Backoff
from .client import ControlPlane
from .errors import Refused, Unreachable
from .executor import Executor
from .messages import Dispatch

logger = logging.getLogger("orrery_agent")

#: Refusals in a row after which the loop gives up: the agent is unknown or its secret is not good.
MOST_REFUSALS = 5
#: How long a long poll may still bring work after draining began, in seconds.
LAST_POLL = 1.0


class PullLoop:
    """Keeps an executor's free slots filled until ``stop`` is set, then drains."""

    def __init__(
        self,
        client: ControlPlane,
        executor: Executor,
        *,
        stop: asyncio.Event,
        lease_seconds: float,
        wait_seconds: int,
        drain_seconds: float | None,
        backoff: Backoff,
    ) -> None:
        self._client = client
        self._executor = executor
        self._stop = stop
        self._interval = lease_seconds / 3
        self._wait_seconds = wait_seconds
        self._drain_seconds = drain_seconds
        self._backoff = backoff
        self._status: Literal["active", "draining"] = "active"
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Returns after a drain. Raises ``Refused`` if the control plane does not know us."""
        heartbeats = asyncio.create_task(self._heartbeats())
        try:
            try:
                await self._poll()
            except Refused:
                await self._executor.drain(self._drain_seconds)
                raise
            await self._executor.drain(self._drain_seconds)
        finally:
            self._ended.set()
            heartbeats.cancel()
            await asyncio.wait({heartbeats})

    async def _poll(self) -> None:
        failures = 0
        while not self._stop.is_set():
            if await self._or_stop(self._executor.wait_free()) is _STOPPED:
                break
            lease = asyncio.create_task(
                self._client.lease(self._executor.free, self._wait_seconds)
            )
            try:
                if await self._or_stop(asyncio.shield(lease)) is _STOPPED:
                    await self._last_poll(lease)
                    return
                self._start(lease.result())
                failures = 0
            except (Unreachable, Refused) as error:
                failures += 1
                if isinstance(error, Refused) and failures >= MOST_REFUSALS:
                    raise
                await self._pause(failures, error)
            except asyncio.CancelledError:
                lease.cancel()
                raise
        self._status = "draining"
        await self._beat()

    async def _last_poll(self, lease: asyncio.Task[list[Dispatch]]) -> None:
        """The control plane may just have handed out work: take it, rather than let it expire."""
        self._status = "draining"
        await self._beat()
        await asyncio.wait({lease}, timeout=LAST_POLL)
        if not lease.done():
            lease.cancel()
        elif lease.exception() is None:
            self._start(lease.result())

    def _start(self, dispatches: list[Dispatch]) -> None:
        for dispatch in dispatches:
            self._executor.start(dispatch)

    async def _pause(self, failures: int, error: Unreachable | Refused) -> None:
        after = error.retry_after if isinstance(error, Unreachable) else None
        delay = self._backoff.delay(failures, after)
        logger.warning("no lease (%s); again in %.1f s", error, delay)
        await self._or_stop(asyncio.sleep(delay))

    async def _heartbeats(self) -> None:
        while not self._ended.is_set():
            try:
                await asyncio.wait_for(self._ended.wait(), self._interval)
            except TimeoutError:
                if self._executor.running or self._status == "draining":
                    await self._beat()

    async def _beat(self) -> None:
        """One heartbeat; one that fails is made up for by the next, two of which fit a lease."""
        beaten = self._executor.running
        try:
            beat = await self._client.heartbeat(self._status, beaten)
        except (Unreachable, Refused) as error:
            logger.warning("heartbeat not delivered: %s", error)
            return
        for one in beaten:
            if one.task_id in beat.cancelled:
                self._executor.cancel(one.task_id, "cancelled", one.lease_token)
            elif one.task_id in beat.lost:
                self._executor.cancel(one.task_id, "lost", one.lease_token)

    async def _or_stop(self, work: Coroutine[Any, Any, Any] | asyncio.Future[Any]) -> object:
        """Awaits ``work``; gives it up and returns ``_STOPPED`` when a stop is asked for."""
        task = asyncio.ensure_future(work)
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return await task if task.done() else _STOPPED
        finally:
            stopped.cancel()
            task.cancel()


_STOPPED = object()
