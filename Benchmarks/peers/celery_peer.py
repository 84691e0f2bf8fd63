# SPDX-License-Identifier: Apache-2.0
# Celery on Redis: late acknowledgement, no results, an acknowledged task counts as finished.
from __future__ import annotations

import os
import sys

import celery
import redis
from measure import PAYLOAD, main

app = celery.Celery("celery_peer", broker=os.environ.get("PEER_URL"))
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    worker_prefetch_multiplier=4,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)


@app.task(name="noop")
def noop(payload: str) -> None:
    """Does nothing."""


class CeleryPeer:
    version = f"Celery {celery.__version__}"
    workers = "one worker, 16 threads, prefetch 64"

    def __init__(self, url: str) -> None:
        os.environ["PEER_URL"] = url
        app.conf.broker_url = url
        self._redis = redis.Redis.from_url(url)

    def worker_commands(self) -> list[list[str]]:
        options = ["-P", "threads", "-c", "16", "-l", "ERROR"]
        quiet = ["--without-heartbeat", "--without-gossip", "--without-mingle"]
        return [[sys.executable, "-m", "celery", "-A", "celery_peer", "worker", *options, *quiet]]

    def enqueue(self, count: int) -> None:
        for _ in range(count):
            noop.delay(PAYLOAD)

    def started(self) -> bool:
        return self._redis.hlen("unacked") > 0

    def finished(self) -> bool:
        return self._redis.llen("celery") == 0 and self._redis.hlen("unacked") == 0

    def forget(self) -> None:
        return None


if __name__ == "__main__":
    main(CeleryPeer)
