# SPDX-License-Identifier: Apache-2.0
"""The push agent's server: verifies signed dispatches, accepts them, works in the background."""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict

from aiohttp import web

from . import limits
from .client import ControlPlane
from .context import CancelReason
from .errors import MessageError, SignatureError
from .executor import Executor
from .messages import Dispatch, Json

logger = logging.getLogger("orrery_agent")


class PushServer:
    """An HTTP server for dispatches (``POST /``), cancellations and health checks."""

    def __init__(
        self,
        client: ControlPlane,
        executor: Executor,
        *,
        host: str,
        port: int,
        dispatch_path: str = "/",
        cancel_path: str = "/cancel",
        health_path: str = "/healthz",
    ) -> None:
        self._client = client
        self._executor = executor
        self._host = host
        self._port = port
        self._draining = False
        self._seen: OrderedDict[tuple[str, int], None] = OrderedDict()
        app = web.Application(client_max_size=limits.DISPATCH)
        app.router.add_post(dispatch_path, self._dispatch)
        app.router.add_post(cancel_path, self._cancel)
        app.router.add_get(health_path, self._health)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)

    async def start(self) -> str:
        """Listens and returns the address. Raises ``OSError`` if the port is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        port = self._runner.addresses[0][1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{port}"

    def drain(self) -> None:
        """From now on refuses dispatches with 503; cancellations are still taken."""
        self._draining = True

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _dispatch(self, request: web.Request) -> web.Response:
        value, refusal = await self._verified(request)
        if refusal is not None:
            return refusal
        try:
            dispatch = Dispatch.parse(value)
        except MessageError as error:
            return _problem(422, "bad_dispatch", str(error))
        if dispatch.key in self._seen:
            return web.json_response({"accepted": True})
        if self._draining:
            return _problem(503, "draining", "this agent is about to exit", retry_after=5)
        if self._executor.free == 0:
            return _problem(429, "busy", "every slot of this agent is taken", retry_after=1)
        self._remember(dispatch)
        self._executor.start(dispatch)
        return web.json_response({"accepted": True})

    async def _cancel(self, request: web.Request) -> web.Response:
        value, refusal = await self._verified(request)
        if refusal is not None:
            return refusal
        task_id, token, reason = (value.get(key) for key in ("taskId", "leaseToken", "reason"))
        if not (isinstance(task_id, str) and isinstance(token, str)):
            return _problem(422, "bad_cancellation", "taskId and leaseToken are required")
        known: CancelReason = "timeout" if reason == "timeout" else "cancelled"
        found = self._executor.cancel(task_id, known, token)
        return web.json_response({"accepted": True, "running": found})

    async def _health(self, _: web.Request) -> web.Response:
        if self._draining:
            return _problem(503, "draining", "this agent is about to exit")
        running = len(self._executor.running)
        return web.json_response({"status": "active", "running": running})

    async def _verified(
        self, request: web.Request
    ) -> tuple[dict[str, Json], web.Response | None]:
        """The body of a request that is signed for us, or the answer that refuses it."""
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return {}, _problem(413, "too_large", f"more than {limits.DISPATCH} bytes")
        try:
            self._client.verify(request.headers.items(), body)
        except SignatureError as error:
            logger.warning("a request from %s was refused: %s", request.remote, error)
            return {}, _problem(401, "unauthorized", "the request is not signed as it must be")
        stamp = request.headers.get("webhook-timestamp", "0")
        self._client.note_offset(int(stamp) - time.time())
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            return {}, _problem(400, "bad_json", "the body is not a JSON object")
        return value, None

    def _remember(self, dispatch: Dispatch) -> None:
        self._seen[dispatch.key] = None
        while len(self._seen) > limits.REMEMBERED_ATTEMPTS:
            self._seen.popitem(last=False)


def _problem(
    status: int, code: str, detail: str, *, retry_after: int | None = None
) -> web.Response:
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return web.json_response(
        {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code},
        status=status,
        headers=headers,
        content_type="application/problem+json",
    )
