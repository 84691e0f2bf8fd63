# SPDX-License-Identifier: Apache-2.0
"""A small control plane for tests: the protocol's agent side over a loopback socket, in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from orrery_agent import Secret, verify

SECRET = "whsec_9K3K+deU8aOkQr/4d4NmktEWpa3r59QrjCAMvE+2Q84="
AGENT = "agent-1"


@dataclass
class Call:
    """One call that was received, with its verified message id."""

    path: str
    message_id: str | None
    body: dict[str, Any]
    traceparent: str | None = None


@dataclass
class ControlPlaneDouble:
    """Records every call; ``answers`` scripts the next answers of a path, by its last part."""

    queue: list[dict[str, Any]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    answers: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    #: Whether a long poll goes on after the agent said that it drains.
    holds_polls: bool = False
    draining: bool = False
    url: str = ""
    port: int = 0

    def __post_init__(self) -> None:
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> ControlPlaneDouble:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def listen(self) -> None:
        app = web.Application(client_max_size=16 << 20)
        app.router.add_post("/api/agents/join", self._join)
        app.router.add_post("/api/agents/{id}/lease", self._signed(self._lease))
        app.router.add_post("/api/agents/{id}/heartbeat", self._signed(self._heartbeat))
        app.router.add_post("/api/tasks/{id}/progress", self._signed(self._progress))
        app.router.add_post("/api/agent-callback", self._signed(self._callback))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def dispatch(self, task_id: str, kind: str = "work", **fields: Any) -> dict[str, Any]:
        return {
            "taskId": task_id,
            "attempt": 1,
            "leaseToken": f"lease-{task_id}",
            "type": kind,
            "payload": {},
            "priority": 5,
            "timeout": 300000,
            "deadline": "2099-01-01T00:00:00.000Z",
            "callbackUrl": f"{self.url}/api/agent-callback",
            "progressUrl": f"{self.url}/api/tasks/{task_id}/progress",
            **fields,
        }

    async def add(self, *dispatches: dict[str, Any]) -> None:
        async with self._changed:
            self.queue.extend(dispatches)
            self._changed.notify_all()

    def of(self, kind: str) -> list[Call]:
        return [call for call in self.calls if call.path.endswith(kind)]

    @property
    def callbacks(self) -> list[dict[str, Any]]:
        return [call.body for call in self.of("agent-callback")]

    async def look(self) -> None:
        """Makes ``until`` look again."""
        async with self._changed:
            self._changed.notify_all()

    async def until(self, condition: Callable[[], bool], *, seconds: float = 10) -> None:
        """Returns when ``condition`` holds; it is looked at after every call."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)

    def _signed(
        self, handler: Callable[[web.Request, dict[str, Any]], Awaitable[Any]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def wrapped(request: web.Request) -> web.Response:
            raw = await request.read()
            signed = verify(request.headers.items(), raw, [Secret(SECRET)])
            assert signed.agent_id == AGENT
            body = json.loads(raw)
            async with self._changed:
                self.calls.append(
                    Call(request.path, signed.message_id, body, request.headers.get("traceparent"))
                )
                self._changed.notify_all()
            scripted = self.answers.get(request.path.rsplit("/", 1)[-1])
            if scripted:
                status, answer = scripted.pop(0)
                return web.json_response(answer, status=status)
            return web.json_response(await handler(request, body))

        return wrapped

    async def _join(self, request: web.Request) -> web.Response:
        assert request.headers["authorization"] == "Bearer orr_join"
        async with self._changed:
            self.calls.append(Call(request.path, None, await request.json()))
            self._changed.notify_all()
        scripted = self.answers.get("join")
        if scripted:
            status, answer = scripted.pop(0)
            return web.json_response(answer, status=status)
        return web.json_response({"id": AGENT, "secret": SECRET}, status=201)

    async def _lease(self, _: web.Request, body: dict[str, Any]) -> Any:
        async with self._changed:
            try:
                async with asyncio.timeout(body["waitSeconds"]):
                    await self._changed.wait_for(lambda: bool(self.queue) or self.draining)
            except TimeoutError:
                return {"dispatches": []}
            given, self.queue = self.queue[: body["max"]], self.queue[body["max"] :]
            return {"dispatches": given}

    async def _heartbeat(self, _: web.Request, body: dict[str, Any]) -> Any:
        async with self._changed:
            self.draining = body["status"] == "draining" and not self.holds_polls
            self._changed.notify_all()
        ids = {one["taskId"] for one in body["running"]}
        return {
            "acknowledged": True,
            "cancelled": sorted(ids & self.cancelled),
            "lost": sorted(ids & self.lost),
        }

    async def _progress(self, _: web.Request, body: dict[str, Any]) -> Any:
        return {
            "acknowledged": True,
            "cancelled": body["taskId"] in self.cancelled,
            "leaseExpiresAt": "2099-01-01T00:00:00.000Z",
        }

    async def _callback(self, _: web.Request, body: dict[str, Any]) -> Any:
        return {"acknowledged": True, "nextAction": "none", "metadata": {"state": "completed"}}
