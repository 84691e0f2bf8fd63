# SPDX-License-Identifier: Apache-2.0
"""What a handler is given beside its payload: who it is, and the way to speak while it works."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from datetime import UTC, datetime
from typing import Final, Literal

from . import limits
from .errors import TaskCancelled
from .messages import Dispatch, Json, LogLine

CancelReason = Literal["cancelled", "timeout", "lost", "stopping"]
LEVELS: Final = frozenset({"debug", "info", "warning", "error"})


class TaskContext:
    """One attempt as its handler sees it. Every method may be called from any thread."""

    def __init__(self, dispatch: Dispatch, agent_id: str, loop: asyncio.AbstractEventLoop) -> None:
        self.dispatch = dispatch
        self.agent_id = agent_id
        self._loop = loop
        self._lock = threading.Lock()
        self._flag = threading.Event()
        self._cancelled = asyncio.Event()
        self._reason: CancelReason = "cancelled"
        self._percent: float | None = None
        self._message: str | None = None
        self._lines: deque[LogLine] = deque()
        self._written = 0
        #: Set, in the event loop, when there is something to send.
        self.news = asyncio.Event()

    @property
    def task_id(self) -> str:
        return self.dispatch.task_id

    @property
    def attempt(self) -> int:
        return self.dispatch.attempt

    @property
    def deadline(self) -> datetime | None:
        """When this attempt ends at the latest, by the control plane's clock."""
        return self.dispatch.deadline

    @property
    def traceparent(self) -> str | None:
        """W3C trace context of this attempt: pass it on to what the handler calls."""
        return self.dispatch.traceparent

    @property
    def cancelled(self) -> bool:
        """Whether the attempt was called off: stop soon, the result no longer counts."""
        return self._flag.is_set()

    @property
    def cancel_reason(self) -> CancelReason | None:
        """Why ``cancelled`` is set."""
        return self._reason if self._flag.is_set() else None

    def raise_if_cancelled(self) -> None:
        """Raises ``TaskCancelled`` once the attempt was called off."""
        if self._flag.is_set():
            raise TaskCancelled(self._reason)

    def wait(self, seconds: float) -> bool:
        """For handlers in threads: waits until cancelled, ``seconds`` at most."""
        return self._flag.wait(seconds)

    async def wait_cancelled(self) -> CancelReason:
        """For async handlers: returns when the attempt is called off."""
        await self._cancelled.wait()
        return self._reason

    def progress(self, percent: float | None = None, message: str | None = None) -> None:
        """Reports how far the work is (0 to 100, kept within) and what it does now.

        Returns at once; reports that follow each other quickly are sent as one. Raises
        ``TaskCancelled`` once the attempt was called off.
        """
        self.raise_if_cancelled()
        with self._lock:
            if percent is not None:
                if percent != percent:
                    raise ValueError("progress is not a number")
                self._percent = min(100.0, max(0.0, float(percent)))
            if message is not None:
                self._message = limits.shorten(message, limits.MESSAGE)
        self._wake()

    def log(self, level: str, message: str, **metadata: Json) -> None:
        """Adds a line to the task's log. ``level`` is debug, info, warning or error.

        Metadata that JSON does not have is written as text. A task keeps 10,000 lines; the last
        place says that there were more.
        """
        if level not in LEVELS:
            raise ValueError(f"not a log level: {level!r} (debug, info, warning, error)")
        line = LogLine(
            datetime.now(UTC), level, limits.shorten(message, limits.MESSAGE), _plain(metadata)
        )
        with self._lock:
            if self._written >= limits.LOG_LINES_PER_TASK:
                return
            self._written += 1
            if self._written == limits.LOG_LINES_PER_TASK:
                line = LogLine(line.timestamp, "warning", "more log lines were left out")
            self._lines.append(line)
        self._wake()

    def call_off(self, reason: CancelReason) -> None:
        """In the event loop: marks the attempt as called off; the first reason stays."""
        if not self._flag.is_set():
            self._reason = reason
            self._flag.set()
            self._cancelled.set()

    def take_progress(self) -> tuple[float | None, str | None]:
        """Takes what is to be sent of progress."""
        with self._lock:
            taken = (self._percent, self._message)
            self._percent = self._message = None
            return taken

    def take_lines(self) -> list[LogLine]:
        """Takes the oldest log lines that are to be sent: as many as one report may hold."""
        with self._lock:
            count = min(len(self._lines), limits.LOG_LINES_PER_REPORT)
            return [self._lines.popleft() for _ in range(count)]

    def put_back(self, lines: list[LogLine]) -> None:
        """Undoes ``take_lines`` after a report that did not arrive."""
        with self._lock:
            self._lines.extendleft(reversed(lines))

    @property
    def unsent_lines(self) -> int:
        """How many log lines wait to be sent."""
        return len(self._lines)

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self.news.set)
        except RuntimeError:
            # The loop is closed: the agent has exited while this thread was still at work.
            raise TaskCancelled("stopping") from None


def _plain(metadata: dict[str, Json]) -> dict[str, Json] | None:
    if not metadata:
        return None
    text = json.dumps(metadata, default=str, skipkeys=True, ensure_ascii=True)
    if len(text) > limits.METADATA:
        return {"truncated": limits.shorten(text, limits.MESSAGE)}
    plain = json.loads(text, parse_constant=str)
    return plain if isinstance(plain, dict) else None
