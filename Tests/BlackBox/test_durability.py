# SPDX-License-Identifier: Apache-2.0
# kill -9 at random moments under load: nothing acknowledged is lost, nothing ends twice.

import os
import random
import threading

import pytest

from harness.api import ENDED
from harness.load import Load, integrity
from harness.pull_agent import PullAgent
from harness.wait import eventually, pause

ROUNDS = int(os.environ.get("ORRERY_KILL_ROUNDS", "5"))
READY_SECONDS = 2.0


@pytest.mark.timeout(150 + 8 * ROUNDS)
def test_kill_9_under_load(new_server):
    server = new_server()
    load = Load(server).start()
    chance, before = random.Random(load.seed), {}
    print(f"seed {load.seed}")
    try:
        for number in range(ROUNDS):
            pause(chance.uniform(0.2, 1.5))
            server.kill()
            assert integrity(server) == [("ok",)], f"round {number}"
            seconds = server.start()
            server.ready(2)
            assert seconds < READY_SECONDS, f"round {number}: ready after {seconds:.2f} s"
            if number % 5 == 0:
                before = load.check(before)
        assert load.acked, "no load at all"
        load.settle()
        stored = load.check(before)
    finally:
        load.stop()
    states = {task["state"] for task in stored.values()}
    assert states <= {"completed", "failed"}, states
    unknown = set(stored) - set(load.acked)
    assert len(unknown) <= len(load.unsure), "tasks that nobody submitted"
    print(
        f"{len(load.acked)} tasks, {len(load.unsure)} unsure, {len(unknown)} of those stored, "
        f"{sum(len(ends) for ends in load.ends.values())} reports acknowledged, {ROUNDS} kills"
    )


@pytest.mark.timeout(120)
def test_sigterm_under_load(new_server):
    server = new_server()
    load = Load(server).start()
    try:
        for _ in range(2):
            pause(1.5)
            code, seconds = server.terminate(timeout=40)
            assert code == 0, server.log()
            assert seconds < 35
            assert integrity(server) == [("ok",)]
            server.start()
            load.check()
        load.settle()
        load.check()
    finally:
        load.stop()


def test_idle_sigterm_is_quick(new_server):
    server = new_server()
    server.api.submit("a")
    code, seconds = server.terminate()
    assert code == 0 and seconds < 5


def test_sigterm_ends_waiting_polls(new_server):
    """A long poll and a wait do not hold the shutdown up."""
    server = new_server()
    agent, task_id = PullAgent.register(server, ["a"]), server.api.submit("b")
    answers = []

    def ask(call):
        try:
            answers.append(call())
        except OSError as error:
            answers.append(error)

    threads = [
        threading.Thread(target=ask, args=(call,))
        for call in (
            lambda: agent.lease_call(1, 30),
            lambda: server.api.with_token(server.admin).get(
                f"/api/tasks/{task_id}/wait?timeoutSeconds=30"
            ),
        )
    ]
    for thread in threads:
        thread.start()
    pause(0.5)
    code, seconds = server.terminate()
    assert code == 0 and seconds < 8, seconds
    for thread in threads:
        thread.join(5)
    assert len(answers) == 2


@pytest.mark.timeout(60)
def test_every_kind_of_write_survives_kill_9(new_server):
    """One kill right after each acknowledged call; then all of it is still so."""
    server = new_server()
    api, agent = server.api, PullAgent.register(server, ["a"], concurrency=20)
    done, failed, backing, cancelled, held = (api.submit("a") for _ in range(5))
    got = {}
    eventually(lambda: got.update({d["taskId"]: d for d in agent.lease(5, 1)}) or len(got) == 5)
    agent.succeed(got[done], {"n": 1})
    agent.fail(got[failed], retryable=False)
    agent.fail(got[backing])
    assert (
        agent.progress(
            got[held],
            progress=33,
            logs=[{"message": "kept", "level": "info", "timestamp": "2026-01-01T00:00:00.000Z"}],
        ).status
        == 200
    )
    api.cancel(cancelled)
    api.post(f"/api/tasks/{failed}/acknowledge")
    again = api.retry(failed).json["taskId"]
    api.good("PATCH", "/api/types/paused-type", {"paused": True, "concurrency": 3})
    token = api.token_for("viewer")
    bulk = api.bulk([{"type": "b"}] * 100).json["taskIds"]
    server.kill()
    server.start()
    assert api.task(done)["results"]["data"] == {"n": 1} and api.task(done)["state"] == "completed"
    assert api.task(failed)["state"] == "failed" and not api.task(failed)["needsAttention"]
    assert api.task(backing)["failures"] == 1 and api.task(backing)["state"] == "queued"
    assert api.task(cancelled)["state"] == "cancelled"
    assert api.task(held)["state"] == "running" and api.task(held)["attempt"] == 1
    assert api.task(again)["retryOf"] == failed
    assert "kept" in [line["message"] for line in api.logs(held)]
    settings = api.good("GET", "/api/types/paused-type")
    assert settings["paused"] is True and settings["concurrency"] == 3
    assert api.with_token(token["token"]).get("/api/tasks").status == 200
    assert {task["id"] for task in api.tasks("type=b")} == set(bulk)
    assert agent.succeed(got[held]).status == 200


def test_a_lease_lost_during_the_outage_is_given_again(new_server):
    server = new_server()
    agent = PullAgent.register(server, ["a"], leaseSeconds=1)
    task_id = server.api.submit("a")
    dispatch = agent.take()
    server.kill()
    pause(1.5)
    server.start()
    again = agent.take(6)
    assert again["taskId"] == task_id and again["attempt"] == 2
    assert agent.succeed(dispatch).status == 409
    assert agent.succeed(again).status == 200


def test_scheduled_and_backed_off_tasks_wake_after_a_restart(new_server, fast):
    server = new_server()
    agent = PullAgent.register(server, ["a"])
    task_id = server.api.submit("a", retry={**fast, "base": 1500, "cap": 1500})
    agent.fail(agent.take())
    server.kill()
    server.start()
    assert server.api.task(task_id)["state"] == "queued"
    assert agent.take(5)["attempt"] == 2


def test_counts_are_right_after_a_kill(new_server):
    server = new_server()
    agent = PullAgent.register(server, ["a"])
    server.api.bulk([{"type": "a"}] * 10)
    with agent.work():
        eventually(lambda: len(server.api.tasks("type=a&state=completed")) == 10)
    server.api.bulk([{"type": "b"}] * 5)
    before = server.api.good("GET", "/api/stats")
    server.kill()
    server.start()
    after = server.api.good("GET", "/api/stats")
    tasks = lambda stats: {name: value for name, value in stats.items() if "task" in name.lower()}
    assert tasks(before) == tasks(after)
    assert all(task["state"] in ENDED for task in server.api.tasks("type=a"))
