# SPDX-License-Identifier: Apache-2.0
# Huey on SQLite in WAL with fsync: a stored result counts as finished; dequeue deletes the task.
from __future__ import annotations

import os
import sqlite3
import sys
from importlib.metadata import version

from huey import SqliteHuey
from measure import PAYLOAD, WARM_UP, main

queue = SqliteHuey(
    "bench", filename=os.environ.get("PEER_URL", ":memory:"), fsync=True, journal_mode="wal"
)


@queue.task()
def noop(payload: str) -> bool:
    """Does nothing, but has a result, so that its end is stored."""
    return True


class HueyPeer:
    version = f"Huey {version('huey')}, SQLite {sqlite3.sqlite_version}"
    workers = "4 threads, polling every 1-10 ms, results stored"

    def __init__(self, url: str) -> None:
        os.environ["PEER_URL"] = url
        queue.storage.close()
        queue.storage.filename = url
        queue.storage.initialize_schema()
        self._database = sqlite3.connect(url, isolation_level=None, timeout=10)
        self._expected = WARM_UP

    def worker_commands(self) -> list[list[str]]:
        consumer = "from huey.bin.huey_consumer import consumer_main; consumer_main()"
        options = ["-w", "4", "-k", "thread", "-d", "0.001", "-m", "0.01", "-b", "1.15"]
        return [[sys.executable, "-c", consumer, "huey_peer.queue", *options, "-n", "-q"]]

    def enqueue(self, count: int) -> None:
        self._expected = count
        for _ in range(count):
            noop(PAYLOAD)

    def _count(self, table: str) -> int:
        return int(self._database.execute(f"select count(*) from {table}").fetchone()[0])

    def started(self) -> bool:
        return self._count("task") < self._expected

    def finished(self) -> bool:
        return self._count("kv") >= self._expected

    def forget(self) -> None:
        self._database.execute("delete from kv")


if __name__ == "__main__":
    # Under its module's name, as the consumer knows the task.
    from huey_peer import HueyPeer as Imported

    main(Imported)
