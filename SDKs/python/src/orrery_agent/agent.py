# SPDX-License-Identifier: Apache-2.0
"""The agent: its handlers, its settings, and the two ways to run it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from . import client as control
from . import limits
from .backoff import Backoff
from .client import ControlPlane
from .errors import ConfigurationError
from .executor import Executor, Handler
from .pull import PullLoop
from .push import PushServer

logger = logging.getLogger("orrery_agent")

DEFAULT_URL = "http://127.0.0.1:3000"
_H = TypeVar("_H", bound=Handler)


class Agent:
    """Task handlers and how to run them.

    Settings that are not given come from ``ORRERY_URL``, ``ORRERY_AGENT_ID`` and
    ``ORRERY_AGENT_SECRET``. With ``ORRERY_JOIN_TOKEN`` in place of id and secret, the agent joins
    under its ``name`` first. ``lease_seconds`` is what the control plane has for this agent: its
    heartbeats come at a third of it. ``drain_seconds`` bounds how long a stop waits for running
    handlers, ``cancel_grace`` how long an async handler may go on after its attempt was called off.
    """

    def __init__(
        self,
        agent_id: str | None = None,
        secret: str | None = None,
        url: str | None = None,
        *,
        name: str | None = None,
        join_token: str | None = None,
        previous_secret: str | None = None,
        labels: Mapping[str, str] | None = None,
        concurrency: int = 4,
        lease_seconds: float = 30.0,
        wait_seconds: int = 30,
        drain_seconds: float | None = 60.0,
        cancel_grace: float = 2.0,
        backoff: Backoff | None = None,
    ) -> None:
        if not 1 <= concurrency <= limits.LEASE_BATCH:
            raise ConfigurationError(f"concurrency is 1 to {limits.LEASE_BATCH}")
        if not 0 <= wait_seconds <= limits.WAIT_SECONDS:
            raise ConfigurationError(f"wait_seconds is 0 to {limits.WAIT_SECONDS}")
        env = os.environ
        self.url = url or env.get("ORRERY_URL") or DEFAULT_URL
        self.agent_id = agent_id or env.get("ORRERY_AGENT_ID")
        self._secret = secret or env.get("ORRERY_AGENT_SECRET")
        self._join_token = join_token or env.get("ORRERY_JOIN_TOKEN")
        self._previous_secret = previous_secret
        self._name = name or env.get("ORRERY_AGENT_NAME") or socket.gethostname()
        self._labels = dict(labels or {})
        self._concurrency = concurrency
        self._lease_seconds = lease_seconds
        self._wait_seconds = wait_seconds
        self._drain_seconds = drain_seconds
        self._cancel_grace = cancel_grace
        self._backoff = backoff or Backoff()
        self._handlers: dict[str, Handler] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._abort: asyncio.Event | None = None
        self._stop_asked = False

    def task(self, task_type: str) -> Callable[[_H], _H]:
        """Registers the decorated function as the handler of a type.

        It is called with the context and the payload and returns the result: any JSON value,
        ``Results`` or ``Partial``. A plain function runs in a thread of its own, an ``async def``
        one in the event loop.
        """

        def register(handler: _H) -> _H:
            if task_type in self._handlers:
                raise ConfigurationError(f"two handlers for {task_type!r}")
            self._handlers[task_type] = handler
            return handler

        return register

    @property
    def capabilities(self) -> list[str]:
        """The types that have handlers."""
        return sorted(self._handlers)

    def stop(self) -> None:
        """Asks the agent to drain and exit, also one that is about to run.

        May be called from any thread.
        """
        self._stop_asked = True
        loop, event = self._loop, self._stop
        if loop is not None and event is not None:
            loop.call_soon_threadsafe(event.set)

    def run(self) -> None:
        """Runs as a pull agent until SIGTERM or SIGINT, then drains; a second signal ends it now.

        Raises ``Refused`` if the control plane does not know this agent.
        """
        asyncio.run(self.pull(signals=True))

    def run_push(self, host: str = "127.0.0.1", port: int = 3001) -> None:
        """Runs as a push agent until SIGTERM or SIGINT, then drains."""
        asyncio.run(self.push(host, port, signals=True))

    async def pull(self, *, signals: bool = False) -> None:
        """Leases and executes tasks until ``stop``; ``signals`` makes SIGTERM and SIGINT do it."""
        await self._join_if_asked(None)
        async with self._client(dispatch_urls=False) as plane:
            executor = self._executor(plane)
            stop = self._begin()
            loop = PullLoop(
                plane,
                executor,
                stop=stop,
                lease_seconds=self._lease_seconds,
                wait_seconds=self._wait_seconds,
                drain_seconds=self._drain_seconds,
                backoff=self._backoff,
            )
            logger.info("agent %s pulls %s from %s", self.agent_id, self.capabilities, self.url)
            with self._signals(signals):
                await self._until_aborted(loop.run(), executor)

    async def push(
        self,
        host: str = "127.0.0.1",
        port: int = 3001,
        *,
        endpoint: str | None = None,
        signals: bool = False,
        started: Callable[[str], None] | None = None,
    ) -> None:
        """Serves dispatches until ``stop``. ``started`` is called with the address it listens on.

        ``endpoint`` is the address under which the control plane reaches it, used when joining.
        """
        await self._join_if_asked(endpoint or f"http://{host}:{port}")
        async with self._client(dispatch_urls=True) as plane:
            executor = self._executor(plane)
            stop = self._begin()
            server = PushServer(plane, executor, host=host, port=port)
            try:
                address = await server.start()
                logger.info("agent %s listens on %s", self.agent_id, address)
                if started is not None:
                    started(address)
                with self._signals(signals):
                    await self._until_aborted(self._serve(server, executor, stop), executor)
            finally:
                await server.stop()

    async def _serve(
        self, server: PushServer, executor: Executor, stop: asyncio.Event
    ) -> None:
        await stop.wait()
        server.drain()
        await executor.drain(self._drain_seconds)

    async def _join_if_asked(self, endpoint: str | None) -> None:
        if not self._handlers:
            raise ConfigurationError("the agent has no handlers")
        if self._join_token and not (self.agent_id and self._secret):
            base = endpoint.rstrip("/") if endpoint else None
            registration = await control.join(
                self.url,
                self._join_token,
                name=self._name,
                capabilities=self.capabilities,
                concurrency=self._concurrency,
                endpoint=endpoint,
                cancel_endpoint=f"{base}/cancel" if base else None,
                health_url=None,
                lease_seconds=None if endpoint else round(self._lease_seconds),
                labels=self._labels,
                backoff=self._backoff,
            )
            self.agent_id, self._secret = registration.id, registration.secret

    def _client(self, *, dispatch_urls: bool) -> ControlPlane:
        if not self.agent_id or not self._secret:
            missing = "ORRERY_AGENT_SECRET" if self.agent_id else "ORRERY_AGENT_ID"
            raise ConfigurationError(f"{missing} is not set, and no ORRERY_JOIN_TOKEN is")
        return ControlPlane(
            self.url,
            self.agent_id,
            self._secret,
            previous_secret=self._previous_secret,
            dispatch_urls=dispatch_urls,
        )

    def _executor(self, plane: ControlPlane) -> Executor:
        return Executor(
            plane,
            self._handlers,
            concurrency=self._concurrency,
            cancel_grace=self._cancel_grace,
            backoff=self._backoff,
        )

    def _begin(self) -> asyncio.Event:
        self._loop = asyncio.get_running_loop()
        self._stop, self._abort = asyncio.Event(), asyncio.Event()
        if self._stop_asked:
            self._stop.set()
        return self._stop

    @contextmanager
    def _signals(self, wanted: bool) -> Iterator[None]:
        if not wanted:
            yield
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        if self._stop is None or self._abort is None:
            return
        if self._stop.is_set():
            self._abort.set()
        else:
            logger.info("draining; a second signal ends the agent at once")
            self._stop.set()

    async def _until_aborted(self, work: Coroutine[None, None, None], executor: Executor) -> None:
        if self._abort is None:
            raise ConfigurationError("the agent has not begun")
        task = asyncio.ensure_future(work)
        aborted = asyncio.create_task(self._abort.wait())
        try:
            await asyncio.wait({task, aborted}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
                await executor.abandon()
            else:
                task.result()
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await executor.abandon()
            raise
        finally:
            aborted.cancel()
