# SPDX-License-Identifier: Apache-2.0
"""One HTTP exchange with an outside server: bounded in size and time, its faults classified."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import yarl

from .addresses import AddressDenied

MOST_URL_BYTES = 8_192
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class FetchError(Exception):
    """An exchange that failed. ``passing`` says whether a later one may do better."""

    def __init__(
        self, code: str, message: str, *, passing: bool = False, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.passing = passing
        self.status = status
        #: Seconds that the server asked us to wait.
        self.retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with its body. ``ms`` is the time from sending to the body's end."""

    url: yarl.URL
    status: int
    headers: Mapping[str, str]
    body: bytes
    ms: int


def parse_url(text: object) -> yarl.URL:
    """An absolute http or https URL without credentials or fragment. Raises ``FetchError``."""
    if not isinstance(text, str) or not text:
        raise FetchError("BAD_URL", "a URL is a string")
    if len(text.encode("utf-8", "replace")) > MOST_URL_BYTES:
        raise FetchError("BAD_URL", f"a URL has at most {MOST_URL_BYTES} bytes")
    if any(one.isspace() or ord(one) < 0x21 for one in text):
        raise FetchError("BAD_URL", "a URL has no white space or control characters")
    try:
        url = yarl.URL(text)
        host, port, user = url.host, url.port, url.user or url.password
    except ValueError as error:
        raise FetchError("BAD_URL", f"not a URL: {error}") from None
    if url.scheme not in ("http", "https"):
        raise FetchError("BAD_URL", "a URL starts with http:// or https://")
    if not host or not port:
        raise FetchError("BAD_URL", "a URL has a host, and no port 0")
    if user:
        raise FetchError("BAD_URL", "a URL holds no user name or password")
    return url.with_fragment(None)


def redirect_target(answer_url: yarl.URL, location: str | None) -> yarl.URL:
    """Where a redirect leads. Raises ``FetchError``."""
    if not location:
        raise FetchError("BAD_REDIRECT", "a redirect without a location")
    try:
        target = answer_url.join(yarl.URL(location.strip()))
    except ValueError as error:
        raise FetchError("BAD_REDIRECT", f"a redirect to what is not a URL: {error}") from None
    return parse_url(str(target))


@asynccontextmanager
async def faults(seconds: float) -> AsyncIterator[None]:
    """Bounds its body in time and turns what goes wrong in it into ``FetchError``."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise FetchError("TIMEOUT", f"no answer within {seconds:g} s", passing=True) from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise _classify(error) from error


def _classify(error: BaseException) -> FetchError:
    chain = list(_causes(error))
    for one in chain:
        if isinstance(one, AddressDenied):
            return FetchError("ADDRESS_DENIED", str(one))
    for one in chain:
        if isinstance(one, ssl.SSLError):
            return FetchError("TLS_FAILED", f"no secure connection: {one.reason or one}")
        if isinstance(one, socket.gaierror):
            passing = one.errno == socket.EAI_AGAIN
            return FetchError("DNS_FAILED", f"the name has no address: {one}", passing=passing)
    if isinstance(error, aiohttp.ClientConnectorError):
        return FetchError("CONNECT_FAILED", f"no connection: {error.strerror}", passing=True)
    if isinstance(error, aiohttp.InvalidURL):
        return FetchError("BAD_URL", "not a URL that can be fetched")
    text = f"{type(error).__name__}: {error}"[:300]
    return FetchError("HTTP_FAILED", text, passing=True)


def _causes(error: BaseException) -> list[BaseException]:
    """The error with its causes, and the members of groups among them."""
    found: list[BaseException] = []
    pending: list[BaseException | None] = [error]
    while pending and len(found) < 50:
        one = pending.pop()
        if one is None or one in found:
            continue
        found.append(one)
        pending += [one.__cause__, one.__context__, getattr(one, "os_error", None)]
        if isinstance(one, BaseExceptionGroup):
            pending += one.exceptions
    return found


async def read_body(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """The decompressed body. Raises ``FetchError`` beyond ``most_bytes``."""
    length = response.content_length
    if length is not None and length > most_bytes and "content-encoding" not in response.headers:
        raise FetchError("TOO_LARGE", f"{length} bytes; {most_bytes} are allowed")
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 << 10):
        body += chunk
        if len(body) > most_bytes:
            raise FetchError("TOO_LARGE", f"more than {most_bytes} bytes")
    return bytes(body)


def status_error(response: aiohttp.ClientResponse) -> FetchError:
    """The fault that a status of 400 or more is."""
    status = response.status
    error = FetchError(
        "HTTP_STATUS", f"the server answered {status}",
        passing=status in _PASSING_STATUS, status=status,
    )
    after = response.headers.get("retry-after", "")
    if after.isascii() and after.isdigit() and len(after) < 6:
        error.retry_after = float(after)
    return error


def elapsed_ms(started: float) -> int:
    """Whole milliseconds since ``started`` (``time.monotonic``)."""
    return round((time.monotonic() - started) * 1000)
