# SPDX-License-Identifier: Apache-2.0
# Agents that hang, drip, flood or lie in their answers: bounded time and memory, a classed failure.

import gzip
import pathlib
import time

import pytest

from harness.push_agent import PushAgent, Reply, complete, hang, in_turn, raw
from harness.wait import eventually, pause

JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@pytest.fixture(scope="module")
def quick(make_server):
    """A server that waits 1.5 s for an agent's answer."""
    return make_server(config={"agents": [], "callbacks": {"timeout": 1500}})


def resident(server):
    for line in pathlib.Path(f"/proc/{server.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def run(server, kind, fast, behave, seconds=12, **fields):
    """One task of one attempt on an agent that behaves so, on a server that must survive it."""
    with PushAgent.register(server, [kind], behave, **fields) as agent:
        began = time.monotonic()
        task = server.api.wait(server.api.submit(kind, retry={**fast, "maxAttempts": 1}), seconds)
        elapsed = time.monotonic() - began
        assert len(agent.dispatches) == 1
    assert server.alive and server.api.get("/api/stats").status == 200
    return task, elapsed


def test_no_answer_in_time_fails_the_attempt(quick, kind, fast):
    task, elapsed = run(quick, kind, fast, hang)
    assert task["state"] == "failed" and task["failures"] == 1 and 1.3 < elapsed < 5


def test_sync_agents_have_until_the_deadline(quick, kind, fast):
    def behave(agent, dispatch):
        pause(2.5)
        return Reply(200, agent.report(dispatch, data="slow"))

    task, elapsed = run(quick, kind, fast, behave, answers="sync")
    assert task["state"] == "completed" and task["results"]["data"] == "slow" and elapsed > 2.4


def test_sync_agents_have_no_more_than_the_timeout(quick, kind, fast):
    with PushAgent.register(quick, [kind], hang, answers="sync"):
        task = quick.api.wait(
            quick.api.submit(kind, timeout=2000, retry={**fast, "maxAttempts": 1}), 8
        )
    assert task["state"] == "failed" and task["error"]["code"] == "TIMEOUT"


def test_drip_of_headers(quick, kind, fast):
    def pieces():
        for byte in b"HTTP/1.1 200 OK\r\nx-slow: " + b"y" * 200:
            yield bytes([byte])
            pause(0.1)

    task, elapsed = run(quick, kind, fast, raw(pieces))
    assert task["state"] == "failed" and elapsed < 6


def test_drip_of_a_body(quick, kind, fast):
    def pieces():
        yield JSON_HEAD + b"content-length: 300\r\n\r\n"
        for _ in range(200):
            yield b" "
            pause(0.1)

    task, elapsed = run(quick, kind, fast, raw(pieces))
    assert task["state"] == "failed" and elapsed < 6


def test_answer_above_4_mebibytes(quick, kind, fast):
    body = b'{"accepted":true,"x":"' + b"x" * (5 << 20) + b'"}'
    head = JSON_HEAD + b"content-length: %d\r\n\r\n" % len(body)
    before = resident(quick)
    task, _ = run(quick, kind, fast, raw(head + body))
    assert task["state"] == "failed" and resident(quick) - before < 64 << 20


def test_endless_chunked_answer(quick, kind, fast):
    sent = [0]

    def pieces():
        yield JSON_HEAD + b"transfer-encoding: chunked\r\n\r\n"
        for _ in range(4096):
            sent[0] += 65536
            yield b"10000\r\n" + b"x" * 65536 + b"\r\n"

    before = resident(quick)
    task, elapsed = run(quick, kind, fast, raw(pieces))
    assert task["state"] == "failed" and elapsed < 6
    assert resident(quick) - before < 64 << 20
    assert sent[0] < 64 << 20, "the server went on reading"


def test_gzip_bomb_is_not_inflated(quick, kind, fast):
    bomb = gzip.compress(b" " * (200 << 20))
    head = JSON_HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb)
    before = resident(quick)
    task, _ = run(quick, kind, fast, raw(head + bomb))
    assert task["state"] == "failed" and resident(quick) - before < 64 << 20


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02\x03" * 64,
        b"HTTP/9.9 999 what\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n",
    ],
    ids=["binary", "version", "negative", "two-lengths", "ssh", "switching"],
)
def test_garbage(quick, kind, fast, garbage):
    task, elapsed = run(quick, kind, fast, raw(garbage))
    assert task["state"] == "failed" and elapsed < 6


def test_flood_of_1xx(quick, kind, fast):
    def pieces():
        for _ in range(20000):
            yield b"HTTP/1.1 100 Continue\r\n\r\n" * 50

    before = resident(quick)
    task, elapsed = run(quick, kind, fast, raw(pieces))
    assert task["state"] == "failed" and elapsed < 8 and resident(quick) - before < 64 << 20


def test_flood_of_headers(quick, kind, fast):
    head = b"HTTP/1.1 200 OK\r\n" + b"".join(
        b"x-%d: %s\r\n" % (i, b"y" * 500) for i in range(20000)
    )
    before = resident(quick)
    task, _ = run(quick, kind, fast, raw(head + b"content-length: 0\r\n\r\n"))
    assert task["state"] == "failed" and resident(quick) - before < 64 << 20


def test_shorter_body_than_announced(quick, kind, fast):
    task, _ = run(
        quick, kind, fast, raw(JSON_HEAD + b'content-length: 500\r\n\r\n{"accepted":true}')
    )
    assert task["state"] == "failed"


def test_silent_after_accepting_is_retried_when_its_lease_ends(quick, kind, fast):
    behave = in_turn(lambda agent, dispatch: Reply(202, {"accepted": True}), complete("second"))
    with PushAgent.register(quick, [kind], behave, leaseSeconds=1) as agent:
        task = quick.api.wait(quick.api.submit(kind, retry=fast), 10)
        assert task["state"] == "completed" and task["results"]["data"] == "second"
        assert task["attempt"] == 2 and task["failures"] == 1
        assert agent.succeed(agent.dispatches[0], "first").status == 409
        assert quick.api.task(task["id"])["results"]["data"] == "second"


def test_sync_answer_of_another_task_does_not_settle_it(quick, kind, fast):
    """An agent that answers with another task's id changes nothing of that task."""
    api = quick.api
    victim = api.submit(kind + "-victim")

    def behave(agent, dispatch):
        return Reply(200, {**agent.report(dispatch, data="lie"), "taskId": victim})

    run(quick, kind, fast, behave)
    assert api.task(victim)["state"] == "queued"


def test_answer_with_an_older_attempt_is_not_taken(quick, kind, fast):
    def behave(agent, dispatch):
        return Reply(200, {**agent.report(dispatch, data="lie"), "attempt": 7, "leaseToken": "x"})

    with PushAgent.register(quick, [kind], behave) as agent:
        task_id = quick.api.submit(kind, retry={**fast, "maxAttempts": 1})
        agent.received()
        task = quick.api.wait(task_id, 8)
        assert task["state"] == "failed"


def test_slots_come_back_after_every_fault(quick, kind, fast):
    with PushAgent.register(quick, [kind], in_turn(hang, complete()), concurrency=1) as agent:
        first = quick.api.submit(kind, retry={**fast, "maxAttempts": 1})
        second = quick.api.submit(kind, retry=fast)
        assert quick.api.wait(first, 8)["state"] == "failed"
        assert quick.api.wait(second, 8)["state"] == "completed"
        eventually(lambda: len(agent.dispatches) == 2)
