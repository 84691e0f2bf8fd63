# SPDX-License-Identifier: Apache-2.0
"""Sends an attempt's progress and log lines while its handler works."""

from __future__ import annotations

import asyncio
import logging

from . import limits
from .client import ControlPlane
from .context import TaskContext
from .errors import Refused, Unreachable

logger = logging.getLogger("orrery_agent")

#: Reports of one attempt are at least this far apart, in seconds.
INTERVAL = 0.2


class ProgressReporter:
    """Runs beside a handler from its first news to its end."""

    def __init__(self, client: ControlPlane, context: TaskContext) -> None:
        self._client = client
        self._context = context
        self._ended = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stops. Leaves at most one report's worth of log lines, for the callback to carry."""
        self._ended.set()
        self._context.news.set()
        await self._task
        while self._context.unsent_lines > limits.LOG_LINES_PER_REPORT:
            if not await self._send():
                break

    def cancel(self) -> None:
        """Stops at once."""
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            await self._context.news.wait()
            if self._ended.is_set():
                return
            self._context.news.clear()
            await self._send()
            try:
                await asyncio.wait_for(self._ended.wait(), INTERVAL)
                return
            except TimeoutError:
                continue

    async def _send(self) -> bool:
        """One report. Returns whether it arrived and the attempt is still ours."""
        context = self._context
        percent, message = context.take_progress()
        lines = context.take_lines()
        if percent is None and message is None and not lines:
            return True
        try:
            cancelled = await self._client.progress(
                context.dispatch, percent=percent, message=message, logs=lines
            )
        except Unreachable as error:
            logger.warning("progress of task %s not delivered: %s", context.task_id, error)
            context.put_back(lines)
            if percent is not None or message is not None or lines:
                context.news.set()
            return False
        except Refused as error:
            logger.warning("progress of task %s refused: %s", context.task_id, error)
            if error.status in (404, 409):
                context.call_off("lost")
            return False
        if cancelled:
            context.call_off("cancelled")
        if context.unsent_lines:
            context.news.set()
        return True
