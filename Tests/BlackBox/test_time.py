# SPDX-License-Identifier: Apache-2.0
# What time does to a task: runAt, deadlines, timeouts, leases, backoff, retryAfter, attempts.

import datetime
import socket
import struct
import time

import pytest

from harness.api import assert_problem
from harness.pull_agent import PullAgent
from harness.push_agent import PushAgent, accept, complete
from harness.wait import eventually, holds, pause

FIXED_SECOND = {
    "maxAttempts": 2,
    "backoff": "fixed",
    "base": 1000,
    "factor": 1,
    "cap": 1000,
    "jitter": 0,
}


def stamp(seconds):
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"


def parsed(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_run_at_is_not_early_and_not_late(server, api, kind):
    with PushAgent.register(server, [kind], complete()) as agent:
        due = time.time() + 1.5
        api.submit(kind, runAt=stamp(1.5))
        holds(lambda: not agent.dispatches or time.time() >= due - 0.01, 1.3)
        agent.received(1, 5)
        late = time.time() - due
        assert -0.01 <= late < 1.0, late


def test_run_at_in_the_past_runs_now(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind, runAt=stamp(-60))
    assert agent.take(3)["taskId"] == task_id


def test_scheduled_does_not_block_what_is_due(server, api, kind):
    agent = PullAgent.register(server, [kind])
    api.submit(kind, priority=9, runAt=stamp(3600))
    due = api.submit(kind, priority=0)
    assert agent.take(3)["taskId"] == due


def test_past_deadline_is_refused(api, kind):
    answer = api.post("/api/tasks", {"type": kind, "deadline": stamp(-1)})
    assert_problem(answer, 422, path="deadline")
    assert api.tasks(f"type={kind}") == []


def test_deadline_of_a_queued_task(api, kind):
    task = api.wait(api.submit(kind, deadline=stamp(1)), 6)
    assert task["state"] == "failed" and task["error"]["code"] == "DEADLINE_EXCEEDED"


def test_deadline_of_a_running_task(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind, deadline=stamp(2))
    dispatch = agent.take()
    assert parsed(dispatch["deadline"]) <= time.time() + 2.1, "the earlier of both"
    task = api.wait(task_id, 8)
    assert task["state"] == "failed" and task["error"]["code"] == "DEADLINE_EXCEEDED"
    late = agent.succeed(dispatch)
    assert late.status == 409 and late.json["acknowledged"] is False


def test_dispatch_deadline_is_the_timeout_when_that_is_earlier(server, api, kind):
    agent = PullAgent.register(server, [kind])
    api.submit(kind, timeout=20000, deadline=stamp(3600))
    dispatch = agent.take()
    assert dispatch["timeout"] == 20000
    assert 15 < parsed(dispatch["deadline"]) - time.time() <= 20.1


def test_timeout_fails_the_attempt_and_backs_off(server, api, kind, fast):
    with PushAgent.register(server, [kind], accept(), cancel=True) as agent:
        task_id = api.submit(kind, timeout=1000, retry={**fast, "maxAttempts": 2})
        task = api.wait(task_id, 12)
        assert task["state"] == "failed" and task["error"]["code"] == "TIMEOUT"
        assert task["attempt"] == 2 and task["failures"] == 2 and task["needsAttention"] is True
        first, second = agent.received(2)[:2]
        assert (first["attempt"], second["attempt"]) == (1, 2)
        assert first["leaseToken"] != second["leaseToken"]
        assert second.at - first.at >= 1.0
        eventually(lambda: agent.cancels, what="the agent is told")
        assert agent.cancels[0].json["reason"] == "timeout" and agent.cancels[0].verified
        assert agent.succeed(first).status == 409


def test_timeout_bounds_a_pull_attempt_that_keeps_its_lease(server, api, kind, fast):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind, timeout=1500, retry={**fast, "maxAttempts": 1})
    dispatch = agent.take()
    began = time.monotonic()
    eventually(
        lambda: (
            agent.progress(dispatch, progress=1).status == 409
            or api.task(task_id)["state"] == "failed"
        ),
        6,
        every=0.2,
    )
    assert 1.0 < time.monotonic() - began < 4
    assert api.task(task_id)["error"]["code"] == "TIMEOUT"


def test_lease_of_a_silent_pull_agent_ends(server, api, kind):
    agent = PullAgent.register(server, [kind], leaseSeconds=1)
    other = PullAgent.register(server, [kind], name=kind + "-o", leaseSeconds=30)
    task_id = api.submit(kind)
    first = agent.take()
    second = other.take(6)
    assert second["taskId"] == task_id and second["attempt"] == 2
    task = api.task(task_id)
    assert task["failures"] == 1
    late = agent.succeed(first, {"late": True})
    assert late.status == 409 and late.json["acknowledged"] is False
    assert agent.progress(first, progress=99).status == 409
    beat = agent.heartbeat([first])
    assert beat["lost"] == [task_id]
    assert other.succeed(second, {"late": False}).status == 200
    assert api.task(task_id)["results"]["data"] == {"late": False}


def test_lease_expired_counts_against_max_attempts(server, api, kind, fast):
    agent = PullAgent.register(server, [kind], leaseSeconds=1)
    task_id = api.submit(kind, retry={**fast, "maxAttempts": 1})
    agent.take()
    task = api.wait(task_id, 8)
    assert task["state"] == "failed" and task["error"]["code"] == "LEASE_EXPIRED"


@pytest.mark.parametrize("by", ["heartbeat", "progress"])
def test_a_renewed_lease_lives_on(server, api, kind, by):
    agent = PullAgent.register(server, [kind], leaseSeconds=2)
    task_id = api.submit(kind)
    dispatch = agent.take()
    for _ in range(6):
        pause(0.7)
        if by == "heartbeat":
            assert agent.heartbeat([dispatch]) == {
                "acknowledged": True,
                "cancelled": [],
                "lost": [],
            }
        else:
            assert agent.progress(dispatch, progress=1).status == 200
    assert agent.succeed(dispatch).status == 200
    assert api.task(task_id)["attempt"] == 1


def test_a_heartbeat_with_another_token_renews_nothing(server, api, kind):
    agent = PullAgent.register(server, [kind], leaseSeconds=1)
    task_id = api.submit(kind)
    dispatch = agent.take()
    for _ in range(8):
        pause(0.3)
        agent.heartbeat([{**dispatch, "leaseToken": "wrong"}])
    assert api.task(task_id)["failures"] >= 1


def test_push_agents_need_send_no_progress(server, api, kind):
    """Their lease is the task's timeout unless `leaseSeconds` says otherwise."""
    with PushAgent.register(server, [kind], accept()) as agent:
        task_id = api.submit(kind, timeout=60000)
        dispatch = agent.received()[0]
        holds(lambda: api.task(task_id)["attempt"] == 1, 3, every=0.3)
        assert agent.succeed(dispatch).status == 200


@pytest.mark.long
def test_push_agents_stay_leased_beyond_the_default_of_pull(server, api, kind):
    with PushAgent.register(server, [kind], accept()) as agent:
        task_id = api.submit(kind, timeout=60000)
        dispatch = agent.received()[0]
        holds(lambda: api.task(task_id)["attempt"] == 1, 35, every=1)
        assert agent.succeed(dispatch).status == 200


def test_backoff_doubles_to_its_cap(server, api, kind):
    agent = PullAgent.register(server, [kind])
    retry = {
        "maxAttempts": 4,
        "backoff": "exponential",
        "base": 400,
        "factor": 2,
        "cap": 800,
        "jitter": 0,
    }
    task_id, waits = api.submit(kind, retry=retry), []
    dispatch = agent.take()
    for attempt in (1, 2, 3):
        assert dispatch["attempt"] == attempt
        failed = time.monotonic()
        assert agent.fail(dispatch).json == {
            "acknowledged": True,
            "nextAction": "retry",
            "metadata": {"state": "queued", "attempt": attempt},
        }
        dispatch = agent.take(5)
        waits.append(time.monotonic() - failed)
    assert agent.fail(dispatch).json["nextAction"] == "escalate"
    for wait, least in zip(waits, (0.4, 0.8, 0.8)):
        assert least - 0.02 <= wait < least + 0.8, waits
    task = api.task(task_id)
    assert task["state"] == "failed" and task["failures"] == 4 and task["needsAttention"] is True
    assert task["error"]["code"] == "X" and task["error"]["message"] == "m"


def test_retry_after_extends_the_backoff(server, api, kind, fast):
    agent = PullAgent.register(server, [kind])
    api.submit(kind, retry=fast)
    dispatch = agent.take()
    failed = time.monotonic()
    agent.fail(dispatch, retryAfter=1500)
    agent.take(5)
    assert 1.45 <= time.monotonic() - failed < 3


def test_retry_after_shorter_than_the_backoff_changes_nothing(server, api, kind, fast):
    agent = PullAgent.register(server, [kind])
    api.submit(kind, retry={**fast, "base": 1200, "cap": 1200})
    dispatch = agent.take()
    failed = time.monotonic()
    agent.fail(dispatch, retryAfter=10)
    agent.take(5)
    assert time.monotonic() - failed >= 1.15


def test_jitter_stays_within_its_share(server, api, kind):
    agent = PullAgent.register(server, [kind], concurrency=20)
    retry = {**FIXED_SECOND, "jitter": 0.2}
    api.bulk([{"type": kind, "retry": retry}] * 10)
    held, failed, again = [], {}, {}
    eventually(lambda: held.extend(agent.lease(20, 1)) or len(held) == 10)
    for dispatch in held:
        agent.fail(dispatch)
        failed[dispatch["taskId"]] = time.monotonic()

    def collect():
        for dispatch in agent.lease(20, 1):
            again[dispatch["taskId"]] = time.monotonic()
        return len(again) == 10

    eventually(collect, 6)
    waits = [again[task_id] - failed[task_id] for task_id in failed]
    assert min(waits) >= 0.78 and max(waits) < 2.2, waits
    assert max(waits) - min(waits) > 0.01, "no jitter at all"


def test_run_at_moves_ahead_while_a_task_backs_off(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind, retry={**FIXED_SECOND, "base": 60000, "cap": 60000})
    agent.fail(agent.take())
    assert 55 < parsed(api.task(task_id)["runAt"]) - time.time() < 61


def test_failure_that_is_not_retryable_ends_at_once(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    answer = agent.fail(agent.take(), code="FATAL", retryable=False)
    assert answer.json["nextAction"] == "escalate"
    assert answer.json["metadata"] == {"state": "failed", "attempt": 1}
    task = api.task(task_id)
    assert task["state"] == "failed" and task["error"]["code"] == "FATAL"
    assert task["failures"] == 1 and task["needsAttention"] is True


def test_failure_without_a_code(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind, retry={"maxAttempts": 1})
    answer = agent.callback(agent.report(agent.take(), "failure"))
    assert answer.status == 200, repr(answer)
    assert api.task(task_id)["error"]["code"] == "AGENT_ERROR"


def test_default_lease_of_a_pull_agent_is_30_seconds(server, api, kind):
    agent = PullAgent.register(server, [kind])
    api.submit(kind)
    answer = agent.progress(agent.take(), progress=1)
    assert 28 <= parsed(answer.json["leaseExpiresAt"]) - time.time() <= 31


def test_a_lease_never_exceeds_the_deadline(server, api, kind):
    agent = PullAgent.register(server, [kind])
    api.submit(kind, timeout=5000)
    answer = agent.progress(agent.take(), progress=1)
    assert parsed(answer.json["leaseExpiresAt"]) - time.time() <= 5.1


@pytest.mark.parametrize("how", ["closed", "reset"])
def test_a_poll_whose_client_has_gone_takes_no_task(server, api, kind, how):
    """Work travels on the open channel: a worker killed while it waited costs no attempt."""
    gone = PullAgent.register(server, [kind], name=kind + "-gone")
    body = b'{"max":1,"waitSeconds":30}'
    lines = [f"{name}: {value}" for name, value in gone.signed(body)]
    head = [f"POST /api/agents/{gone.id}/lease HTTP/1.1", "host: x", f"content-length: {len(body)}"]
    request = "\r\n".join([*head, "content-type: application/json", *lines]) + "\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as poll:
        poll.sendall(request.encode() + body)
        pause(0.3)
        if how == "reset":
            poll.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    pause(0.3)
    alive = PullAgent.register(server, [kind], name=kind + "-alive")
    task_id = api.submit(kind)
    dispatch = alive.take(3)
    assert dispatch["taskId"] == task_id and dispatch["attempt"] == 1
