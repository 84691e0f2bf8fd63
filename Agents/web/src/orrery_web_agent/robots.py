# SPDX-License-Identifier: Apache-2.0
"""robots.txt of each origin, fetched once an hour and kept (RFC 9309)."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import yarl
from protego import Protego

from .fetch import Answer, FetchError
from .version import ROBOT

KEPT_SECONDS = 3_600.0
#: An origin whose robots.txt could not be had is asked again after this.
FAILURE_SECONDS = 60.0
MOST_ORIGINS = 1_024
MOST_BYTES = 512 << 10
MOST_CRAWL_DELAY = 30.0

#: Faults that any page of the origin would meet as well: reported as what they are.
_UNREACHED = frozenset(
    {"ADDRESS_DENIED", "BAD_URL", "CONNECT_FAILED", "DNS_FAILED", "TLS_FAILED"}
)

Fetch = Callable[[yarl.URL], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Rules:
    """What an origin's robots.txt says to us. ``parsed`` is none where all is allowed."""

    parsed: Protego | None
    failure: FetchError | None
    until: float

    def check(self, url: yarl.URL) -> None:
        """Raises ``FetchError`` if the page is not for us."""
        if self.failure is not None:
            reached = self.failure.code not in _UNREACHED
            code = "ROBOTS_UNAVAILABLE" if reached else self.failure.code
            text = f"robots.txt could not be had: {self.failure.message}"
            raise FetchError(code, text, passing=self.failure.passing)
        if self.parsed is not None and not self.parsed.can_fetch(str(url), ROBOT):
            raise FetchError("ROBOTS_DENIED", "robots.txt does not allow this page")

    @property
    def delay(self) -> float:
        """The crawl delay that it asks for, in seconds."""
        found = None if self.parsed is None else self.parsed.crawl_delay(ROBOT)
        return 0.0 if found is None else min(max(float(found), 0.0), MOST_CRAWL_DELAY)


class RobotsCache:
    """Rules by origin; callers that want the same one at the same time share one fetch."""

    def __init__(self) -> None:
        self._rules: OrderedDict[str, asyncio.Task[Rules]] = OrderedDict()

    async def rules(self, url: yarl.URL, fetch: Fetch) -> Rules:
        """The rules of the page's origin. ``fetch`` gets robots.txt, redirects followed."""
        origin = str(url.origin())
        kept = self._rules.get(origin)
        if kept is None or (kept.done() and not self._current(kept)):
            kept = asyncio.create_task(self._load(url.origin() / "robots.txt", fetch))
            self._rules[origin] = kept
        self._rules.move_to_end(origin)
        while len(self._rules) > MOST_ORIGINS:
            self._rules.popitem(last=False)
        return await asyncio.shield(kept)

    @staticmethod
    def _current(task: asyncio.Task[Rules]) -> bool:
        return not task.cancelled() and not task.exception() and (
            task.result().until > time.monotonic()
        )

    @staticmethod
    async def _load(url: yarl.URL, fetch: Fetch) -> Rules:
        now = time.monotonic()
        try:
            answer = await fetch(url)
        except FetchError as error:
            if error.status is not None and 400 <= error.status < 500 and error.status != 429:
                return Rules(None, None, now + KEPT_SECONDS)
            if error.code in ("TOO_MANY_REDIRECTS", "BAD_REDIRECT"):
                return Rules(None, None, now + KEPT_SECONDS)
            return Rules(None, error, now + FAILURE_SECONDS)
        text = answer.body[:MOST_BYTES].decode("utf-8", "replace")
        parsed = await asyncio.to_thread(Protego.parse, text)
        return Rules(parsed, None, now + KEPT_SECONDS)
