# SPDX-License-Identifier: Apache-2.0
"""Fetches pages as a polite robot: robots.txt, one gate per host, redirects checked one by one."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from dataclasses import dataclass
from typing import Final

import aiohttp
import yarl

from .addresses import AddressPolicy
from .fetch import (
    REDIRECTS,
    Answer,
    FetchError,
    elapsed_ms,
    faults,
    read_body,
    redirect_target,
    status_error,
)
from .network import new_session
from .politeness import HostGates, Manners
from .robots import MOST_BYTES as MOST_ROBOTS_BYTES
from .robots import RobotsCache

ACCEPT: Final = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1"
HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
ROBOTS_SECONDS: Final = 15.0
#: A server that asks for a longer pause than this is not asked again in the same attempt.
MOST_PAUSE: Final = 10.0
PUBLIC: Final = Manners(delay=0.5, concurrency=2)
#: For hosts in the allowed networks: they are the operator's own.
OWN: Final = Manners(delay=0.0, concurrency=8)


@dataclass(frozen=True, slots=True)
class FetchRules:
    """Bounds of one page. ``delay`` and ``seconds`` are seconds; none means the host's default."""

    seconds: float = 20.0
    most_bytes: int = 5 << 20
    most_redirects: int = 5
    delay: float | None = None
    concurrency: int | None = None


class Crawler:
    """One HTTP client, robots cache and set of host gates for all tasks of the agent."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self._gates = HostGates()
        self._robots = RobotsCache()
        self._own: dict[str, bool] = {}
        self.session = new_session(policy)

    async def close(self) -> None:
        await self.session.close()

    async def page(self, url: yarl.URL, rules: FetchRules) -> Answer:
        """One HTML page, redirects followed. Raises ``FetchError``.

        A fault that may pass is tried once more.
        """
        try:
            return await self._follow(url, rules, polite=True)
        except FetchError as error:
            pause = error.retry_after or 0.2
            if not error.passing or error.code == "TIMEOUT" or pause > MOST_PAUSE:
                raise
            await asyncio.sleep(pause)
            return await self._follow(url, rules, polite=True)

    async def _follow(self, url: yarl.URL, rules: FetchRules, *, polite: bool) -> Answer:
        for _ in range(rules.most_redirects + 1):
            found = await self._step(url, rules, polite=polite)
            if isinstance(found, Answer):
                return found
            url = found
        raise FetchError("TOO_MANY_REDIRECTS", f"more than {rules.most_redirects} redirects")

    async def _step(self, url: yarl.URL, rules: FetchRules, *, polite: bool) -> Answer | yarl.URL:
        """One request: the page, or where it redirects to."""
        wait = 0.0
        if polite:
            robots = await self._robots.rules(url, self._robots_file)
            robots.check(url)
            wait = robots.delay
        manners = await self._manners(url, rules, wait)
        async with self._gates.passing(url.authority, manners), faults(rules.seconds):
            started = time.monotonic()
            async with self.session.get(
                url, allow_redirects=False, headers={"accept": ACCEPT}
            ) as response:
                if response.status in REDIRECTS:
                    return redirect_target(url, response.headers.get("location"))
                if response.status >= 400:
                    raise status_error(response)
                if polite:
                    _check_html(response)
                body = await read_body(response, rules.most_bytes)
                return Answer(
                    url, response.status, response.headers, body, elapsed_ms(started)
                )

    async def _robots_file(self, url: yarl.URL) -> Answer:
        rules = FetchRules(ROBOTS_SECONDS, MOST_ROBOTS_BYTES * 4, delay=0.0)
        return await self._follow(url, rules, polite=False)

    async def _manners(self, url: yarl.URL, rules: FetchRules, robots_delay: float) -> Manners:
        own = await self._is_own(url)
        default = OWN if own else PUBLIC
        delay = default.delay if rules.delay is None else rules.delay
        concurrency = rules.concurrency or default.concurrency
        if not own:
            concurrency = min(concurrency, PUBLIC.concurrency * 2)
        return Manners(max(delay, robots_delay), concurrency)

    async def _is_own(self, url: yarl.URL) -> bool:
        """Whether every address of the host is in the allowed networks."""
        if not self._policy.allowed or url.host is None:
            return False
        known = self._own.get(url.host)
        if known is not None:
            return known
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(url.host, url.port)
        except (OSError, UnicodeError):
            return False
        addresses = {ipaddress.ip_address(one[4][0]) for one in found}
        own = all(self._policy.is_allowed(one) for one in addresses)
        if len(self._own) >= 4_096:
            self._own.clear()
        self._own[url.host] = own
        return own


def _check_html(response: aiohttp.ClientResponse) -> None:
    given = response.headers.get("content-type")
    if given is not None and response.content_type.lower() not in HTML_TYPES:
        kind = response.content_type[:80]
        raise FetchError("NOT_HTML", f"the page is {kind}, not HTML", status=response.status)
