# SPDX-License-Identifier: Apache-2.0
# A task's way through push and pull agents to its signed result, with progress and logs.

import re
import threading

import pytest

from harness.pull_agent import PullAgent
from harness.push_agent import PushAgent, accept, complete, sync
from harness.wait import eventually

ULID = re.compile(r"\A[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")
RFC3339 = re.compile(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")


def test_push_to_completed(server, api, kind):
    payload = {"url": "https://example.com/", "n": 1, "é": ["☃", None, 1.5, True]}
    with PushAgent.register(server, [kind], complete({"title": "Café ☃"})) as agent:
        answer = api.post("/api/tasks", {"type": kind, "payload": payload, "priority": 7})
        assert answer.status == 201
        assert answer.json["state"] in ("queued", "running") and ULID.match(answer.json["taskId"])
        task = api.wait(answer.json["taskId"])
        got = agent.received()[0]
    assert not agent.faults
    assert got.verified and got["taskId"] == task["id"] and got["payload"] == payload
    assert got["attempt"] == 1 and got["type"] == kind and got["priority"] == 7
    assert got["timeout"] == 300000 and RFC3339.match(got["deadline"]) and got["leaseToken"]
    assert got["callbackUrl"] == f"{server.url}/api/agent-callback"
    assert got["progressUrl"] == f"{server.url}/api/tasks/{task['id']}/progress"
    assert got.header("x-agent-id") == [agent.id] and len(got.header("webhook-id")) == 1
    assert task["state"] == "completed" and task["results"]["data"] == {"title": "Café ☃"}
    assert task["payload"] == payload and task["agentId"] == agent.id and task["attempt"] == 1
    assert task["failures"] == 0 and not task["partial"] and not task["needsAttention"]
    for name in ("createdAt", "startedAt", "completedAt"):
        assert RFC3339.match(task[name]), name
    assert task["createdAt"] <= task["startedAt"] <= task["completedAt"]


def test_callback_answer(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    answer = agent.succeed(agent.take())
    assert answer.status == 200
    assert answer.json == {
        "acknowledged": True,
        "nextAction": "none",
        "metadata": {"state": "completed", "attempt": 1},
    }
    assert api.task(task_id)["state"] == "completed"


def test_task_as_it_is_returned_has_the_defaults(api, kind):
    task = api.task(api.submit(kind))
    assert task["payload"] == {} and task["requires"] == [] and task["selector"] == {}
    assert task["labels"] == {} and task["priority"] == 5 and task["timeout"] == 300000
    assert task["retry"] == {
        "maxAttempts": 4,
        "backoff": "exponential",
        "base": 5000,
        "factor": 2,
        "cap": 300000,
        "jitter": 0.2,
    }
    assert task["state"] == "queued" and task["attempt"] == 0 and task["failures"] == 0
    assert task["waitingFor"] == "no_agent"


FIELDS = {
    "payload": {"a": [1]},
    "agentType": "browser",
    "requires": ["x"],
    "selector": {"zone": "eu"},
    "labels": {"team": "a"},
    "priority": 8,
    "key": "tenant-1",
    "runAt": "2099-01-01T00:00:00.000Z",
    "deadline": "2099-06-01T00:00:00.000Z",
    "timeout": 1234,
    "retry": {
        "maxAttempts": 1,
        "backoff": "fixed",
        "base": 50,
        "factor": 1,
        "cap": 50,
        "jitter": 0,
    },
}


@pytest.mark.parametrize("way", ["single", "bulk", "ndjson"])
@pytest.mark.parametrize("with_key", [False, True], ids=["without-key", "with-key"])
@pytest.mark.parametrize("fields", [*([name] for name in FIELDS), list(FIELDS)], ids=str)
def test_every_field_is_kept_by_every_way_in(api, kind, way, with_key, fields):
    given = {name: FIELDS[name] for name in fields}
    task = {"type": kind, **given, **({"idempotencyKey": kind} if with_key else {})}
    if way == "single":
        task_id = api.submit(**task)
    else:
        answer = api.bulk([task], ndjson=way == "ndjson")
        assert answer.status == 201, repr(answer)
        task_id = answer.json["taskIds"][0]
    got = api.task(task_id)
    assert {name: got.get(name) for name in given} == given


def test_pull_to_completed(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind, {"a": 1})
    dispatch = agent.take()
    assert dispatch["taskId"] == task_id and dispatch["payload"] == {"a": 1}
    running = api.task(task_id)
    assert running["state"] == "running" and running["agentId"] == agent.id
    assert running["attempt"] == 1 and "startedAt" in running
    assert agent.succeed(dispatch, {"ok": True}).status == 200
    assert api.task(task_id)["results"]["data"] == {"ok": True}


def test_pull_wakes_at_once(server, api, kind):
    """A waiting long poll is answered by a submit, not by its end."""
    agent = PullAgent.register(server, [kind])
    got = []
    poll = threading.Thread(target=lambda: got.append(agent.lease_call(4, 20)))
    poll.start()
    eventually(lambda: api.agent(agent.id)["state"] == "active")
    api.submit(kind)
    poll.join(8)
    assert got and len(got[0].json["dispatches"]) == 1


def test_pull_empty_after_its_wait(server, kind):
    agent = PullAgent.register(server, [kind])
    answer = agent.lease_call(4, 1)
    assert answer.status == 200 and answer.json == {"dispatches": []}
    assert 900 <= answer.milliseconds < 4000


def test_lease_gives_no_more_than_max_and_concurrency(server, api, kind):
    agent = PullAgent.register(server, [kind], concurrency=3)
    assert api.bulk([{"type": kind}] * 6).status == 201
    first = eventually(lambda: agent.lease(2, 1))
    assert len(first) <= 2
    held = first + [d for _ in range(6) for d in agent.lease(2, 0)]
    assert len(held) == 3, "concurrency 3"
    assert agent.succeed(held[0]).status == 200
    assert len(agent.lease(4, 2)) == 1


def test_results_without_known_keys_are_the_data(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    dispatch = agent.take()
    assert agent.callback(agent.report(dispatch, results={"pages": 3})).status == 200
    assert api.task(task_id)["results"]["data"] == {"pages": 3}


def test_attempt_and_lease_token_may_be_left_out(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    agent.take()
    answer = agent.callback({"taskId": task_id, "status": "success", "results": {"data": 1}})
    assert answer.status == 200, repr(answer)
    assert api.task(task_id)["state"] == "completed"


def test_unknown_fields_of_an_agent_are_ignored(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    report = agent.report(agent.take(), data={}, somethingNew={"x": 1})
    assert agent.callback(report).status == 200
    assert api.task(task_id)["state"] == "completed"


@pytest.mark.parametrize("status,partial", [("success", False), ("partial", True)])
def test_sync_answers(server, api, kind, status, partial):
    error = {"code": "HALF", "message": "half of it"} if partial else None
    behave = sync(status, {"n": 1}, error)
    with PushAgent.register(server, [kind], behave, answers="sync"):
        task = api.wait(api.submit(kind))
    assert task["state"] == "completed" and bool(task["partial"]) is partial
    assert task["results"]["data"] == {"n": 1}
    if partial:
        assert task["error"]["code"] == "HALF"


def test_partial_callback_keeps_results_and_error(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    error = {"code": "SOME_PAGES", "message": "2 of 3"}
    answer = agent.callback(agent.report(agent.take(), "partial", data=[1, 2], error=error))
    assert answer.json["nextAction"] == "none"
    task = api.task(task_id)
    assert task["state"] == "completed" and task["partial"] is True
    assert task["results"]["data"] == [1, 2] and task["error"]["code"] == "SOME_PAGES"
    assert not task["needsAttention"]


def test_progress_and_logs(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    dispatch = agent.take()
    line = {
        "timestamp": "2026-01-13T17:00:00.000Z",
        "level": "info",
        "message": "page 1",
        "metadata": {"url": "x"},
    }
    answer = agent.progress(dispatch, progress=40, message="reading", logs=[line])
    assert answer.status == 200, repr(answer)
    assert answer.json["acknowledged"] is True and answer.json["cancelled"] is False
    assert RFC3339.match(answer.json["leaseExpiresAt"])
    task = api.task(task_id)
    assert task["progress"] == 40 and task["message"] == "reading"
    agent.progress(dispatch, logs=[{**line, "level": "warn", "message": "page 2"}])
    assert agent.succeed(dispatch).status == 200
    lines = [entry for entry in api.logs(task_id) if entry["message"].startswith("page")]
    assert [entry["message"] for entry in lines] == ["page 1", "page 2"]
    assert lines[0]["level"] == "info" and lines[0]["metadata"] == {"url": "x"}
    assert lines[0]["timestamp"] == line["timestamp"]


def test_logs_of_a_callback_are_kept(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    line = {"timestamp": "2026-01-13T17:00:00.000Z", "level": "error", "message": "from the end"}
    results = {"data": 1, "artifacts": [], "logs": [line], "metrics": {"pages": 2}}
    assert agent.callback(agent.report(agent.take(), results=results)).status == 200
    assert "from the end" in [entry["message"] for entry in api.logs(task_id)]
    assert api.task(task_id)["results"]["metrics"] == {"pages": 2}


@pytest.mark.parametrize("bad", [-1, 101, "40"])
def test_progress_outside_0_to_100_is_refused(server, api, kind, bad):
    agent = PullAgent.register(server, [kind])
    api.submit(kind)
    dispatch = agent.take()
    assert agent.progress(dispatch, progress=bad).status in (400, 422)
    assert agent.progress(dispatch, progress=10).status == 200


def test_more_than_100_log_lines_a_report_are_refused(server, api, kind):
    agent = PullAgent.register(server, [kind])
    api.submit(kind)
    dispatch = agent.take()
    line = {"timestamp": "2026-01-13T17:00:00.000Z", "level": "info", "message": "x"}
    assert agent.progress(dispatch, logs=[line] * 101).status in (413, 422)
    assert agent.progress(dispatch, logs=[line] * 100).status == 200


def test_stale_progress_gets_409(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    dispatch = agent.take()
    assert agent.progress({**dispatch, "leaseToken": "wrong"}, progress=1).status == 409
    assert agent.succeed(dispatch).status == 200
    assert agent.progress(dispatch, progress=90).status == 409
    assert api.task(task_id).get("progress") != 90


def test_push_progress_and_completion_over_its_urls(server, api, kind):
    with PushAgent.register(server, [kind], accept()) as agent:
        task_id = api.submit(kind)
        dispatch = agent.received()[0].json
        path = dispatch["progressUrl"].removeprefix(server.url)
        assert agent.call(path, {"taskId": task_id, "progress": 5}).status == 200
        assert api.task(task_id)["progress"] == 5
        path = dispatch["callbackUrl"].removeprefix(server.url)
        assert agent.call(path, agent.report(dispatch)).status == 200
        assert api.wait(task_id)["state"] == "completed"
