# SPDX-License-Identifier: Apache-2.0
# Limits and fairness per type and key: concurrency, rates, pause, shares of keys and types.

import time

from harness.pull_agent import PullAgent
from harness.push_agent import PushAgent, accept, complete
from harness.wait import eventually, holds


def limit(api, kind, **settings):
    return api.good("PATCH", f"/api/types/{kind}", settings, status=200)


def hoard(agent, seconds=1.5, most=100):
    """All dispatches that an agent gets within a time, none answered."""
    got, end = [], time.monotonic() + seconds
    while time.monotonic() < end and len(got) < most:
        got += agent.lease(most, 1)
    return got


def test_types_have_no_limits_by_default(api, kind):
    settings = api.good("GET", f"/api/types/{kind}", status=200)
    assert settings["paused"] is False and settings.get("concurrency") is None
    assert settings.get("ratePerSecond") is None


def test_settings_are_kept_and_lifted(api, kind):
    limit(
        api, kind, concurrency=3, ratePerSecond=7.5, perKey={"concurrency": 2, "ratePerSecond": 1}
    )
    settings = api.good("GET", f"/api/types/{kind}")
    assert settings["concurrency"] == 3 and settings["ratePerSecond"] == 7.5
    assert settings["perKey"] == {"concurrency": 2, "ratePerSecond": 1}
    limit(api, kind, concurrency=None)
    settings = api.good("GET", f"/api/types/{kind}")
    assert settings.get("concurrency") is None and settings["ratePerSecond"] == 7.5
    assert kind in [one["type"] for one in api.good("GET", "/api/types")["types"]]


def test_concurrency_of_a_type_over_all_agents(server, api, kind):
    limit(api, kind, concurrency=3)
    agents = [
        PullAgent.register(server, [kind], name=f"{kind}-{n}", concurrency=10) for n in range(2)
    ]
    api.bulk([{"type": kind}] * 10)
    got = hoard(agents[0], 1) + hoard(agents[1], 1)
    assert len(got) == 3
    owner = next(agent for agent in agents if api.task(got[0]["taskId"])["agentId"] == agent.id)
    assert owner.succeed(got[0]).status == 200
    assert len(hoard(agents[0], 1)) == 1


def test_concurrency_is_never_exceeded_for_a_moment(server, api, kind):
    limit(api, kind, concurrency=2)
    seen = []

    def behave(agent, dispatch):
        seen.append(len(api.with_token(api.token).tasks(f"type={kind}&state=running")))
        return complete()(agent, dispatch)

    with PushAgent.register(server, [kind], behave, concurrency=20):
        ids = api.bulk([{"type": kind}] * 30).json["taskIds"]
        for task_id in ids:
            api.wait(task_id, 20)
    assert max(seen) <= 2 and len(seen) == 30


def test_lowering_the_limit_takes_effect_and_raising_wakes(server, api, kind):
    agent = PullAgent.register(server, [kind], concurrency=10)
    limit(api, kind, concurrency=1)
    api.bulk([{"type": kind}] * 6)
    assert len(hoard(agent, 1)) == 1
    limit(api, kind, concurrency=4)
    assert len(hoard(agent, 2, most=3)) == 3


def test_rate_of_a_type(server, api, kind):
    """10 a second: 25 tasks take at least 1.4 s and not much longer than 2.5 s."""
    limit(api, kind, ratePerSecond=10)
    with PushAgent.register(server, [kind], complete(), concurrency=50) as agent:
        ids = api.bulk([{"type": kind}] * 25).json["taskIds"]
        for task_id in ids:
            assert api.wait(task_id, 20)["state"] == "completed"
        times = sorted(got.at for got in agent.dispatches)
    spread = times[-1] - times[0]
    assert 1.4 <= spread < 4.5, spread
    worst = max(sum(1 for t in times if start <= t < start + 1) for start in times)
    assert worst <= 21, f"{worst} within a second"


def test_concurrency_per_key(server, api, kind):
    limit(api, kind, perKey={"concurrency": 1})
    agent = PullAgent.register(server, [kind], concurrency=20)
    for key in ("a", "b", None):
        api.bulk([{"type": kind, **({"key": key} if key else {})}] * 3)
    got = hoard(agent, 1.5)
    keys = [api.task(d["taskId"]).get("key") for d in got]
    assert sorted(key or "" for key in keys) == ["", "", "", "a", "b"]


def test_rate_per_key(server, api, kind):
    limit(api, kind, perKey={"ratePerSecond": 2})
    with PushAgent.register(server, [kind], complete(), concurrency=50) as agent:
        slow = api.bulk([{"type": kind, "key": "slow"}] * 6).json["taskIds"]
        other = api.submit(kind, key="other")
        assert api.wait(other, 3)["state"] == "completed"
        for task_id in slow:
            api.wait(task_id, 15)
        times = [got.at for got in agent.dispatches if got["taskId"] in slow]
    assert 1.5 <= max(times) - min(times) < 6


def test_two_keys_of_one_type_share_fairly(server, api, kind):
    """A backlog of one key does not starve another."""
    api.bulk([{"type": kind, "key": "big"}] * 300)
    api.bulk([{"type": kind, "key": "small"}] * 20)
    agent = PullAgent.register(server, [kind], concurrency=1)
    first = []
    for _ in range(40):
        dispatch = agent.take()
        first.append(api.task(dispatch["taskId"])["key"])
        agent.succeed(dispatch)
    assert first.count("small") >= 15, f"small got {first.count('small')} of the first 40"


def test_two_types_share_an_agent(server, api, kind):
    one, two = kind + "-1", kind + "-2"
    api.bulk([{"type": one}] * 300)
    api.bulk([{"type": two}] * 20)
    agent = PullAgent.register(server, [one, two], concurrency=1)
    first = []
    for _ in range(30):
        dispatch = agent.take()
        first.append(dispatch["type"])
        agent.succeed(dispatch)
    assert first == [one] * 30 or first.count(two) >= 8, "oldest first or fair, nothing between"


def test_priority_wins_over_fairness_within_a_key(server, api, kind):
    low = [api.submit(kind, key="k", priority=1) for _ in range(3)]
    high = api.submit(kind, key="k", priority=9)
    agent = PullAgent.register(server, [kind], concurrency=1)
    assert agent.take()["taskId"] == high and low


def test_pause_lets_running_tasks_finish(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id, waiting = api.submit(kind), api.submit(kind)
    dispatch = agent.lease(1, 2)[0]
    limit(api, kind, paused=True)
    assert agent.succeed(dispatch).status == 200 and api.task(task_id)["state"] == "completed"
    assert agent.lease(1, 1) == []
    assert api.task(waiting)["waitingFor"] == "type_paused"
    limit(api, kind, paused=False)
    assert agent.take()["taskId"] == waiting


def test_pausing_one_type_leaves_others(server, api, kind):
    limit(api, kind, paused=True)
    agent = PullAgent.register(server, [kind, kind + "-2"])
    api.submit(kind, priority=9)
    other = api.submit(kind + "-2", priority=0)
    assert agent.take()["taskId"] == other


def test_pause_and_limits_survive_a_restart(new_server):
    server = new_server()
    limit(server.api, "a", paused=True)
    limit(server.api, "b", concurrency=1)
    agent = PullAgent.register(server, ["a", "b"], concurrency=10)
    server.api.bulk([{"type": "a"}] * 2 + [{"type": "b"}] * 3)
    assert len(hoard(agent, 1)) == 1
    server.restart()
    assert server.api.good("GET", "/api/types/a")["paused"] is True
    assert hoard(agent, 1) == [], "the running one still counts"


def test_concurrency_counts_what_runs_over_a_restart(new_server):
    server = new_server()
    with PushAgent.register(server, ["a"], accept(), concurrency=2) as agent:
        server.api.bulk([{"type": "a"}] * 5)
        agent.received(2)
        server.restart()

        # The crash may have come before the server knew that they were delivered: it may hand
        # the same attempts over once more (at least once), and no others.
        def attempts():
            return {(dispatch["taskId"], dispatch["attempt"]) for dispatch in agent.dispatches}

        holds(lambda: len(attempts()) == 2, 1)
        assert agent.succeed(agent.dispatches[0]).status == 200
        eventually(lambda: len(attempts()) == 3, 5)


def test_slots_of_cancelled_work_stay_taken_until_reported(server, api, kind):
    with PushAgent.register(server, [kind], accept(), concurrency=1, cancel=True) as agent:
        first, second = api.submit(kind), api.submit(kind)
        dispatch = agent.received()[0]
        api.cancel(first)
        holds(lambda: len(agent.dispatches) == 1, 1)
        assert agent.succeed(dispatch).status == 409
        agent.received(2)
        assert agent.dispatches[1]["taskId"] == second


def test_drain_shows_progress(server, api, kind):
    agent = PullAgent.register(server, [kind], concurrency=4)
    api.bulk([{"type": kind}] * 2)
    held = hoard(agent, 1, most=2)
    api.good("PATCH", f"/api/agents/{agent.id}", {"state": "draining"})
    assert api.agent(agent.id)["running"] == 2
    for dispatch in held:
        agent.succeed(dispatch)
    eventually(lambda: api.agent(agent.id)["running"] == 0, 3)
