# SPDX-License-Identifier: Apache-2.0
# Which task goes to which agent, in which order, and what a queued task says it waits for.

import datetime

import pytest

from harness.pull_agent import PullAgent
from harness.push_agent import PushAgent, accept, answer
from harness.wait import eventually, holds


def waiting_for(api, task_id, reason, timeout=5):
    eventually(lambda: api.task(task_id).get("waitingFor") == reason, timeout, what=reason)


def stamp(seconds):
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"


def drain(agent, count):
    got = []
    while len(got) < count:
        dispatch = agent.take()
        got.append(dispatch["taskId"])
        assert agent.succeed(dispatch).status == 200
    return got


def test_higher_priority_first_then_older(server, api, kind):
    order = [2, 9, 5, 0, 7, 5, 9]
    ids = [(priority, api.submit(kind, priority=priority)) for priority in order]
    agent = PullAgent.register(server, [kind], concurrency=1)
    expected = [task for _, task in sorted(ids, key=lambda pair: -pair[0])]
    assert drain(agent, len(ids)) == expected


@pytest.mark.parametrize("name,number", [("critical", 9), ("high", 7), ("medium", 5), ("low", 2)])
def test_priority_names(api, kind, name, number):
    assert api.task(api.submit(kind, priority=name))["priority"] == number


def test_bulk_keeps_its_order(server, api, kind):
    ids = api.bulk([{"type": kind} for _ in range(20)]).json["taskIds"]
    assert drain(PullAgent.register(server, [kind], concurrency=1), 20) == ids


def test_type_must_be_a_capability(server, api, kind):
    agent = PullAgent.register(server, [kind + "-other"])
    task_id = api.submit(kind)
    assert agent.lease(1, 1) == []
    waiting_for(api, task_id, "no_agent")


def test_requires_must_all_be_capabilities(server, api, kind):
    weak = PullAgent.register(server, [kind, "gpu"], name=kind + "-weak")
    task_id = api.submit(kind, requires=["gpu", "chrome"])
    assert weak.lease(1, 1) == []
    waiting_for(api, task_id, "no_agent")
    strong = PullAgent.register(server, [kind, "chrome", "gpu"], name=kind + "-strong")
    assert strong.take()["taskId"] == task_id


def test_selector_must_be_in_the_labels(server, api, kind):
    wrong = PullAgent.register(
        server, [kind], name=kind + "-w", labels={"zone": "eu", "disk": "hdd"}
    )
    task_id = api.submit(kind, selector={"zone": "eu", "disk": "ssd"})
    assert wrong.lease(1, 1) == []
    right = PullAgent.register(
        server, [kind], name=kind + "-r", labels={"zone": "eu", "disk": "ssd", "more": "x"}
    )
    assert right.take()["taskId"] == task_id


def test_labels_of_a_task_do_not_select(server, api, kind):
    agent = PullAgent.register(server, [kind], labels={})
    task_id = api.submit(kind, labels={"zone": "us"})
    assert agent.take()["taskId"] == task_id


def test_agent_type_must_be_equal(server, api, kind):
    wrong = PullAgent.register(server, [kind], name=kind + "-h", type="http")
    task_id = api.submit(kind, agentType="browser")
    assert wrong.lease(1, 1) == []
    waiting_for(api, task_id, "no_agent")


def test_most_free_slots_first(server, api, kind):
    small = PushAgent.register(server, [kind], accept(), name=kind + "-s", concurrency=1)
    large = PushAgent.register(server, [kind], accept(), name=kind + "-l", concurrency=5)
    with small, large:
        for count in range(1, 4):
            api.submit(kind)
            large.received(count)
        assert small.dispatches == []


def test_an_agent_never_gets_more_than_its_concurrency(server, api, kind):
    with PushAgent.register(server, [kind], accept(), concurrency=2) as agent:
        ids = api.bulk([{"type": kind}] * 5).json["taskIds"]
        first = agent.received(2)
        holds(lambda: len(agent.dispatches) == 2, 1)
        waiting_for(api, ids[4], "agents_busy")
        assert agent.succeed(first[0]).status == 200
        agent.received(3)
        holds(lambda: len(agent.dispatches) == 3, 0.5)


def test_waiting_for_scheduled(api, kind):
    task = api.task(api.submit(kind, runAt=stamp(3600)))
    assert task["state"] == "queued" and task["waitingFor"] == "scheduled"


def test_waiting_for_type_paused(server, api, kind):
    agent = PullAgent.register(server, [kind])
    api.good("PATCH", f"/api/types/{kind}", {"paused": True})
    task_id = api.submit(kind)
    waiting_for(api, task_id, "type_paused")
    assert agent.lease(1, 1) == []
    api.good("PATCH", f"/api/types/{kind}", {"paused": False})
    assert agent.take()["taskId"] == task_id


def test_waiting_for_rate_limited(server, api, kind):
    agent = PullAgent.register(server, [kind])
    api.good("PATCH", f"/api/types/{kind}", {"ratePerSecond": 0.2})
    ids = [api.submit(kind) for _ in range(3)]
    agent.take()
    waiting_for(api, ids[-1], "rate_limited")


def test_waiting_for_key_limited(server, api, kind):
    agent = PullAgent.register(server, [kind])
    api.good("PATCH", f"/api/types/{kind}", {"perKey": {"concurrency": 1}})
    first, second, other = (api.submit(kind, key=key) for key in ("a", "a", "b"))
    got = {agent.take()["taskId"], agent.take()["taskId"]}
    assert got == {first, other}
    waiting_for(api, second, "key_limited")


def test_waiting_for_backoff(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    agent.fail(agent.take())
    task = api.task(task_id)
    assert task["state"] == "queued" and task["waitingFor"] == "backoff" and task["failures"] == 1


def test_waiting_for_agents_unhealthy(server, api, kind):
    with PushAgent.register(server, [kind], answer(404)) as agent:
        task_id = api.submit(kind)
        agent.received()
        eventually(lambda: api.agent(agent.id)["state"] == "unhealthy", what="unhealthy")
        waiting_for(api, task_id, "agents_unhealthy")


def test_running_and_ended_tasks_wait_for_nothing(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    dispatch = agent.take()
    assert not api.task(task_id).get("waitingFor")
    agent.succeed(dispatch)
    assert not api.task(task_id).get("waitingFor")
