# SPDX-License-Identifier: Apache-2.0
# A thousand clients that are slow on purpose: gone by their deadlines, and nobody else notices.

import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest

from harness.attacks import CHUNKED, TOKEN, chunked, get, length, post
from harness.memory import Peak
from harness.raw import Wire
from harness.slow import raise_file_limit
from harness.wait import eventually

COUNT = 1000
#: Seconds until a slow client is gone, by the contract, and how long we wait for it at most.
HEAD, BODY, IDLE = 10, 15, 75
PATIENCE = 45


@pytest.fixture
def target(new_server):
    if not raise_file_limit(COUNT + 1000):
        pytest.skip(f"SKIPPED: the hard limit of open files is below {COUNT + 1000}")
    return new_server(admin=TOKEN.decode())


class Crowd:
    """`harness/slow.py` at work."""

    def __init__(self, target, kind, count=COUNT, seconds=PATIENCE):
        command = [sys.executable, "-m", "harness.slow", kind, target.port, "--count", count]
        command += ["--token", target.admin, "--seconds", seconds]
        self.kind = kind
        self.process = subprocess.Popen(
            [str(word) for word in command],
            cwd=pathlib.Path(__file__).parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        opened = json.loads(self.process.stdout.readline())
        assert opened == {"opened": count, "refused": 0}, opened

    def gone(self):
        """Waits until all were ended by the server."""
        report = json.loads(self.process.stdout.readline())
        assert report["left"] == 0, f"{self.kind}: {report}"
        return report

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


class GoodTraffic:
    """One client that reads and submits all the time, with what each request took."""

    def __init__(self, target):
        self.target, self.took, self.faults = target, [], []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        api = self.target.api
        while not self._over.is_set():
            for answer in (api.get("/api/stats"), api.post("/api/tasks", {"type": "good"})):
                if answer.status not in (200, 201):
                    self.faults.append(repr(answer))
                self.took.append(answer.milliseconds)
            self._over.wait(0.002)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def p99(self):
        return sorted(self.took)[int(len(self.took) * 0.99)]


def files_of(target):
    return len(os.listdir(f"/proc/{target.pid}/fd"))


def normal_p99(target):
    with GoodTraffic(target) as traffic:
        eventually(lambda: len(traffic.took) >= 600, 60)
    return traffic.p99()


@pytest.mark.parametrize(
    "kinds,most",
    [(("heads", "lines", "empty lines"), HEAD), (("bodies", "chunks", "callbacks"), BODY)],
)
def test_slow_to_send(target, kinds, most):
    before, files = normal_p99(target), files_of(target)
    with Peak(target) as peak, GoodTraffic(target) as traffic:
        began = time.monotonic()
        crowds = [Crowd(target, kind, count=COUNT // len(kinds)) for kind in kinds]
        reports = {crowd.kind: crowd.gone() for crowd in crowds}
        for crowd in crowds:
            crowd.__exit__()
    assert target.alive and traffic.faults == []
    eventually(lambda: files_of(target) < files + 20, 10, what="their files are closed")
    print(f"{COUNT} clients; deadline {most} s, all gone after {time.monotonic() - began:.1f} s")
    for kind, report in reports.items():
        print(f"  {kind}: {report}")
    tell(traffic, before, peak)
    assert peak.rise < COUNT * 32 << 10, f"{peak.rise >> 20} MiB"


def test_slow_to_read(target):
    """Each asks for a document 64 times and takes nothing of it: only so much is kept for it."""
    before = normal_p99(target)
    with Peak(target) as peak, GoodTraffic(target) as traffic:
        with Crowd(target, "reads"):
            seen = len(traffic.took)
            eventually(lambda: len(traffic.took) >= seen + 600, 60)
    assert target.alive and traffic.faults == []
    print(f"{COUNT} clients that read nothing")
    tell(traffic, before, peak)
    assert peak.rise < COUNT * 256 << 10, f"{peak.rise >> 20} MiB"


@pytest.mark.long
@pytest.mark.timeout(200)
@pytest.mark.parametrize("kind", ["reads", "nothing"])
def test_idle_clients_go(target, kind):
    """Seen from the server: an end behind answers that are not read does not reach the client."""
    files = files_of(target)
    with Crowd(target, kind, seconds=2 * IDLE + PATIENCE):
        eventually(lambda: files_of(target) >= files + COUNT, 20, what="all are accepted")
        began = time.monotonic()
        eventually(lambda: files_of(target) < files + 20, IDLE + PATIENCE, every=0.5)
        print(f"{COUNT} clients, {kind}; deadline {IDLE} s: {time.monotonic() - began:.0f} s")
    assert target.alive


def tell(traffic, before, peak):
    during = traffic.p99()
    print(
        f"  good traffic: p99 {before:.2f} ms before, {during:.2f} during ({during / before:.2f}x,"
        f" {len(traffic.took)} requests; asked for: < 1.2x, see Benchmarks/run --only edge);"
        f" memory +{peak.rise >> 10} KiB"
    )


@pytest.mark.parametrize("coding", ["length", pytest.param("chunks", marks=pytest.mark.long)])
def test_steady_bodies_may_take_their_time(target, coding):
    """More than 16 KiB a second earns time: what is slow but goes on is not ended."""
    piece = b" " * 16384
    body = piece * 24 + b'{"type":"steady"}'
    framed = chunked(*[piece] * 24, b'{"type":"steady"}')
    whole = post(length(body), body=body) if coding == "length" else post(CHUNKED, body=framed)
    with Wire(target.port, timeout=40) as wire:
        for start in range(0, len(whole), 16384):
            wire.send_all(whole[start : start + 16384])
            threading.Event().wait(0.75)
        got = wire.answer()
        assert got is not None and got.status == 201, repr(got)
        wire.send(get())
        assert wire.answer().status == 200
