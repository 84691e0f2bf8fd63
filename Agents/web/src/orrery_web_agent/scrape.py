# SPDX-License-Identifier: Apache-2.0
"""Task type ``scrape``: titles, texts, links, metadata and languages of web pages."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Final

import yarl
from orrery_agent import Partial, TaskContext, TaskFailed

from .crawler import Crawler, FetchRules
from .fetch import Answer, FetchError, elapsed_ms, parse_url
from .fit import cut, fit
from .page import Page, PageRequest
from .payload import PayloadReader, bad
from .workers import ExtractionPool

MOST_URLS: Final = 2_000
#: Pages of one task that are fetched or extracted at a time.
PAGES_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class ScrapeRequest:
    """A payload that was read."""

    urls: list[str]
    rules: FetchRules
    text: bool
    links: bool
    metadata: bool
    most_text: int
    most_links: int

    @staticmethod
    def read(payload: Any) -> ScrapeRequest:
        """Raises ``TaskFailed`` with the field that is wrong."""
        reader = PayloadReader(payload)
        single, several = reader.take("url"), reader.take("urls")
        delay = reader.optional_whole("delay", 0, 60_000)
        request = ScrapeRequest(
            urls=[],
            rules=FetchRules(
                seconds=reader.whole("timeout", 20_000, 1_000, 120_000) / 1000,
                most_bytes=reader.whole("maxBytes", 5 << 20, 1_024, 32 << 20),
                most_redirects=reader.whole("maxRedirects", 5, 0, 20),
                delay=None if delay is None else delay / 1000,
                concurrency=reader.optional_whole("concurrency", 1, 16),
            ),
            text=reader.flag("includeText", True),
            links=reader.flag("includeLinks", True),
            metadata=reader.flag("includeMetadata", True),
            most_text=reader.whole("maxTextBytes", 200_000, 100, 3 << 20),
            most_links=reader.whole("maxLinks", 200, 0, 10_000),
        )
        reader.end()
        return replace(request, urls=_urls(single, several))


def _urls(single: Any, several: Any) -> list[str]:
    if (single is None) == (several is None):
        raise bad("url", "exactly one of url and urls is needed")
    if single is not None:
        if not isinstance(single, str):
            raise bad("url", "must be a string")
        return [single]
    if not isinstance(several, list) or not 1 <= len(several) <= MOST_URLS:
        raise bad("urls", f"must be a list of 1 to {MOST_URLS} elements")
    for index, one in enumerate(several):
        if not isinstance(one, str):
            raise bad(f"urls[{index}]", "must be a string")
    return list(dict.fromkeys(several))


class Scraper:
    """Handles ``scrape`` tasks."""

    def __init__(self, crawler: Crawler, pool: ExtractionPool) -> None:
        self._crawler = crawler
        self._pool = pool

    async def __call__(self, context: TaskContext, payload: Any) -> Any:
        """The result, a ``Partial`` if some pages failed; raises ``TaskFailed`` if all did."""
        request = ScrapeRequest.read(payload)
        started = time.monotonic()
        room = asyncio.Semaphore(PAGES_AT_ONCE)
        faults: list[FetchError] = []
        done = 0

        async def one(url: str) -> dict[str, Any]:
            nonlocal done
            async with room:
                page, fault = await self._page(url, request)
            done += 1
            if fault is not None:
                faults.append(fault)
                context.log("warning", f"{fault.code}: {fault.message}", url=cut(url, 1_000))
            context.progress(100 * done / len(request.urls), f"{done} of {len(request.urls)} pages")
            return page

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(url)) for url in request.urls]
        return _result([task.result() for task in tasks], faults, started)

    async def _page(
        self, text: str, request: ScrapeRequest
    ) -> tuple[dict[str, Any], FetchError | None]:
        started = time.monotonic()
        try:
            url = parse_url(text)
            answer = await self._crawler.page(url, request.rules)
            fetched = time.monotonic()
            page = await self._pool.extract(
                PageRequest(
                    answer.body, str(answer.url), _charset(answer), request.links,
                    request.most_links,
                )
            )
        except FetchError as fault:
            error: dict[str, Any] = {"code": fault.code, "message": fault.message}
            failed: dict[str, Any] = {"url": cut(text, 2_048), "error": error}
            if fault.status is not None:
                failed["status"] = fault.status
            failed["ms"] = elapsed_ms(started)
            return failed, fault
        times = {
            "ms": elapsed_ms(started), "fetchMs": answer.ms, "extractMs": elapsed_ms(fetched)
        }
        return _entry(url, answer, page, request) | times, None


def _charset(answer: Answer) -> str | None:
    for part in answer.headers.get("content-type", "").split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'")
    return None


def _entry(url: yarl.URL, answer: Answer, page: Page, request: ScrapeRequest) -> dict[str, Any]:
    """A page as it stands in the result."""
    entry: dict[str, Any] = {
        "url": str(url),
        "finalUrl": str(answer.url),
        "status": answer.status,
        "title": page.title,
        "words": len(page.text.split()),
        "language": page.language,
        "declaredLanguage": page.declared_language,
        "charset": page.charset,
        "bytes": len(answer.body),
        "extraction": page.method,
        "linkCount": page.link_count,
    }
    if request.text:
        entry["text"] = cut(page.text, request.most_text)
        entry["textTruncated"] = len(entry["text"]) < len(page.text)
    if request.links:
        entry["links"] = page.links
        entry["linksTruncated"] = len(page.links) < page.link_count
    if request.metadata:
        entry["metadata"] = page.metadata
    return entry


def _result(pages: list[dict[str, Any]], faults: list[FetchError], started: float) -> Any:
    if len(faults) == len(pages):
        raise _all_failed(faults)
    fit(pages)
    result = {
        "pages": pages,
        "summary": {
            "pages": len(pages),
            "succeeded": len(pages) - len(faults),
            "failed": len(faults),
            "words": sum(page.get("words", 0) for page in pages),
            "bytes": sum(page.get("bytes", 0) for page in pages),
            "ms": elapsed_ms(started),
        },
    }
    if not faults:
        return result
    return Partial(result, "SOME_PAGES_FAILED", f"{_tally(faults)}; {len(pages)} pages in all")


def _all_failed(faults: list[FetchError]) -> TaskFailed:
    first = faults[0]
    if len(faults) == 1:
        code, text = first.code, first.message
    else:
        same = len({one.code for one in faults}) == 1
        code = first.code if same else "ALL_PAGES_FAILED"
        text = f"all {len(faults)} pages failed: {_tally(faults)}; the first: {first.message}"
    waits = [one.retry_after for one in faults if one.retry_after is not None]
    retryable = any(one.passing for one in faults)
    return TaskFailed(code, text, retryable=retryable, retry_after=max(waits, default=None))


def _tally(faults: list[FetchError]) -> str:
    counts = Counter(one.code for one in faults)
    return ", ".join(f"{count} {code}" for code, count in counts.most_common())
