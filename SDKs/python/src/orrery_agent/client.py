# SPDX-License-Identifier: Apache-2.0
"""The control plane as an agent sees it: signed calls over HTTP, one method each."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import re
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

import aiohttp
import yarl

from . import limits, signing
from .backoff import Backoff
from .errors import ConfigurationError, MessageError, Refused, SignatureError, Unreachable
from .messages import Dispatch, Json, LogLine, encode
from .version import USER_AGENT

logger = logging.getLogger("orrery_agent")

CALL_SECONDS = 15.0
#: Answers below 500 that say nothing of the request itself.
_PASSING = frozenset({408, 425, 429})
#: W3C trace context; what is not of its form does not go into a header.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Beat:
    """The answer to a heartbeat: ids of tasks."""

    cancelled: frozenset[str]
    lost: frozenset[str]


@dataclass(frozen=True, slots=True)
class Registration:
    """Who an agent is, as the answer to ``join`` says. Keep the secret: it is shown once."""

    id: str
    secret: str


class ControlPlane:
    """Signed calls in the name of one agent. Use it as an async context manager."""

    def __init__(
        self,
        url: str,
        agent_id: str,
        secret: str,
        *,
        previous_secret: str | None = None,
        dispatch_urls: bool = False,
    ) -> None:
        """``dispatch_urls``: report to the addresses that a dispatch names, not to ``url``.

        Raises ``ConfigurationError`` for a bad address or secret.
        """
        self._base = base_url(url)
        self._dispatch_urls = dispatch_urls
        self.agent_id = agent_id
        self._secret = signing.Secret(secret)
        self._known = [self._secret]
        if previous_secret:
            self._known.append(signing.Secret(previous_secret))
        self._session: aiohttp.ClientSession | None = None
        #: The control plane's clock minus ours, in seconds, as its last answer or request showed.
        self.clock_offset = 0.0

    async def __aenter__(self) -> ControlPlane:
        self._session = _session()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def verify(self, headers: signing.Headers, body: bytes) -> None:
        """Checks that ``body`` was signed for this agent. Raises ``SignatureError``."""
        signed = signing.verify(headers, body, self._known, allow_compat=False)
        if signed.agent_id != self.agent_id:
            raise SignatureError("signed for another agent")

    async def lease(self, most: int, wait_seconds: int) -> list[Dispatch]:
        """Waits up to ``wait_seconds`` for at most ``most`` dispatches."""
        answer = await self._call(
            self._path("api", "agents", self.agent_id, "lease"),
            {"max": most, "waitSeconds": wait_seconds},
            seconds=wait_seconds + CALL_SECONDS,
            most_bytes=limits.ANSWER + most * limits.DISPATCH,
        )
        found = answer.get("dispatches")
        if not isinstance(found, list):
            raise Unreachable("a lease answer without dispatches")
        return [one for one in map(_dispatch, found) if one is not None]

    async def heartbeat(
        self, status: Literal["active", "draining"], running: Sequence[Dispatch]
    ) -> Beat:
        """Renews the leases of ``running``; says which were cancelled and which are not ours."""
        answer = await self._call(
            self._path("api", "agents", self.agent_id, "heartbeat"),
            {
                "status": status,
                "running": [
                    {"taskId": one.task_id, "leaseToken": one.lease_token} for one in running
                ],
            },
        )
        return Beat(_ids(answer.get("cancelled")), _ids(answer.get("lost")))

    async def progress(
        self,
        dispatch: Dispatch,
        *,
        percent: float | None = None,
        message: str | None = None,
        logs: Sequence[LogLine] = (),
    ) -> bool:
        """Reports progress and renews the lease. Returns whether the task was cancelled."""
        body: dict[str, Json] = {
            "taskId": dispatch.task_id,
            "attempt": dispatch.attempt,
            "leaseToken": dispatch.lease_token,
        }
        if percent is not None:
            body["progress"] = percent
        if message is not None:
            body["message"] = message
        if logs:
            body["logs"] = [line.wire() for line in logs]
        own = self._path("api", "tasks", dispatch.task_id, "progress")
        answer = await self._call(
            self._named(dispatch.progress_url) or own, body, traceparent=dispatch.traceparent
        )
        return answer.get("cancelled") is True

    async def callback(
        self, dispatch: Dispatch, body: bytes, *, message_id: str | None = None
    ) -> str:
        """Sends a report once and returns its ``nextAction``.

        A callback that is sent again keeps its ``message_id``.
        """
        url = self._named(dispatch.callback_url) or self._path("api", "agent-callback")
        answer = await self._post(
            url, body, message_id=message_id, traceparent=dispatch.traceparent
        )
        if answer.get("acknowledged") is not True:
            raise Unreachable("a callback's answer without an acknowledgement")
        return str(answer.get("nextAction", "none"))

    async def deliver(
        self, dispatch: Dispatch, body: bytes, *, backoff: Backoff, until: float
    ) -> str:
        """Sends a report until it is acknowledged, refused, or ``until`` (``time.monotonic``).

        Returns its ``nextAction``. Raises ``Refused``, or ``Unreachable`` at the end.
        """
        message_id = signing.new_message_id()
        failures = 0
        while True:
            try:
                return await self.callback(dispatch, body, message_id=message_id)
            except Unreachable as error:
                failures += 1
                delay = backoff.delay(failures, error.retry_after)
                if time.monotonic() + delay > until:
                    raise
                logger.warning(
                    "callback of task %s not delivered (%s); again in %.1f s",
                    dispatch.task_id, error, delay,
                )
                await asyncio.sleep(delay)

    def _path(self, *parts: str) -> yarl.URL:
        return self._base.joinpath(*parts)

    def _named(self, text: str | None) -> yarl.URL | None:
        if text is None or not self._dispatch_urls:
            return None
        try:
            return base_url(text)
        except ConfigurationError:
            return None

    async def _call(
        self,
        url: yarl.URL,
        body: Mapping[str, Json],
        *,
        seconds: float = CALL_SECONDS,
        most_bytes: int = limits.ANSWER,
        traceparent: str | None = None,
    ) -> Mapping[str, Json]:
        return await self._post(
            url,
            encode(dict(body)),
            seconds=seconds,
            most_bytes=most_bytes,
            traceparent=traceparent,
        )

    async def _post(
        self,
        url: yarl.URL,
        body: bytes,
        *,
        message_id: str | None = None,
        seconds: float = CALL_SECONDS,
        most_bytes: int = limits.ANSWER,
        traceparent: str | None = None,
    ) -> Mapping[str, Json]:
        if self._session is None:
            raise ConfigurationError("use the control plane inside `async with`")
        headers = signing.sign(self._secret, self.agent_id, body, message_id=message_id)
        if traceparent is not None and _TRACEPARENT.fullmatch(traceparent):
            headers = {**headers, "traceparent": traceparent}
        status, answer_headers, raw = await _exchange(
            self._session, url, body, headers, seconds, most_bytes
        )
        self._note_clock(answer_headers.get("date"))
        return _understand(status, answer_headers, raw)

    def _note_clock(self, date: str | None) -> None:
        if date is None:
            return
        try:
            offset = parsedate_to_datetime(date).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return
        self.note_offset(offset)

    def note_offset(self, offset: float) -> None:
        """Remembers how far the control plane's clock is ahead; whole seconds blur it."""
        self.clock_offset = offset if abs(offset) > 2.0 else 0.0


async def join(
    url: str,
    token: str,
    *,
    name: str,
    capabilities: Sequence[str],
    kind: str = "http",
    concurrency: int = 4,
    endpoint: str | None = None,
    cancel_endpoint: str | None = None,
    health_url: str | None = None,
    lease_seconds: int | None = None,
    labels: Mapping[str, str] | None = None,
    backoff: Backoff | None = None,
    attempts: int = 8,
) -> Registration:
    """Registers a worker by a join token; joining again under a name renews its secret.

    Raises ``Refused`` or, after ``attempts`` tries, ``Unreachable``.
    """
    body: dict[str, Json] = {
        "name": name,
        "type": kind,
        "endpoint": endpoint,
        "cancelEndpoint": cancel_endpoint,
        "healthUrl": health_url,
        "capabilities": list(capabilities),
        "concurrency": concurrency,
        "leaseSeconds": lease_seconds,
        "labels": dict(labels or {}),
    }
    raw = encode({key: value for key, value in body.items() if value is not None})
    target = base_url(url).joinpath("api", "agents", "join")
    waits = backoff or Backoff()
    async with _session() as session:
        for failures in range(1, attempts + 1):
            try:
                answer = _understand(
                    *await _exchange(
                        session, target, raw, {"authorization": f"Bearer {token}"},
                        CALL_SECONDS, limits.ANSWER,
                    )
                )
                break
            except Unreachable as error:
                if failures == attempts:
                    raise
                await asyncio.sleep(waits.delay(failures, error.retry_after))
    agent_id, secret = answer.get("id"), answer.get("secret")
    if not (isinstance(agent_id, str) and isinstance(secret, str)):
        raise Unreachable("a join answer without id and secret")
    return Registration(agent_id, secret)


def base_url(text: str) -> yarl.URL:
    """The control plane's address. Raises ``ConfigurationError``."""
    try:
        url = yarl.URL(text)
        usable = url.scheme in ("http", "https") and bool(url.host) and url.port is not None
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(f"not an http or https address of a control plane: {text!r}")
    return url.with_query(None).with_fragment(None)


def _tls() -> ssl.SSLContext | bool:
    """How certificates are checked: those in ``ORRERY_CA_FILE`` are trusted too."""
    path = os.environ.get("ORRERY_CA_FILE")
    if not path:
        return True
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"ORRERY_CA_FILE: {path} cannot be read: {error}") from None
    # The file may hold the server's certificate in place of a CA's.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        headers={"user-agent": USER_AGENT, "content-type": "application/json"},
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30, ssl=_tls()),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def _exchange(
    session: aiohttp.ClientSession,
    url: yarl.URL,
    body: bytes,
    headers: Mapping[str, str],
    seconds: float,
    most_bytes: int,
) -> tuple[int, Mapping[str, str], bytes]:
    timeout = aiohttp.ClientTimeout(total=seconds, connect=min(5.0, seconds))
    try:
        async with session.post(
            url, data=io.BytesIO(body), headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            raw = bytearray()
            async for chunk in answer.content.iter_chunked(64 << 10):
                raw += chunk
                if len(raw) > most_bytes:
                    raise Unreachable(f"an answer of more than {most_bytes} bytes")
            return answer.status, answer.headers, bytes(raw)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unreachable(f"{type(error).__name__}: {error}") from error


def _understand(status: int, headers: Mapping[str, str], raw: bytes) -> Mapping[str, Json]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        value = None
    answer = value if isinstance(value, dict) else None
    if 200 <= status < 300:
        if answer is None:
            raise Unreachable(f"an answer {status} that is not a JSON object")
        return answer
    code = str((answer or {}).get("code", "unknown"))
    detail = str((answer or {}).get("detail", ""))[:500]
    if 400 <= status < 500 and status not in _PASSING:
        raise Refused(status, code, detail)
    raise Unreachable(f"answer {status} {code} {detail}".rstrip(), _seconds(headers))


def _seconds(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 8 else None


def _ids(value: Json) -> frozenset[str]:
    return frozenset(one for one in value if isinstance(one, str)) if value else frozenset()


def _dispatch(value: Json) -> Dispatch | None:
    """One that we cannot read is left to its lease: nothing in it can be trusted for a report."""
    try:
        return Dispatch.parse(value)
    except MessageError as error:
        logger.error("a dispatch was passed over: %s", error)
        return None
