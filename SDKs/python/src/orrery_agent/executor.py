# SPDX-License-Identifier: Apache-2.0
"""Runs handlers, a bounded number at a time, and delivers how each attempt ended."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from .backoff import Backoff
from .client import ControlPlane
from .context import CancelReason, TaskContext
from .errors import Refused, ResultError, TaskCancelled, TaskFailed, Unreachable
from .messages import Dispatch, Failure, Json, Partial, Report, Results
from .reporter import ProgressReporter

logger = logging.getLogger("orrery_agent")

Handler = Callable[[TaskContext, Any], Any]

#: How long after an attempt's deadline its report is still worth sending, in seconds.
REPORT_GRACE = 600.0
#: Refusals that mean "not with this result", after which a plain failure is reported instead.
_BAD_RESULT = frozenset({400, 413, 422})

_CALLED_OFF: Mapping[CancelReason, Failure] = {
    "cancelled": Failure("CANCELLED", "the task was cancelled", None, False),
    "timeout": Failure("TIMEOUT", "the attempt's time is over", None, True),
    "lost": Failure("LEASE_LOST", "the attempt is no longer this agent's", None, True),
    "stopping": Failure("AGENT_STOPPED", "the agent had to exit", None, True),
}


class Execution:
    """One running attempt."""

    def __init__(self, context: TaskContext) -> None:
        self.context = context
        self.dispatch = context.dispatch
        self.started = time.monotonic()
        self.remaining: float | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def duration(self) -> int:
        """Milliseconds since the start."""
        return round((time.monotonic() - self.started) * 1000)


class Executor:
    """The attempts that run now. All methods belong to the event loop."""

    def __init__(
        self,
        client: ControlPlane,
        handlers: Mapping[str, Handler],
        *,
        concurrency: int,
        cancel_grace: float,
        backoff: Backoff,
    ) -> None:
        self._client = client
        self._handlers = handlers
        self._cancel_grace = cancel_grace
        self._backoff = backoff
        self.concurrency = concurrency
        self._running: dict[tuple[str, int], Execution] = {}
        self._changed = asyncio.Condition()

    @property
    def running(self) -> list[Dispatch]:
        """The attempts that hold a slot: at work, or with a report under way."""
        return [one.dispatch for one in self._running.values()]

    @property
    def free(self) -> int:
        return max(0, self.concurrency - len(self._running))

    def start(self, dispatch: Dispatch) -> None:
        """Starts an attempt; one that runs already is left alone."""
        if dispatch.key in self._running:
            return
        loop = asyncio.get_running_loop()
        execution = Execution(TaskContext(dispatch, self._client.agent_id, loop))
        execution.remaining = self._remaining(dispatch)
        self._running[dispatch.key] = execution
        execution.task = asyncio.create_task(self._run(execution), name=dispatch.task_id)

    def cancel(self, task_id: str, reason: CancelReason, lease_token: str | None = None) -> bool:
        """Calls off the task's attempts (those of the token, if one is given)."""
        found = [
            one
            for one in self._running.values()
            if one.dispatch.task_id == task_id
            and lease_token in (None, one.dispatch.lease_token)
        ]
        for one in found:
            one.context.call_off(reason)
        return bool(found)

    async def wait_free(self) -> None:
        """Returns when a slot is free."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.free > 0)

    async def wait_idle(self) -> None:
        """Returns when nothing runs and every report is settled."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._running)

    async def drain(self, seconds: float | None) -> None:
        """Waits for what runs; after ``seconds`` calls it off, and in the end leaves it."""
        try:
            await asyncio.wait_for(self.wait_idle(), seconds)
            return
        except TimeoutError:
            logger.warning("%d attempts did not finish in time to exit", len(self._running))
        for one in self._running.values():
            one.context.call_off("stopping")
        try:
            await asyncio.wait_for(self.wait_idle(), self._cancel_grace + 10.0)
        except TimeoutError:
            await self.abandon()

    async def abandon(self) -> None:
        """Stops everything at once; the control plane will notice by the leases."""
        tasks = [one.task for one in self._running.values() if one.task is not None]
        for one in self._running.values():
            one.context.call_off("stopping")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _remaining(self, dispatch: Dispatch) -> float | None:
        """Seconds to this attempt's end, by the control plane's clock as far as we know it."""
        if dispatch.deadline is None:
            return None if dispatch.timeout is None else dispatch.timeout / 1000
        now = datetime.now(UTC).timestamp() + self._client.clock_offset
        return max(0.0, dispatch.deadline.timestamp() - now)

    async def _run(self, execution: Execution) -> None:
        try:
            reporter = ProgressReporter(self._client, execution.context)
            try:
                report = await self._handle(execution)
            except asyncio.CancelledError:
                reporter.cancel()
                raise
            await reporter.close()
            if execution.context.cancel_reason != "lost":
                await self._deliver(execution, report)
        except Exception:
            logger.exception("task %s could not be reported", execution.dispatch.task_id)
        finally:
            del self._running[execution.dispatch.key]
            async with self._changed:
                self._changed.notify_all()

    async def _handle(self, execution: Execution) -> Report:
        """Runs the handler to its end and says what came of it."""
        context = execution.context
        handler = self._handlers.get(execution.dispatch.type)
        if handler is None:
            text = f"this agent has no handler for {execution.dispatch.type!r}"
            return self._failed(execution, Failure("UNKNOWN_TASK_TYPE", text, None, False))
        try:
            result = await self._call(execution, handler)
        except TaskFailed as error:
            return self._failed(execution, Failure.of(error))
        except (TaskCancelled, asyncio.CancelledError) as error:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            reason = context.cancel_reason
            if reason is None:
                return self._failed(execution, _unexpected(error))
            return self._failed(execution, _CALLED_OFF[reason])
        except Exception as error:
            if context.cancel_reason is not None:
                return self._failed(execution, _CALLED_OFF[context.cancel_reason])
            logger.warning("task %s failed", execution.dispatch.task_id, exc_info=error)
            return self._failed(execution, _unexpected(error))
        return self._ended(execution, result)

    async def _call(self, execution: Execution, handler: Handler) -> Json:
        """Awaits the handler; past the deadline or when cancelled, interrupts it after a grace."""
        context = execution.context
        interruptible = inspect.iscoroutinefunction(handler)
        payload = execution.dispatch.payload
        work: asyncio.Future[Json] = (
            asyncio.ensure_future(handler(context, payload))
            if interruptible
            else _in_thread(handler, context, payload)
        )
        timer = None
        if execution.remaining is not None:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(execution.remaining, context.call_off, "timeout")
        called_off = asyncio.ensure_future(context.wait_cancelled())
        try:
            await asyncio.wait({work, called_off}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and interruptible:
                await asyncio.wait({work}, timeout=self._cancel_grace)
                work.cancel()
            return await work
        finally:
            called_off.cancel()
            work.cancel()
            if timer is not None:
                timer.cancel()

    def _ended(self, execution: Execution, result: Json) -> Report:
        duration = execution.duration
        if isinstance(result, Partial):
            failure = Failure(result.code, result.message)
            return Report("partial", duration, _results(result.results), failure)
        return Report("success", duration, _results(result))

    def _failed(self, execution: Execution, failure: Failure) -> Report:
        return Report("failure", execution.duration, None, failure)

    async def _encode(self, dispatch: Dispatch, report: Report) -> bytes:
        """The callback's body. Log lines that do not fit beside the result go ahead of it."""
        agent_id = self._client.agent_id
        try:
            return report.encode(dispatch, agent_id)
        except ResultError:
            if not report.logs:
                raise
        body = replace(report, logs=()).encode(dispatch, agent_id)
        try:
            await self._client.progress(dispatch, logs=report.logs)
        except (Refused, Unreachable) as error:
            logger.warning("log lines of task %s not delivered: %s", dispatch.task_id, error)
        return body

    async def _deliver(self, execution: Execution, report: Report) -> None:
        """Sends the report; where the result itself is refused, says so as a failure."""
        dispatch = execution.dispatch
        report = replace(report, logs=execution.context.take_lines())
        if execution.context.unsent_lines:
            logger.warning("log lines of task %s were not delivered", dispatch.task_id)
        grace = 86_400.0 if execution.remaining is None else execution.remaining + REPORT_GRACE
        until = execution.started + grace
        try:
            body = await self._encode(dispatch, report)
        except ResultError as error:
            failure = Failure(error.code, str(error), None, False)
            report = replace(self._failed(execution, failure), logs=report.logs)
            body = report.encode(dispatch, self._client.agent_id)
        try:
            await self._client.deliver(dispatch, body, backoff=self._backoff, until=until)
        except Refused as error:
            if error.status == 409:
                logger.info("the report of task %s came late: %s", dispatch.task_id, error)
            elif error.status in _BAD_RESULT and report.status != "failure":
                text = f"the control plane refused the result: {error}"
                report = self._failed(execution, Failure("RESULT_REFUSED", text, None, False))
                body = report.encode(dispatch, self._client.agent_id)
                await self._client.deliver(dispatch, body, backoff=self._backoff, until=until)
            else:
                logger.error("the report of task %s was refused: %s", dispatch.task_id, error)
        except Unreachable as error:
            logger.error("the report of task %s was given up: %s", dispatch.task_id, error)


def _results(value: Json) -> Results:
    return value if isinstance(value, Results) else Results(value)


def _unexpected(error: BaseException) -> Failure:
    stack = "".join(traceback.format_exception(error))
    return Failure("AGENT_ERROR", f"{type(error).__name__}: {error}", stack, True)


def _in_thread(handler: Handler, context: TaskContext, payload: Json) -> asyncio.Future[Json]:
    """Runs a plain function in a thread of its own, which does not keep the process alive."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Json] = loop.create_future()

    def settle(result: Json, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def work() -> None:
        result: Json = None
        failure: BaseException | None = None
        try:
            result = handler(context, payload)
        except StopIteration as error:
            failure = RuntimeError("the handler raised StopIteration")
            failure.__cause__ = error
        except BaseException as error:
            failure = error
        try:
            loop.call_soon_threadsafe(settle, result, failure)
        except RuntimeError:
            logger.warning("task %s ended after the agent's exit", context.task_id)

    threading.Thread(target=work, name=f"task {context.task_id}", daemon=True).start()
    return future

