# SPDX-License-Identifier: Apache-2.0
# Agents as entries: rotating their secret, disabling, draining, deleting, joining by themselves.

import json
import threading

import pytest

from harness import signing
from harness.api import assert_problem
from harness.pull_agent import PullAgent
from harness.push_agent import PushAgent, accept, complete
from harness.wait import eventually, holds, pause


def rotate(api, agent, **body):
    return api.good("POST", f"/api/agents/{agent.id}/rotate-secret", body)["secret"]


def beats(agent, secret):
    body = b'{"status":"active","running":[]}'
    headers = signing.standard(secret, agent.id, body)
    return agent.call(f"/api/agents/{agent.id}/heartbeat", raw=body, headers=headers).status


def test_a_secret_has_the_documented_form(server, kind):
    agent = PullAgent.register(server, [kind])
    assert agent.secret.startswith("whsec_") and len(signing.standard_key(agent.secret)) == 32


def test_a_secret_is_shown_once(server, api, kind):
    agent = PullAgent.register(server, [kind])
    for path in ("/api/agents", f"/api/agents/{agent.id}"):
        text = api.get(path).body.decode()
        assert agent.secret not in text and "whsec_" not in text


def test_both_secrets_hold_during_the_grace(server, api, kind):
    agent = PullAgent.register(server, [kind])
    old, new = agent.secret, rotate(api, agent)
    assert new != old and beats(agent, old) == 200 and beats(agent, new) == 200


def test_grace_0_revokes_at_once(server, api, kind):
    agent = PullAgent.register(server, [kind])
    old, new = agent.secret, rotate(api, agent, graceSeconds=0)
    assert beats(agent, old) == 401 and beats(agent, new) == 200


def test_the_grace_ends(server, api, kind):
    agent = PullAgent.register(server, [kind])
    old, new = agent.secret, rotate(api, agent, graceSeconds=1)
    eventually(lambda: beats(agent, old) == 401, 4, every=0.3)
    assert beats(agent, new) == 200


def test_a_third_secret_ends_the_first(server, api, kind):
    agent = PullAgent.register(server, [kind])
    first, second, third = agent.secret, rotate(api, agent), rotate(api, agent)
    assert beats(agent, first) == 401, "two secrets at a time"
    assert beats(agent, second) == 200 and beats(agent, third) == 200


def test_dispatches_verify_with_old_and_new_secret_while_rotating(server, api, kind):
    with PushAgent.register(server, [kind], complete()) as agent:
        old = agent.secret
        new = rotate(api, agent)
        api.wait(api.submit(kind))
        assert agent.dispatches[0].verified, "still with the old secret"
        agent.secret = new
        api.wait(api.submit(kind))
        assert agent.dispatches[1].verified and old != new
        signatures = agent.dispatches[1].header("webhook-signature")[0].split(" ")
        assert 2 <= len(signatures) <= 4


def test_rotations_under_load_reject_nobody(server, api, kind):
    agent = PullAgent.register(server, [kind], concurrency=4)
    with agent.work() as loop:
        for _ in range(20):
            ids = api.bulk([{"type": kind}] * 3).json["taskIds"]
            agent.secret = rotate(api, agent)
            for task_id in ids:
                assert api.wait(task_id)["state"] == "completed"
    assert loop.faults == []


def test_deleting_revokes_at_once_and_puts_tasks_back(server, api, kind):
    agent = PullAgent.register(server, [kind])
    other = PullAgent.register(server, [kind], name=kind + "-2")
    task_id = api.submit(kind)
    dispatch = agent.take()
    assert api.delete(f"/api/agents/{agent.id}").status in (200, 204)
    assert agent.succeed(dispatch).status == 401
    again = other.take()
    assert again["taskId"] == task_id and again["attempt"] == 2
    assert api.task(task_id)["failures"] == 0
    assert_problem(api.get(f"/api/agents/{agent.id}"), 404)


def test_draining_finishes_and_takes_no_more(server, api, kind):
    with PushAgent.register(server, [kind], accept(), concurrency=2) as agent:
        task_id = api.submit(kind)
        dispatch = agent.received()[0]
        api.good("PATCH", f"/api/agents/{agent.id}", {"state": "draining"})
        waiting = api.submit(kind)
        holds(lambda: len(agent.dispatches) == 1, 1)
        assert agent.succeed(dispatch).status == 200
        assert api.task(task_id)["state"] == "completed"
        api.good("PATCH", f"/api/agents/{agent.id}", {"state": "active"})
        agent.received(2)
        assert agent.dispatches[1]["taskId"] == waiting


def test_a_pull_agent_that_says_draining_gets_no_more(server, api, kind):
    """Not even over a poll that was already waiting; saying `active` and asking ends it."""
    agent, got = PullAgent.register(server, [kind]), []
    poll = threading.Thread(
        target=lambda: got.append(PullAgent(server, agent.id, agent.secret).lease(1, 3))
    )
    poll.start()
    pause(0.3)
    agent.heartbeat(status="draining")
    assert api.agent(agent.id)["state"] == "draining"
    task_id = api.submit(kind)
    poll.join(10)
    assert got == [[]] and api.task(task_id)["state"] == "queued"
    agent.heartbeat(status="active")
    assert agent.take()["taskId"] == task_id


def test_an_agent_does_not_undo_an_operators_draining(server, api, kind):
    agent = PullAgent.register(server, [kind])
    api.good("PATCH", f"/api/agents/{agent.id}", {"state": "draining"})
    api.submit(kind)
    agent.heartbeat(status="active")
    assert agent.lease(1, 1) == [] and api.agent(agent.id)["state"] == "draining"


def test_disabled_takes_nothing(server, api, kind):
    with PushAgent.register(server, [kind], accept()) as agent:
        api.good("PATCH", f"/api/agents/{agent.id}", {"state": "disabled"})
        api.submit(kind)
        holds(lambda: not agent.dispatches, 1)
        api.good("PATCH", f"/api/agents/{agent.id}", {"state": "active"})
        agent.received()


def test_patch_of_concurrency_labels_and_capabilities(server, api, kind):
    with PushAgent.register(server, [kind], accept(), concurrency=1) as agent:
        api.bulk([{"type": kind}] * 3)
        agent.received()
        holds(lambda: len(agent.dispatches) == 1, 0.5)
        api.good("PATCH", f"/api/agents/{agent.id}", {"concurrency": 3})
        agent.received(3)
        changed = {"labels": {"a": "b"}, "capabilities": [kind, kind + "-more"]}
        api.good("PATCH", f"/api/agents/{agent.id}", {**changed, "concurrency": 4})
        entry = api.agent(agent.id)
        assert entry["labels"] == {"a": "b"} and set(entry["capabilities"]) == {
            kind,
            kind + "-more",
        }
        api.submit(kind + "-more")
        agent.received(4)


@pytest.mark.parametrize(
    "body,field",
    [
        ({"state": "unhealthy"}, "state"),
        ({"state": "gone"}, "state"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": -1}, "concurrency"),
        ({"labels": {"a": 1}}, "labels"),
        ({"what": 1}, "what"),
        ({"capabilities": ["a b"]}, "capabilities"),
        ({"secret": "x"}, "secret"),
    ],
)
def test_bad_patch(server, api, kind, body, field):
    agent = PullAgent.register(server, [kind])
    before = api.agent(agent.id)
    assert_problem(api.patch(f"/api/agents/{agent.id}", body), 422, path=field)
    assert {k: api.agent(agent.id)[k] for k in ("state", "concurrency", "capabilities")} == {
        k: before[k] for k in ("state", "concurrency", "capabilities")
    }


def test_join_keeps_its_id_and_gives_a_new_secret(server, api, kind):
    joiner = api.with_token(api.token_for("join")["token"])
    body = {"name": "joined-" + kind, "type": "http", "capabilities": [kind]}
    first = joiner.good("POST", "/api/agents/join", body, status=201)
    again = joiner.post("/api/agents/join", {**body, "capabilities": [kind, "more"]})
    assert again.status in (200, 201), repr(again)
    assert again.json["id"] == first["id"] and again.json["secret"] != first["secret"]
    agent = PullAgent(server, first["id"], again.json["secret"])
    task_id = api.submit(kind)
    assert agent.take()["taskId"] == task_id


def test_join_cannot_take_over_an_agent_of_an_operator(server, api, kind):
    agent = PullAgent.register(server, [kind], name="owned-" + kind)
    joiner = api.with_token(api.token_for("join")["token"])
    answer = joiner.post(
        "/api/agents/join", {"name": "owned-" + kind, "type": "http", "capabilities": [kind]}
    )
    if answer.status == 201:
        assert answer.json["id"] != agent.id
    assert beats(agent, agent.secret) == 200


def test_health_url_is_probed_at_registration(server, api, kind):
    with PushAgent.register(server, [kind], complete(), health=True) as agent:
        eventually(lambda: agent.probes, 5, what="a GET of healthUrl")
        assert agent.probes[0].path == "/health"
        eventually(lambda: api.agent(agent.id)["state"] == "active", 5)
        assert api.wait(api.submit(kind))["state"] == "completed"


def test_a_failing_health_url_makes_unhealthy(server, api, kind):
    agent = PushAgent(server, complete())
    agent.healthy = False
    with agent:
        made = api.register(
            kind, [kind], endpoint=agent.url + "/dispatch", healthUrl=agent.url + "/health"
        )
        eventually(lambda: api.agent(made["id"])["state"] == "unhealthy", 8)
        api.submit(kind)
        holds(lambda: not agent.dispatches, 1)


def test_a_silent_pull_agent_becomes_unhealthy_after_three_leases(server, api, kind):
    agent = PullAgent.register(server, [kind], leaseSeconds=1)
    agent.heartbeat()
    assert api.agent(agent.id)["state"] == "active"
    eventually(lambda: api.agent(agent.id)["state"] == "unhealthy", 8, every=0.2)
    agent.heartbeat()
    assert api.agent(agent.id)["state"] == "active"
    assert json.dumps(api.agent(agent.id))
