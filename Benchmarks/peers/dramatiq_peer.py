# SPDX-License-Identifier: Apache-2.0
# Dramatiq on Redis: a message is deleted from the broker when it was acknowledged.
from __future__ import annotations

import os
import sys

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from measure import PAYLOAD, main

broker = RedisBroker(url=os.environ.get("PEER_URL", "redis://127.0.0.1:1"))
dramatiq.set_broker(broker)


@dramatiq.actor
def noop(payload: str) -> None:
    """Does nothing."""


class DramatiqPeer:
    version = f"Dramatiq {dramatiq.__version__}"
    workers = "one process, 16 threads"

    def __init__(self, url: str) -> None:
        os.environ["PEER_URL"] = url
        broker.client = self._redis = redis.Redis.from_url(url)

    def worker_commands(self) -> list[list[str]]:
        return [[sys.executable, "-m", "dramatiq", "dramatiq_peer", "-p", "1", "-t", "16"]]

    def enqueue(self, count: int) -> None:
        for _ in range(count):
            noop.send(PAYLOAD)

    def started(self) -> bool:
        return self._redis.llen("dramatiq:default") < self._redis.hlen("dramatiq:default.msgs")

    def finished(self) -> bool:
        return self._redis.hlen("dramatiq:default.msgs") == 0

    def forget(self) -> None:
        return None


if __name__ == "__main__":
    main(DramatiqPeer)
