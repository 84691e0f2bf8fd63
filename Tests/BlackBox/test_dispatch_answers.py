# SPDX-License-Identifier: Apache-2.0
# What the control plane makes of each answer to a dispatch, row by row of the protocol's table.

import datetime
import email.utils
import time

import pytest

from harness.pull_agent import PullAgent
from harness.push_agent import (
    PushAgent,
    Reply,
    accept,
    answer,
    complete,
    die,
    in_turn,
    sync,
)
from harness.wait import eventually, holds

UNTRUSTED = (401, 403, 404, 410)


def pushed(server, kind, behave, **fields):
    return PushAgent.register(server, [kind], behave, **fields)


def state(api, agent):
    return api.agent(agent.id)["state"]


@pytest.mark.parametrize("status", [200, 201, 202, 206])
def test_any_2xx_accepted_waits_for_the_callback(server, api, kind, status):
    with pushed(server, kind, accept(status)) as agent:
        task_id = api.submit(kind)
        dispatch = agent.received()[0]
        holds(lambda: api.task(task_id)["state"] == "running", 0.5)
        assert agent.succeed(dispatch).status == 200
        assert api.task(task_id)["state"] == "completed" and len(agent.dispatches) == 1


def test_200_with_status_is_the_result_of_any_agent(server, api, kind):
    with pushed(server, kind, sync(data={"n": 1})):
        task = api.wait(api.submit(kind))
    assert task["state"] == "completed" and task["results"]["data"] == {"n": 1}


def test_200_with_a_failure_is_a_failure(server, api, kind, fast):
    error = {"code": "NOPE", "message": "m", "retryable": False}
    with pushed(server, kind, sync("failure", error=error)):
        task = api.wait(api.submit(kind, retry=fast))
    assert task["state"] == "failed" and task["error"]["code"] == "NOPE" and task["attempt"] == 1


def test_200_with_a_retryable_failure_is_retried(server, api, kind, fast):
    error = {"code": "AGAIN", "message": "m"}
    behave = in_turn(sync("failure", error=error), sync(data=2))
    with pushed(server, kind, behave):
        task = api.wait(api.submit(kind, retry=fast))
    assert task["state"] == "completed" and task["attempt"] == 2 and task["failures"] == 1


@pytest.mark.parametrize(
    "status,body",
    [
        (200, {}),
        (200, {"accepted": False}),
        (202, {"accepted": "true"}),
        (200, b"not json"),
        (200, b""),
        (204, None),
        (200, []),
        (200, None),
        (200, b"null"),
        (200, {"status": "odd"}),
        (202, b'{"accepted":true,"accepted":true}'),
        (200, b"\xff\xfe{}"),
        (200, b"[" * 5000),
    ],
)
def test_any_other_2xx_is_a_bad_answer(server, api, kind, fast, status, body):
    with pushed(server, kind, answer(status, body)) as agent:
        task = api.wait(api.submit(kind, retry={**fast, "maxAttempts": 2}))
        assert task["state"] == "failed" and task["error"]["code"] == "BAD_ANSWER"
        assert task["failures"] == 2 and len(agent.dispatches) == 2


@pytest.mark.parametrize("status", [400, 402, 405, 409, 413, 415, 418, 422, 451])
def test_other_4xx_fails_the_attempt(server, api, kind, fast, status):
    with pushed(server, kind, answer(status, {})) as agent:
        task = api.wait(api.submit(kind, retry={**fast, "maxAttempts": 2}))
        assert task["state"] == "failed" and task["failures"] == 2 and task["needsAttention"]
        assert len(agent.dispatches) == 2


@pytest.mark.parametrize("status", [500, 501, 502, 504])
def test_other_5xx_fails_the_attempt(server, api, kind, fast, status):
    behave = in_turn(answer(status, {}), complete(1))
    with pushed(server, kind, behave):
        task = api.wait(api.submit(kind, retry=fast))
        assert task["state"] == "completed" and task["failures"] == 1 and task["attempt"] == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(server, api, kind, fast, status):
    with PushAgent(server) as target:
        behave = answer(status, {}, [("location", target.url + "/dispatch")])
        with pushed(server, kind, behave) as agent:
            task_id = api.submit(kind, retry={**fast, "maxAttempts": 1})
            agent.received()
            holds(lambda: api.task(task_id)["state"] != "completed", 0.7)
        assert target.dispatches == [] and target.probes == [] and target.others == []


@pytest.mark.parametrize("status", [429, 503])
def test_put_back_until_retry_after_in_seconds(server, api, kind, fast, status):
    behave = in_turn(answer(status, {}, [("retry-after", "2")]), complete())
    with pushed(server, kind, behave) as agent:
        task = api.wait(api.submit(kind, retry={**fast, "maxAttempts": 1}), 10)
        first, second = agent.received(2)
        assert task["state"] == "completed" and task["failures"] == 0
        assert task["attempt"] == 2, "attempt rises with every claim"
        assert (first["attempt"], second["attempt"]) == (1, 2)
        assert 1.9 <= second.at - first.at < 4


def test_retry_after_as_a_date(server, api, kind):
    def behave(agent, dispatch):
        if len(agent.dispatches) > 1:
            return complete()(agent, dispatch)
        when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
        return Reply(503, {}, [("retry-after", email.utils.format_datetime(when, usegmt=True))])

    with pushed(server, kind, behave) as agent:
        task = api.wait(api.submit(kind), 12)
        first, second = agent.received(2)
        assert task["failures"] == 0 and 1.8 <= second.at - first.at < 4.6


@pytest.mark.parametrize("bad", ["-5", "soon", "99999999999999999999999999", "1e3", ""])
def test_a_nonsense_retry_after_does_no_harm(server, api, kind, bad):
    with pushed(server, kind, answer(503, {}, [("retry-after", bad)])) as agent:
        task_id = api.submit(kind)
        agent.received()
        eventually(lambda: api.task(task_id)["state"] == "queued")
        assert api.task(task_id)["failures"] == 0 and server.alive


def test_429_keeps_the_agent_healthy(server, api, kind):
    with pushed(server, kind, answer(429, {}, [("retry-after", "30")])) as agent:
        task_id = api.submit(kind)
        agent.received()
        eventually(lambda: api.task(task_id)["state"] == "queued")
        assert state(api, agent) == "active"
        other = PullAgent.register(server, [kind], name=kind + "-p")
        assert other.take()["taskId"] == task_id, "another agent may have it meanwhile"


@pytest.mark.parametrize("status", UNTRUSTED)
def test_put_back_and_unhealthy(server, api, kind, fast, status):
    with pushed(server, kind, in_turn(answer(status, {}), complete())) as agent:
        task_id = api.submit(kind, retry={**fast, "maxAttempts": 1})
        agent.received()
        eventually(lambda: state(api, agent) == "unhealthy", what="unhealthy")
        eventually(lambda: api.task(task_id)["state"] == "queued")
        assert api.task(task_id)["failures"] == 0
        holds(lambda: len(agent.dispatches) == 1, 6.5, every=0.5, what="unhealthy gets nothing")


@pytest.mark.parametrize("how", ["entry", "signed"])
def test_unhealthy_ends_by_a_change_or_a_signed_request(server, api, kind, how):
    with pushed(server, kind, in_turn(answer(401, {}), complete())) as agent:
        task_id = api.submit(kind)
        agent.received()
        eventually(lambda: state(api, agent) == "unhealthy")
        if how == "entry":
            api.good("PATCH", f"/api/agents/{agent.id}", {"labels": {"changed": "yes"}})
        else:
            agent.call(f"/api/agents/{agent.id}/heartbeat", {"status": "active", "running": []})
        eventually(lambda: state(api, agent) == "active", 3)
        assert api.wait(task_id, 10)["state"] == "completed"


def test_unhealthy_ends_by_a_probe(server, api, kind):
    with pushed(server, kind, in_turn(answer(410, {}), complete()), health=True) as agent:
        task_id = api.submit(kind)
        agent.received()
        assert api.wait(task_id, 30)["state"] == "completed"
        assert len(agent.probes) >= 2, "one at registration, one since"


def test_refused_connection_puts_back_for_5_seconds(server, api, kind, fast):
    agent = pushed(server, kind, complete())
    port = agent.port
    agent.close()
    task_id = api.submit(kind, retry={**fast, "maxAttempts": 1})
    began = time.monotonic()
    eventually(lambda: api.task(task_id)["attempt"] >= 1)
    eventually(lambda: api.task(task_id)["state"] == "queued")
    task = api.task(task_id)
    assert task["failures"] == 0 and task["waitingFor"] in ("agents_unhealthy", "agents_busy")
    holds(lambda: api.task(task_id)["attempt"] == 1, 3.5, every=0.3)
    eventually(lambda: api.task(task_id)["attempt"] == 2, 4, what="another try after 5 s")
    assert 4.5 <= time.monotonic() - began < 8 and port


@pytest.mark.long
def test_the_pause_doubles(server, api, kind):
    with pushed(server, kind, answer(503, {})) as agent:
        api.submit(kind)
        times = [got.at for got in agent.received(4, 45)]
        gaps = [b - a for a, b in zip(times, times[1:])]
        for gap, least in zip(gaps, (5, 10, 20)):
            assert least - 0.2 <= gap < least + 3, gaps


def test_unresolvable_name_puts_back(server, api, kind, fast):
    made = api.post(
        "/api/agents",
        {
            "name": kind,
            "type": "http",
            "capabilities": [kind],
            "endpoint": "https://no-such-host.invalid/dispatch",
        },
    )
    if made.status == 422:
        return  # refused at registration is as good: nothing can be lost there
    assert made.status == 201, repr(made)
    task_id = api.submit(kind, retry={**fast, "maxAttempts": 1})
    eventually(lambda: api.task(task_id)["attempt"] >= 1, 10)
    eventually(lambda: api.task(task_id)["state"] == "queued", 10)
    assert api.task(task_id)["failures"] == 0


def test_reset_after_the_request_fails_the_attempt(server, api, kind, fast):
    with pushed(server, kind, in_turn(die, complete())) as agent:
        task = api.wait(api.submit(kind, retry=fast))
        assert task["state"] == "completed" and task["failures"] == 1
        assert len(agent.dispatches) == 2


def test_callback_before_the_answer_wins(server, api, kind):
    def behave(agent, dispatch):
        got = agent.succeed(dispatch, {"early": True})
        assert got.status == 200, repr(got)
        return Reply(500, {})

    with pushed(server, kind, behave) as agent:
        task = api.wait(api.submit(kind))
        assert task["state"] == "completed" and task["results"]["data"] == {"early": True}
        holds(lambda: len(agent.dispatches) == 1 and api.task(task["id"])["failures"] == 0, 0.7)


def test_answer_of_up_to_4_mebibytes_is_read(server, api, kind):
    data = "x" * (3 << 20)
    with pushed(server, kind, sync(data=data)):
        assert api.wait(api.submit(kind), 20)["results"]["data"] == data


def test_breaker_opens_after_five_failures_and_half_opens_with_one(server, api, kind, fast):
    with pushed(server, kind, answer(500, {}), concurrency=1) as agent:
        ids = api.bulk([{"type": kind, "retry": {**fast, "maxAttempts": 1}}] * 12).json["taskIds"]
        agent.received(5)
        holds(lambda: len(agent.dispatches) == 5, 1.0, what="open: nothing more")
        left = [task for task in ids if api.task(task)["state"] == "queued"]
        assert len(left) == 7
        assert api.task(left[0])["waitingFor"] == "agents_unhealthy"
