# SPDX-License-Identifier: Apache-2.0
"""Task type ``http-check``: one request and assertions on its response."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import yarl
from orrery_agent import TaskContext, TaskFailed

from .assertions import Assertion, Response, judge_all, read_assertions
from .decoding import decode
from .fetch import (
    REDIRECTS,
    FetchError,
    elapsed_ms,
    faults,
    parse_url,
    read_body,
    redirect_target,
)
from .payload import PayloadReader, bad

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Headers that say how the message is framed or to whom it goes: not for payloads to set.
_OURS: Final = frozenset(
    "host content-length transfer-encoding connection upgrade te trailer expect".split()
)
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8000}")
MOST_SHOWN_HEADERS: Final = 100
MOST_SHOWN_VALUE: Final = 1_000


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """A payload that was read. ``seconds`` bounds the whole exchange."""

    method: str
    url: yarl.URL
    headers: dict[str, str]
    body: bytes | None
    seconds: float
    most_bytes: int
    most_redirects: int
    shown_body: int
    fail_task: bool
    assertions: list[Assertion]

    @staticmethod
    def read(payload: Any) -> CheckRequest:
        """Raises ``TaskFailed`` with the field that is wrong."""
        reader = PayloadReader(payload)
        method = (reader.text("method", "GET") or "GET").upper()
        if method not in METHODS:
            raise bad("method", f"must be one of {', '.join(sorted(METHODS))}")
        try:
            url = parse_url(reader.text("url"))
        except FetchError as error:
            raise bad("url", error.message) from None
        headers = _headers(reader)
        body = _body(reader, headers)
        request = CheckRequest(
            method, url, headers, body,
            seconds=reader.whole("timeout", 10_000, 100, 120_000) / 1000,
            most_bytes=reader.whole("maxBytes", 1 << 20, 1_024, 8 << 20),
            most_redirects=reader.whole("maxRedirects", 0, 0, 20),
            shown_body=reader.whole("includeBody", 0, 0, 1 << 20),
            fail_task=reader.flag("failTask", False),
            assertions=read_assertions(reader),
        )
        reader.end()
        return request


def _headers(reader: PayloadReader) -> dict[str, str]:
    headers = {name.lower(): value for name, value in reader.strings("headers", 100).items()}
    for name, value in headers.items():
        where = f"headers.{name[:100]}"
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise bad(where, "not a header that can be sent")
        if name in _OURS:
            raise bad(where, "this header is not for a payload to set")
    return headers


def _body(reader: PayloadReader, headers: dict[str, str]) -> bytes | None:
    if reader.has("body") and reader.has("json"):
        raise bad("body", "only one of body and json can be sent")
    text = reader.text("body")
    given = reader.has("json")
    value = reader.take("json")
    if given:
        headers.setdefault("content-type", "application/json")
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    return None if text is None else text.encode("utf-8", "replace")


class HttpChecker:
    """Handles ``http-check`` tasks."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def __call__(self, context: TaskContext, payload: Any) -> Any:
        """The response and each assertion's outcome. A request that got no response fails."""
        request = CheckRequest.read(payload)
        context.progress(0, f"{request.method} {request.url}"[:500])
        try:
            async with faults(request.seconds):
                result, response = await self._exchange(request)
        except FetchError as error:
            raise TaskFailed(error.code, error.message, retryable=error.passing) from error
        reports = await asyncio.to_thread(judge_all, request.assertions, response)
        failed = [one for one in reports if not one["passed"]]
        result["passed"] = not failed
        result["assertions"] = reports
        if failed and request.fail_task:
            raise TaskFailed("ASSERTION_FAILED", _story(failed, len(reports)), retryable=False)
        return result

    async def _exchange(self, request: CheckRequest) -> tuple[dict[str, Any], Response]:
        method, url, body = request.method, request.url, request.body
        headers = dict(request.headers)
        started = time.monotonic()
        for redirects in range(request.most_redirects + 1):
            async with self._session.request(
                method, url, headers=headers, data=body, allow_redirects=False
            ) as response:
                target = response.headers.get("location")
                follows = response.status in REDIRECTS and target is not None
                if not follows or request.most_redirects == 0:
                    return await self._received(request, response, method, redirects, started)
                url, method, body = _redirected(response, url, method, body, headers)
        raise FetchError("TOO_MANY_REDIRECTS", f"more than {request.most_redirects} redirects")

    async def _received(
        self,
        request: CheckRequest,
        response: aiohttp.ClientResponse,
        method: str,
        redirects: int,
        started: float,
    ) -> tuple[dict[str, Any], Response]:
        first = elapsed_ms(started)
        raw = await read_body(response, request.most_bytes)
        ms = elapsed_ms(started)
        text, _ = decode(raw, response.charset)
        shown = list(response.headers.items())[:MOST_SHOWN_HEADERS]
        result: dict[str, Any] = {
            "passed": False,
            "method": method,
            "url": str(request.url),
            "finalUrl": str(response.url),
            "redirects": redirects,
            "status": response.status,
            "headers": [[name, value[:MOST_SHOWN_VALUE]] for name, value in shown],
            "bytes": len(raw),
            "firstByteMs": first,
            "ms": ms,
        }
        if request.shown_body:
            result["body"] = text[: request.shown_body]
            result["bodyTruncated"] = len(text) > request.shown_body
        return result, Response(response.status, response.headers, text, ms)


def _redirected(
    response: aiohttp.ClientResponse,
    url: yarl.URL,
    method: str,
    body: bytes | None,
    headers: dict[str, str],
) -> tuple[yarl.URL, str, bytes | None]:
    """The next request. Headers that were meant for one origin are not shown to another."""
    target = redirect_target(url, response.headers.get("location"))
    becomes_get = response.status == 303 or (response.status in (301, 302) and method == "POST")
    if becomes_get and method != "HEAD":
        headers.pop("content-type", None)
        method, body = "GET", None
    if target.origin() != url.origin():
        if body is not None:
            raise FetchError("BAD_REDIRECT", "the body is not sent on to another origin")
        headers.clear()
    return target, method, body


def _story(failed: list[dict[str, Any]], count: int) -> str:
    first = failed[0]
    place = first.get("path") or first.get("name") or ""
    text = f"{first['on']} {place}".strip()
    return (
        f"{len(failed)} of {count} assertions failed; the first: {text} {first['operator']} "
        f"{first['expected']!r}, but it is {first['actual']!r}"
    )[:2_000]
