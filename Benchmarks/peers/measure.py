# SPDX-License-Identifier: Apache-2.0
# Measures one peer: enqueue while its workers run, then drain what was enqueued beforehand.
from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

PAYLOAD = "x" * 200
WARM_UP = 100
STALL_SECONDS = 60


class Peer(Protocol):
    """One queue with its own client. "Finished" is what the peer itself records as finished."""

    version: str
    workers: str

    def worker_commands(self) -> list[list[str]]: ...

    def enqueue(self, count: int) -> None: ...

    def started(self) -> bool:
        """Whether a worker has taken something of what was enqueued last."""
        ...

    def finished(self) -> bool:
        """Whether nothing is waiting or being worked on."""
        ...

    def forget(self) -> None:
        """Removes what finished tasks left behind."""
        ...


def wait_until(condition: Callable[[], bool], what: str, poll: float = 0.01) -> float:
    """Polls the peer's store; returns when the condition held."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > STALL_SECONDS:
            raise TimeoutError(f"{what} took more than {STALL_SECONDS} s")
        time.sleep(poll)
    return time.monotonic()


class Workers:
    """The peer's worker processes; a context manager that stops them by their ids."""

    def __init__(self, commands: list[list[str]]) -> None:
        self._commands = commands
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Workers:
        folder = Path(__file__).resolve().parent
        for command in self._commands:
            self._running.append(
                subprocess.Popen(
                    command,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def measure(peer: Peer, tasks: int) -> dict[str, object]:
    with Workers(peer.worker_commands()):
        peer.enqueue(WARM_UP)
        wait_until(peer.finished, "the warm-up")
        peer.forget()
        begin = time.monotonic()
        peer.enqueue(tasks)
        loop = tasks / (wait_until(peer.finished, "the loop") - begin)
    peer.forget()
    peer.enqueue(tasks)
    with Workers(peer.worker_commands()):
        begin = wait_until(peer.started, "the drain's start", poll=0.002)
        drain = tasks / (wait_until(peer.finished, "the drain") - begin)
    return {
        "version": peer.version,
        "workers": peer.workers,
        "tasks": tasks,
        "loop": loop,
        "drain": drain,
    }


def main(make: Callable[[str], Peer]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--tasks", type=int, required=True)
    arguments = parser.parse_args()
    print(json.dumps(measure(make(arguments.url), arguments.tasks)))
