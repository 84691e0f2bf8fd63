# SPDX-License-Identifier: Apache-2.0
"""The processes that extract pages: parsing takes the processor and must not hold the loop."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from .fetch import FetchError
from .page import Page, PageRequest

#: A worker is replaced after this many pages, which bounds what parsers may leak.
PAGES_PER_WORKER = 2_000


class ExtractionPool:
    """Extracts pages in up to ``workers`` processes; they end with this one."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    async def extract(self, request: PageRequest) -> Page:
        """Raises ``FetchError`` if the page cannot be read."""
        pool = self._started()
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, _extract, request)
        except BrokenProcessPool:
            if self._pool is pool:
                self._pool = None
                pool.shutdown(wait=False, cancel_futures=True)
            text = "the process that read the page came to an end"
            raise FetchError("EXTRACTION_FAILED", text, passing=True) from None
        except (RecursionError, ValueError, LookupError, AttributeError, TypeError) as error:
            text = f"the page could not be read: {type(error).__name__}: {error}"[:300]
            raise FetchError("EXTRACTION_FAILED", text) from error

    def warm(self) -> None:
        """Starts the processes, so that the first pages need not wait for them."""
        pool = self._started()
        for _ in range(self._workers):
            pool.submit(_extract, None)

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_prepare_worker,
                max_tasks_per_child=PAGES_PER_WORKER,
            )
        return self._pool

    def close(self) -> None:
        """Ends the processes; pages under way are given up."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def _extract(request: PageRequest | None) -> Page:
    """In the worker: the extractor's libraries are loaded here only, on the first call."""
    from .extraction import extract

    return Page() if request is None else extract(request)


def _prepare_worker() -> None:
    """Ctrl-C is for the agent to handle; when the agent is gone, so are we."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
