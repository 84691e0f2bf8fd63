# SPDX-License-Identifier: Apache-2.0
# Reports that come twice, late, forged, replayed or from another agent change nothing.

import json
import threading

import pytest

from harness import signing
from harness.api import assert_problem
from harness.pull_agent import PullAgent
from harness.wait import eventually


@pytest.fixture
def held(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    return agent, agent.take(), task_id


def late(answer):
    assert answer.status == 409, repr(answer)
    assert answer.json["acknowledged"] is False and answer.json["nextAction"] == "none", repr(
        answer
    )


def test_100_duplicates_at_once(server, api, held):
    agent, dispatch, task_id = held
    body = json.dumps(agent.report(dispatch, data={"n": 1})).encode()
    headers, answers = agent.signed(body), []
    gate = threading.Barrier(100)

    def send():
        connection = server.connection()
        gate.wait()
        sent = [("content-type", "application/json"), *headers]
        answers.append(connection.send("POST", "/api/agent-callback", sent, body))

    threads = [threading.Thread(target=send) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(answers) == 100
    assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}
    assert answers[0].json["metadata"] == {"state": "completed", "attempt": 1}
    task = api.task(task_id)
    assert (
        task["state"] == "completed"
        and task["attempt"] == 1
        and task["results"]["data"] == {"n": 1}
    )


def test_100_failures_at_once_count_once(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    body = json.dumps(agent.report(agent.take(), "failure", error={"code": "E"})).encode()
    answers, gate = [], threading.Barrier(50)

    def send():
        calls = PullAgent(server, agent.id, agent.secret)
        gate.wait()
        answers.append(calls.callback(raw=body))

    threads = [threading.Thread(target=send) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}
    assert answers[0].json["nextAction"] == "retry"
    task = api.task(task_id)
    assert task["failures"] == 1 and task["state"] == "queued"


def test_a_repeat_gets_the_same_answer(api, held):
    agent, dispatch, task_id = held
    first = agent.succeed(dispatch, {"n": 1})
    again = agent.succeed(dispatch, {"n": 2})
    assert (again.status, again.body) == (first.status, first.body)
    assert api.task(task_id)["results"]["data"] == {"n": 1}


def test_a_repeat_with_another_status_is_a_conflict(api, held):
    agent, dispatch, task_id = held
    agent.succeed(dispatch)
    late(agent.fail(dispatch))
    late(agent.callback(agent.report(dispatch, "partial")))
    assert api.task(task_id)["state"] == "completed"


def test_a_repeated_failure_gets_its_answer_while_the_next_attempt_runs(server, api, kind, fast):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind, retry=fast)
    first = agent.take()
    answer = agent.fail(first)
    second = agent.take()
    assert second["attempt"] == 2
    again = agent.fail(first)
    assert (again.status, again.body) == (answer.status, answer.body)
    assert api.task(task_id)["failures"] == 1 and api.task(task_id)["state"] == "running"
    late(agent.succeed(first))
    assert agent.succeed(second).status == 200


def test_the_same_bytes_replayed_after_a_new_attempt(server, api, kind, fast):
    """Without `attempt`, a report that settled attempt 1 never counts for attempt 2."""
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind, retry=fast)
    agent.take()
    body = json.dumps({"taskId": task_id, "status": "failure", "error": {"code": "E"}}).encode()
    headers = agent.signed(body)
    assert agent.callback(raw=body, headers=headers).json["nextAction"] == "retry"
    second = agent.take()
    answer = agent.callback(raw=body, headers=headers)
    assert answer.status in (200, 409), repr(answer)
    task = api.task(task_id)
    assert task["state"] == "running" and task["failures"] == 1 and task["attempt"] == 2
    assert agent.succeed(second).status == 200


def test_replayed_after_a_restart(new_server):
    server = new_server()
    agent = PullAgent.register(server, ["a"])
    task_id = server.api.submit("a")
    body = json.dumps(agent.report(agent.take(), data=1)).encode()
    headers = agent.signed(body)
    first = agent.callback(raw=body, headers=headers)
    assert first.status == 200
    server.restart()
    again = agent.callback(raw=body, headers=headers)
    assert (again.status, again.body) == (first.status, first.body)
    assert server.api.task(task_id)["results"]["data"] == 1


def test_failure_replayed_after_a_restart_counts_once(new_server, fast):
    server = new_server()
    agent = PullAgent.register(server, ["a"])
    task_id = server.api.submit("a", retry=fast)
    agent.take()
    body = json.dumps({"taskId": task_id, "status": "failure", "error": {"code": "E"}}).encode()
    headers = agent.signed(body)
    agent.callback(raw=body, headers=headers)
    server.restart()
    agent.take()
    agent.callback(raw=body, headers=headers)
    task = server.api.task(task_id)
    assert task["failures"] == 1 and task["attempt"] == 2 and task["state"] == "running"


def test_a_lease_survives_a_restart(new_server):
    server = new_server()
    agent = PullAgent.register(server, ["a"])
    task_id = server.api.submit("a")
    dispatch = agent.take()
    server.restart()
    assert agent.heartbeat([dispatch]) == {"acknowledged": True, "cancelled": [], "lost": []}
    assert agent.succeed(dispatch).status == 200
    assert server.api.task(task_id)["attempt"] == 1


def test_another_agents_task_is_not_found(server, api, held, kind):
    agent, dispatch, task_id = held
    other = PullAgent.register(server, [kind], name=kind + "-other")
    unknown = {**dispatch, "taskId": "01JD0000000000000000000009"}
    foreign, missing = other.succeed(dispatch), other.succeed(unknown)
    assert_problem(foreign, 404)
    assert_problem(missing, 404)
    hide = lambda answer: {k: v for k, v in answer.json.items() if k != "requestId"}
    text = json.dumps(hide(foreign)).replace(task_id, "T")
    assert text == json.dumps(hide(missing)).replace(unknown["taskId"], "T"), "indistinguishable"
    assert other.progress(dispatch, progress=50).status == 404
    assert other.heartbeat([dispatch])["lost"] == [task_id]
    task = api.task(task_id)
    assert task["state"] == "running" and task["agentId"] == agent.id
    assert agent.succeed(dispatch).status == 200


def test_a_queued_task_is_no_agents(server, api, kind):
    agent = PullAgent.register(server, [kind + "-x"])
    task_id = api.submit(kind)
    dispatch = {"taskId": task_id, "attempt": 1, "leaseToken": "guess"}
    assert agent.succeed(dispatch).status == 404
    assert api.task(task_id)["state"] == "queued"


def test_others_id_with_own_secret(server, api, held, kind):
    agent, dispatch, task_id = held
    other = PullAgent.register(server, [kind], name=kind + "-other")
    body = json.dumps(agent.report(dispatch)).encode()
    forged = signing.standard(other.secret, agent.id, body)
    assert agent.callback(raw=body, headers=forged).status == 401
    assert api.task(task_id)["state"] == "running"


def test_agent_id_in_the_body_must_be_the_signers(api, held):
    agent, dispatch, task_id = held
    answer = agent.callback(agent.report(dispatch, agentId="someone-else"))
    assert answer.status == 401, repr(answer)
    assert api.task(task_id)["state"] == "running"


@pytest.mark.parametrize(
    "change",
    [{"leaseToken": "wrong"}, {"attempt": 2}, {"attempt": 0}, {"attempt": 99, "leaseToken": "x"}],
)
def test_not_the_current_attempt(api, held, change):
    agent, dispatch, task_id = held
    answer = agent.callback(agent.report(dispatch, **change))
    if change.get("attempt") == 0 and answer.status == 422:
        pass  # an attempt that cannot be is as well refused as malformed
    else:
        late(answer)
    assert api.task(task_id)["state"] == "running"
    assert agent.succeed(dispatch).status == 200


def test_late_results_are_logged(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    dispatch = agent.take()
    api.cancel(task_id)
    late(agent.succeed(dispatch))
    eventually(lambda: any("late" in entry["message"].lower() for entry in api.logs(task_id)), 3)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b'{"status":"success"}',
        b"\xff\xfe",
        b'{"taskId":5,"status":"success"}',
        b"[" * 2000,
    ],
)
def test_well_signed_wrong_bodies(api, held, body):
    agent, dispatch, task_id = held
    answer = agent.callback(raw=body)
    assert answer.status in (400, 422), repr(answer)
    assert_problem(answer, answer.status)
    assert api.task(task_id)["state"] == "running"


@pytest.mark.parametrize(
    "change",
    [
        {"status": "done"},
        {"status": None},
        {"attempt": "1"},
        {"attempt": 1.5},
        {"attempt": -1},
        {"attempt": 10**30},
        {"error": "x"},
        {"duration": "x"},
        {"error": {"code": "E", "retryAfter": -5}},
        {"error": {"code": "E", "retryAfter": 1e400}},
    ],
)
def test_well_signed_wrong_fields(api, held, change):
    agent, dispatch, task_id = held
    status = "failure" if "error" in change else "success"
    answer = agent.callback(agent.report(dispatch, **{"status": status, **change}))
    assert answer.status in (400, 409, 422), repr(answer)
    assert api.task(task_id)["state"] == "running"
    assert agent.succeed(dispatch).status == 200


def test_duplicate_keys_in_a_callback(api, held):
    agent, dispatch, task_id = held
    body = json.dumps(agent.report(dispatch)).encode()[:-1] + b',"status":"failure"}'
    assert agent.callback(raw=body).status == 400
    assert api.task(task_id)["state"] == "running"


def test_lease_requests_are_not_replayed(server, api, kind):
    agent = PullAgent.register(server, [kind], concurrency=2)
    api.bulk([{"type": kind}] * 2)
    body = b'{"max":1,"waitSeconds":0}'
    headers = agent.signed(body)
    path = f"/api/agents/{agent.id}/lease"
    eventually(lambda: api.tasks(f"type={kind}"))
    first = agent.call(path, raw=body, headers=headers)
    assert first.status == 200
    again = agent.call(path, raw=body, headers=headers)
    assert_problem(again, 409, "replayed")


def test_progress_and_heartbeat_are_idempotent(server, held):
    agent, dispatch, task_id = held
    body = json.dumps({"taskId": task_id, "progress": 7}).encode()
    headers = agent.signed(body)
    for _ in range(2):
        assert agent.call(f"/api/tasks/{task_id}/progress", raw=body, headers=headers).status == 200
    body = b'{"status":"active","running":[]}'
    headers = agent.signed(body)
    for _ in range(2):
        assert (
            agent.call(f"/api/agents/{agent.id}/heartbeat", raw=body, headers=headers).status == 200
        )
