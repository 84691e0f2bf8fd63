# SPDX-License-Identifier: Apache-2.0
"""Puts the task types on an agent, with the parts that they share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from orrery_agent import Agent, TaskContext

from .addresses import AddressPolicy
from .crawler import Crawler
from .http_check import HttpChecker
from .scrape import Scraper
from .workers import ExtractionPool


@asynccontextmanager
async def serving(agent: Agent, policy: AddressPolicy, *, workers: int) -> AsyncIterator[None]:
    """Registers ``scrape`` and ``http-check``; their parts live as long as the context."""
    crawler = Crawler(policy)
    pool = ExtractionPool(workers)
    pool.warm()
    scraper = Scraper(crawler, pool)
    checker = HttpChecker(crawler.session)

    @agent.task("scrape")
    async def scrape(context: TaskContext, payload: Any) -> Any:
        return await scraper(context, payload)

    @agent.task("http-check")
    async def http_check(context: TaskContext, payload: Any) -> Any:
        return await checker(context, payload)

    try:
        yield
    finally:
        pool.close()
        await crawler.close()
