# SPDX-License-Identifier: Apache-2.0
# The operator's calls: wait, list with filters and cursor, cancel, retry, acknowledge.

import datetime
import threading

import pytest

from harness.api import assert_problem
from harness.pull_agent import PullAgent
from harness.push_agent import PushAgent, accept
from harness.wait import eventually


def failed_task(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    answer = agent.fail(agent.take(), retryable=False)
    assert answer.json["nextAction"] == "escalate"
    return agent, task_id


def test_wait_returns_the_task_as_it_then_is(api, kind):
    answer = api.get(f"/api/tasks/{api.submit(kind)}/wait?timeoutSeconds=1")
    assert answer.status == 200 and answer.json["state"] == "queued"
    assert 900 <= answer.milliseconds < 5000


def test_wait_ends_with_the_task(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    dispatch, got = agent.take(), []
    waiter = threading.Thread(target=lambda: got.append(api.wait(task_id, 20)))
    waiter.start()
    agent.succeed(dispatch)
    waiter.join(5)
    assert got and got[0]["state"] == "completed"


def test_list_pages_in_a_stable_order(api, kind):
    ids = api.bulk([{"type": kind} for _ in range(25)]).json["taskIds"]
    seen, cursor = [], None
    for _ in range(10):
        query = f"/api/tasks?type={kind}&limit=10" + (f"&cursor={cursor}" if cursor else "")
        page = api.good("GET", query)
        assert len(page["tasks"]) <= 10
        seen += [task["id"] for task in page["tasks"]]
        cursor = page.get("nextCursor")
        if not cursor:
            break
    assert sorted(seen) == sorted(ids) and len(set(seen)) == 25
    assert seen in (sorted(seen), sorted(seen, reverse=True))


def test_list_leaves_payload_and_results_out(api, kind):
    api.submit(kind, {"big": "x"})
    task = api.tasks(f"type={kind}")[0]
    assert "payload" not in task and "results" not in task and task["type"] == kind


def test_list_filters(server, api, kind):
    agent = PullAgent.register(server, [kind])
    done = api.submit(kind, labels={"team": "a", "x": "1"})
    agent.succeed(agent.take())
    waiting = api.submit(kind + "-other", labels={"team": kind})
    ids = lambda query: [task["id"] for task in api.tasks(query)]
    assert ids(f"type={kind}&state=completed") == [done]
    assert ids(f"type={kind}&state=queued") == []
    assert ids(f"agent={agent.id}") == [done]
    assert ids(f"label=team:{kind}") == [waiting]
    assert ids(f"type={kind}&label=team:a") == [done]
    assert ids(f"type={kind}&label=team:b") == []
    assert ids(f"type={kind}&needsAttention=true") == []


def test_list_since_and_until(api, kind):
    task_id = api.submit(kind)
    created = datetime.datetime.fromisoformat(api.task(task_id)["createdAt"].replace("Z", "+00:00"))
    stamp = lambda delta: (
        (created + datetime.timedelta(seconds=delta)).strftime("%Y-%m-%dT%H:%M:%S.")
        + f"{created.microsecond // 1000:03d}Z"
    )
    assert len(api.tasks(f"type={kind}&since={stamp(-5)}&until={stamp(5)}")) == 1
    assert api.tasks(f"type={kind}&since={stamp(5)}") == []
    assert api.tasks(f"type={kind}&until={stamp(-5)}") == []


def test_list_survives_hostile_filters(api, kind):
    api.submit(kind)
    for value in (
        "%27%20OR%201=1--",
        "%25",
        "%22",
        "a:b%27;DROP%20TABLE%20tasks",
        "%F0%9F%98%80:x",
    ):
        for name in ("type", "agent", "label", "state", "cursor"):
            answer = api.get(f"/api/tasks?{name}={value}")
            assert answer.status in (200, 400, 422), repr(answer)
            if answer.status == 200:
                assert answer.json["tasks"] == []
    assert len(api.tasks(f"type={kind}")) == 1


def test_cancel_queued(api, kind):
    task_id = api.submit(kind)
    assert api.cancel(task_id).status == 200
    assert api.task(task_id)["state"] == "cancelled"
    assert api.cancel(task_id).status == 200, "again 200"


def test_cancel_running_tells_a_pull_agent(server, api, kind):
    agent = PullAgent.register(server, [kind], concurrency=1)
    task_id, other = api.submit(kind), api.submit(kind)
    dispatch = agent.take()
    assert dispatch["taskId"] == task_id
    assert api.cancel(task_id).status == 200
    assert agent.heartbeat([dispatch])["cancelled"] == [task_id]
    answer = agent.progress(dispatch, progress=1)
    assert answer.status in (200, 409)
    if answer.status == 200:
        assert answer.json["cancelled"] is True
    assert agent.lease(1, 1) == [], "the slot stays taken until the agent reports"
    late = agent.succeed(dispatch)
    assert late.status == 409 and late.json["acknowledged"] is False
    assert late.json["nextAction"] == "none"
    assert agent.take()["taskId"] == other
    assert api.task(task_id)["state"] == "cancelled"


def test_cancel_running_tells_a_push_agent_with_a_signature(server, api, kind):
    with PushAgent.register(server, [kind], accept(), cancel=True) as agent:
        task_id = api.submit(kind)
        dispatch = agent.received()[0]
        assert api.cancel(task_id).status == 200
        eventually(lambda: agent.cancels, what="a cancellation")
        told = agent.cancels[0]
        assert told.verified
        assert told.json == {
            "taskId": task_id,
            "attempt": 1,
            "leaseToken": dispatch["leaseToken"],
            "reason": "cancelled",
        }
        assert agent.succeed(dispatch).status == 409


def test_cancel_of_an_ended_task(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    agent.succeed(agent.take())
    assert_problem(api.cancel(task_id), 409, "task_ended")
    assert api.task(task_id)["state"] == "completed"


def test_retry_of_an_ended_task_makes_a_new_one(server, api, kind):
    agent, task_id = failed_task(server, api, kind)
    answer = api.retry(task_id)
    assert answer.status == 201, repr(answer)
    fresh = answer.json["taskId"]
    assert fresh != task_id and api.task(fresh)["retryOf"] == task_id
    agent.succeed(agent.take())
    assert api.wait(fresh)["state"] == "completed"
    assert api.task(task_id)["state"] == "failed", "an end is final"


def test_retry_of_a_task_in_backoff_runs_it_now(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    assert agent.fail(agent.take()).json["nextAction"] == "retry"
    assert api.task(task_id)["waitingFor"] == "backoff"
    answer = api.retry(task_id)
    assert answer.status == 200, repr(answer)
    again = agent.take(3)
    assert again["taskId"] == task_id and again["attempt"] == 2


@pytest.mark.parametrize("running", [False, True])
def test_retry_of_any_other_is_a_conflict(server, api, kind, running):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    if running:
        agent.take()
    assert_problem(api.retry(task_id), 409)


def test_acknowledge_clears_needs_attention(server, api, kind):
    _, task_id = failed_task(server, api, kind)
    assert api.task(task_id)["needsAttention"] is True
    assert [t["id"] for t in api.tasks(f"type={kind}&needsAttention=true")] == [task_id]
    assert api.post(f"/api/tasks/{task_id}/acknowledge").status == 200
    assert not api.task(task_id)["needsAttention"]
    assert api.tasks(f"type={kind}&needsAttention=true") == []


def test_unknown_task_is_404_on_every_call(api):
    unknown = "01JD0000000000000000000009"
    for method, tail in (
        ("GET", ""),
        ("GET", "/logs"),
        ("GET", "/wait?timeoutSeconds=1"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        ("POST", "/acknowledge"),
    ):
        assert_problem(api.call(method, f"/api/tasks/{unknown}{tail}"), 404)


def test_cancel_against_result_has_one_winner(server, api, kind):
    """Whichever of cancel and result commits first wins, and both sides are told the same."""
    agent = PullAgent.register(server, [kind], concurrency=50)
    ids = api.bulk([{"type": kind}] * 40).json["taskIds"]
    held = []
    eventually(lambda: held.extend(agent.lease(50, 1)) or len(held) == 40)
    for index, dispatch in enumerate(held):
        answers = {}
        result = threading.Thread(target=lambda: answers.update(result=agent.succeed(dispatch)))
        cancel = threading.Thread(
            target=lambda: answers.update(cancel=api.cancel(dispatch["taskId"]))
        )
        order = (result, cancel) if index % 2 else (cancel, result)
        for thread in order:
            thread.start()
        for thread in order:
            thread.join()
        state = api.task(dispatch["taskId"])["state"]
        pair = (answers["result"].status, answers["cancel"].status)
        assert (state, *pair) in (("completed", 200, 409), ("cancelled", 409, 200)), pair
    assert len(ids) == 40


def test_open_routes_need_no_token(server):
    nobody = server.api.with_token(None)
    for path in ("/healthz", "/readyz", "/openapi.json"):
        assert nobody.get(path).status == 200, path
    document = nobody.get("/openapi.json").json
    assert document["openapi"].startswith("3.")


def test_stats_counts_what_was_submitted(new_server):
    server = new_server()
    before = server.api.good("GET", "/api/stats", status=200)
    server.api.bulk([{"type": "counted"}] * 7)
    after = server.api.good("GET", "/api/stats", status=200)
    assert before != after and "7" in str(after)
