# SPDX-License-Identifier: Apache-2.0
"""A web server on loopback with awkward pages, and handlers set up to reach it."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from orrery_agent import Dispatch, TaskContext
from orrery_web_agent.addresses import AddressPolicy
from orrery_web_agent.crawler import Crawler
from orrery_web_agent.http_check import HttpChecker
from orrery_web_agent.scrape import Scraper
from orrery_web_agent.workers import ExtractionPool

LOOPBACK = "127.0.0.1/32"
STORY = "<p>" + "The quick brown fox jumps over the lazy dog near the old river bank. " * 8 + "</p>"

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Website:
    """Pages by path: text, bytes with a content type, or a function of the request."""

    def __init__(self) -> None:
        self.pages: dict[str, str | tuple[bytes, str] | Reply] = {}
        self.requests: list[str] = []
        self.agents: set[str] = set()
        self.active = self.most_active = 0
        self.url = ""

    def html(self, path: str, title: str, body: str, head: str = "") -> str:
        """Adds a page and returns its URL."""
        head = f"<title>{title}</title>{head}"
        self.pages[path] = f"<html><head>{head}</head><body>{body}</body></html>"
        return self.url + path

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path)
        self.agents.add(request.headers.get("user-agent", ""))
        page = self.pages.get(request.path)
        if page is None:
            return web.Response(status=404, text="nothing here")
        if isinstance(page, str):
            return web.Response(text=page, content_type="text/html")
        if isinstance(page, tuple):
            return web.Response(body=page[0], headers={"content-type": page[1]})
        self.active += 1
        self.most_active = max(self.active, self.most_active)
        try:
            return await page(request)
        finally:
            self.active -= 1

    def gzipped(self, path: str, content: bytes) -> str:
        async def reply(_: web.Request) -> web.Response:
            return web.Response(
                body=gzip.compress(content),
                headers={"content-type": "text/html; charset=utf-8", "content-encoding": "gzip"},
            )

        self.pages[path] = reply
        return self.url + path

    def redirect(self, path: str, target: str, status: int = 302) -> str:
        async def reply(_: web.Request) -> web.Response:
            return web.Response(status=status, headers={"location": target})

        self.pages[path] = reply
        return self.url + path


@asynccontextmanager
async def website() -> AsyncIterator[Website]:
    site = Website()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield site
    finally:
        await runner.cleanup()


def context() -> TaskContext:
    dispatch = Dispatch("t1", 1, "lease", "work", {})
    return TaskContext(dispatch, "agent-1", asyncio.get_running_loop())


class InlinePool(ExtractionPool):
    """Extracts in a thread: quick to start, for tests of a page or two."""

    async def extract(self, request: Any) -> Any:
        from orrery_web_agent.extraction import extract

        return await asyncio.to_thread(extract, request)


@asynccontextmanager
async def scraping(allowed: str = LOOPBACK) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """A function that runs a scrape with the payload's fields as keywords."""
    crawler = Crawler(AddressPolicy.parse(allowed))
    scraper = Scraper(crawler, InlinePool(1))

    async def scrape(**payload: Any) -> Any:
        return await scraper(context(), payload)

    try:
        yield scrape
    finally:
        await crawler.close()


@asynccontextmanager
async def checking(allowed: str = LOOPBACK) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """A function that runs an API check with the payload's fields as keywords."""
    crawler = Crawler(AddressPolicy.parse(allowed))
    checker = HttpChecker(crawler.session)

    async def check(**payload: Any) -> Any:
        return await checker(context(), payload)

    try:
        yield check
    finally:
        await crawler.close()
