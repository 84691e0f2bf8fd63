# SPDX-License-Identifier: Apache-2.0
# pgqueuer on PostgreSQL: enqueued in batches of 1,000, deleted from the queue when finished.
from __future__ import annotations

import os
import sys
from datetime import timedelta
from importlib.metadata import version

import asyncpg
import uvloop
from measure import PAYLOAD, main
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.queries import Queries

BATCH = 1_000


async def work(url: str) -> None:
    async with asyncpg.create_pool(url, min_size=4, max_size=4) as pool:
        queuer = PgQueuer(AsyncpgPoolDriver(pool))

        @queuer.entrypoint("noop")
        async def noop(job: object) -> None:
            """Does nothing."""

        await queuer.run(batch_size=100, dequeue_timeout=timedelta(seconds=1))


class PgqueuerPeer:
    version = f"pgqueuer {version('pgqueuer')}"
    workers = "2 workers, batches of 100, enqueued 1,000 at a time"

    def __init__(self, url: str) -> None:
        os.environ["PEER_URL"] = url
        self._loop = uvloop.new_event_loop()
        self._connection = self._wait(asyncpg.connect(url))
        self._queries = Queries(AsyncpgDriver(self._connection))
        self._wait(self._queries.install())

    def _wait(self, awaitable):
        return self._loop.run_until_complete(awaitable)

    def worker_commands(self) -> list[list[str]]:
        return [[sys.executable, __file__, "work"]] * 2

    def enqueue(self, count: int) -> None:
        payload = PAYLOAD.encode()
        while count > 0:
            batch = min(BATCH, count)
            self._wait(self._queries.enqueue(["noop"] * batch, [payload] * batch, [0] * batch))
            count -= batch

    def started(self) -> bool:
        query = "select exists (select from pgqueuer where status = 'picked')"
        return self._wait(self._connection.fetchval(query))

    def finished(self) -> bool:
        query = "select not exists (select from pgqueuer)"
        return self._wait(self._connection.fetchval(query))

    def forget(self) -> None:
        self._wait(self._connection.execute("truncate pgqueuer_log"))


if __name__ == "__main__":
    if sys.argv[1:] == ["work"]:
        uvloop.run(work(os.environ["PEER_URL"]))
    else:
        main(PgqueuerPeer)
