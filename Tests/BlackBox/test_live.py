# SPDX-License-Identifier: Apache-2.0
# /ws: signing in, topics, resuming, rights while open.

import contextlib

import pytest
from harness.api import assert_problem
from harness.live import Watcher
from harness.pull_agent import PullAgent
from harness.wait import eventually
from websockets.exceptions import ConnectionClosed, InvalidStatus


def of_task(task_id):
    return lambda event: event["k"] == "task" and event["id"] == task_id


def run_task(server, api, kind, **fields):
    agent = PullAgent.register(server, [kind])
    task = api.submit(kind, **fields)
    agent.succeed(agent.take())
    return task


# Signing in


def test_a_token_in_the_request_signs_in(server):
    with Watcher.open(server) as watcher:
        hello = watcher.next()
        assert hello["t"] == "hello" and hello["protocol"] == 1
        assert hello["session"] and isinstance(hello["seq"], int) and hello["cursor"]


@pytest.mark.parametrize("name", ["type", "t"])
def test_or_the_first_message_does(server, name):
    with Watcher.open(server, sign_in=False) as watcher:
        watcher.send(**{name: "auth", "token": server.admin})
        assert watcher.next()["t"] == "hello"


def test_who_does_not_sign_in_is_shown_out(server):
    with Watcher.open(server, sign_in=False) as watcher:
        watcher.send(type="sub", topics=["tasks"])
        assert watcher.next()["code"] == "unauthorized"
        assert watcher.closed() == 1008


def test_a_wrong_token_is_refused_in_both_ways(server):
    with pytest.raises(InvalidStatus) as refused, Watcher.open(server, token="orr_no"):
        pass
    assert refused.value.response.status_code == 401
    with Watcher.open(server, sign_in=False) as watcher:
        watcher.send(type="auth", token="orr_no")
        error = watcher.next()
        assert error["t"] == "error" and error["code"] == "unauthorized"
        assert watcher.closed() == 1008


def test_a_token_that_may_not_watch(server, api):
    token = api.good("POST", "/api/tokens", {"name": "j", "role": "join"})["token"]
    with pytest.raises(InvalidStatus) as refused, Watcher.open(server, token=token):
        pass
    assert refused.value.response.status_code == 403


def test_never_in_the_query(server):
    path = f"/ws?token={server.admin}"
    with pytest.raises(InvalidStatus) as refused, Watcher.open(server, sign_in=False, path=path):
        pass
    assert refused.value.response.status_code == 400


def test_a_token_that_is_removed_closes_its_sockets(server, api):
    made = api.good("POST", "/api/tokens", {"name": "gone", "role": "viewer"})
    with Watcher.open(server, token=made["token"]) as watcher, Watcher.open(server) as other:
        watcher.hello()
        watcher.subscribe("tasks")
        api.good("DELETE", f"/api/tokens/{made['id']}")
        assert watcher.closed() == 1008
        other.hello()
        other.send(type="ping")
        assert other.expect("pong")


def test_plain_requests_are_told_to_upgrade(api):
    answer = api.get("/ws")
    assert_problem(answer, 426, "upgrade_required")
    assert answer.headers["sec-websocket-version"] == "13"


# Topics


def test_one_task_from_queue_to_end(server, api, kind):
    agent = PullAgent.register(server, [kind])
    with Watcher.open(server) as watcher:
        watcher.hello()
        task = api.submit(kind)
        answer = watcher.subscribe(f"task:{task}")
        assert answer["topics"] == [f"task:{task}"]
        dispatch = agent.take()
        agent.progress(dispatch, progress=40, message="half")
        agent.succeed(dispatch)
        end = watcher.task(task, "completed")
        assert end["d"]["status"] == "success" and end["d"]["attempt"] == 1
        half = [e for e in watcher.events if e["d"].get("progress") == 40]
        assert half[0]["d"]["message"] == "half" and half[0]["d"]["agentId"] == agent.id
        numbers = [event["v"] for event in watcher.events]
        assert numbers == sorted(numbers)


def test_what_is_true_now_comes_first(server, api, kind):
    task = run_task(server, api, kind)
    with Watcher.open(server) as watcher:
        watcher.subscribe("overview", "agents", f"task:{task}")
        assert watcher.task(task, "completed")["d"]["status"] == "success"
        overview = watcher.until(lambda event: event["k"] == "overview")
        assert overview["d"]["tasks"]["completed"] >= 1
        watcher.until(lambda event: event["k"] == "agent" and event["d"]["state"] == "active")


def test_counters_and_agents_follow(server, api, kind):
    with Watcher.open(server) as watcher:
        watcher.subscribe("overview", "agents")
        first = watcher.until(lambda event: event["k"] == "overview")["d"]["tasks"]["completed"]
        agent = PullAgent.register(server, [kind])
        watcher.until(lambda event: event["k"] == "agent" and event["id"] == agent.id)
        api.submit(kind)
        agent.succeed(agent.take())
        watcher.until(
            lambda event: event["k"] == "overview" and event["d"]["tasks"]["completed"] > first)
        api.good("DELETE", f"/api/agents/{agent.id}")
        watcher.until(lambda event: event["id"] == agent.id and event["d"].get("removed"))


def test_filters(server, api, kind):
    other = kind + "-other"
    with Watcher.open(server) as watcher:
        watcher.subscribe(f"tasks?type={kind}&state=queued&state=completed&label=team:a%20b")
        wrong = run_task(server, api, other, labels={"team": "a b"})
        unlabelled = run_task(server, api, kind, labels={"team": "c"})
        right = run_task(server, api, kind, labels={"team": "a b", "more": "x"})
        watcher.task(right, "completed")
        assert watcher.states(right) == ["queued", "completed"]
        assert not watcher.states(wrong) and not watcher.states(unlabelled)


def test_a_filter_by_labels_knows_tasks_that_were_there_before(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task = api.submit(kind, labels={"team": "x"})
    hidden = api.submit(kind, labels={"team": "y"})
    with Watcher.open(server) as watcher:
        watcher.subscribe("tasks?label=team:x")
        for _ in range(2):
            agent.succeed(agent.take())
        watcher.task(task, "completed")
        assert watcher.states(task) == ["running", "completed"]
        assert not watcher.states(hidden)


def test_log_lines_of_one_task(server, api, kind):
    agent = PullAgent.register(server, [kind])
    with Watcher.open(server) as watcher:
        task = api.submit(kind)
        watcher.subscribe(f"logs:{task}")
        dispatch = agent.take()
        line = {"timestamp": "2026-01-13T17:00:00.000Z", "level": "info", "message": "hello"}
        agent.progress(dispatch, logs=[line])
        event = watcher.until(lambda event: event["k"] == "log")
        assert event["id"] == task and event["d"] == line
        agent.succeed(dispatch)


@pytest.mark.parametrize("short, long", [("sub", "unsub"), ("subscribe", "unsubscribe")])
def test_leaving_a_topic(server, api, kind, short, long):
    with Watcher.open(server) as watcher:
        watcher.send(type=short, topics=["tasks", "agents"])
        assert watcher.expect("subscribed")["topics"] == ["agents", "tasks"]
        watcher.send(type=long, topics=["tasks"])
        assert watcher.expect("subscribed")["topics"] == ["agents"]
        task = run_task(server, api, kind)
        watcher.subscribe(f"task:{task}")
        watcher.task(task, "completed")
        assert watcher.states(task) == ["completed"]


@pytest.mark.parametrize(
    "message, code",
    [
        ({"type": "sub", "topics": ["nothing"]}, "invalid_field"),
        ({"type": "sub", "topics": ["task:1"]}, "invalid_id"),
        ({"type": "sub", "topics": ["tasks?state=never"]}, "invalid_query"),
        ({"type": "sub", "topics": ["tasks?colour=red"]}, "invalid_query"),
        ({"type": "sub", "topics": ["overview?x=1"]}, "invalid_field"),
        ({"type": "sub", "topics": "tasks"}, "invalid_field"),
        ({"type": "sub"}, "missing_field"),
        ({"type": "sub", "topics": ["task:00000000000000000000000000"]}, "not_found"),
        ({"type": "sub", "topics": [f"task:{n:026d}" for n in range(65)]}, "invalid_field"),
        ({"type": "dance"}, "invalid_field"),
        ({"type": "auth", "token": "orr_x"}, "conflict"),
        ({}, "missing_field"),
        ([], "invalid_field"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_said_and_the_socket_stays(server, message, code):
    import json

    with Watcher.open(server) as watcher:
        watcher.hello()
        watcher.socket.send(json.dumps(message))
        assert watcher.expect("error")["code"] == code
        watcher.send(type="ping")
        assert watcher.expect("pong")


@pytest.mark.parametrize("text", ["", "{", '{"a":1,"a":2}', "[" * 100, "nul\u0000"])
def test_bad_json_is_said(server, text):
    with Watcher.open(server) as watcher:
        watcher.hello()
        watcher.socket.send(text)
        assert watcher.expect("error")["code"] == "invalid_json"


def test_binary_is_not_for_us(server):
    with Watcher.open(server) as watcher:
        watcher.hello()
        watcher.socket.send(b"{}")
        assert watcher.expect("error")["code"] == "invalid_request"


# Resuming


def test_what_was_missed_comes_again(server, api, kind):
    with Watcher.open(server) as watcher:
        cursor = watcher.hello()["cursor"]
    task = run_task(server, api, kind)
    with Watcher.open(server) as watcher:
        watcher.hello()
        watcher.subscribe(f"tasks?type={kind}", since=cursor)
        watcher.task(task, "completed")
        assert watcher.states(task) == ["queued", "running", "completed"]
        last = watcher.cursor
        assert int(last) >= watcher.events[-1]["v"]
    with Watcher.open(server) as watcher:
        watcher.subscribe(f"tasks?type={kind}", since=last)
        again = run_task(server, api, kind)
        watcher.task(again, "completed")
        assert not watcher.states(task), "events came twice"


def test_resuming_goes_on_without_a_gap(server, api, kind):
    """Events go on while a client leaves and comes back; it sees each of them once."""
    agent = PullAgent.register(server, [kind], concurrency=50)
    ends, cursor = {}, None
    with agent.work():
        tasks = [api.submit(kind) for _ in range(20)]
        with Watcher.open(server) as watcher:
            cursor = watcher.hello()["cursor"]
        for _ in range(10):
            tasks += [api.submit(kind) for _ in range(10)]
            with Watcher.open(server) as watcher:
                watcher.subscribe(f"tasks?type={kind}&state=completed", since=cursor)
                watcher.next()
                cursor = watcher.cursor
                for event in watcher.events:
                    ends[event["id"]] = ends.get(event["id"], 0) + 1
        with Watcher.open(server) as watcher:
            watcher.subscribe(f"tasks?type={kind}&state=completed", since=cursor)
            late = set(tasks[20:])

            def counted():
                found = dict(ends)
                for event in watcher.events:
                    found[event["id"]] = found.get(event["id"], 0) + 1
                return found

            while not late <= set(counted()):
                watcher.next()
            assert set(counted().values()) == {1}


@pytest.mark.parametrize("since", ["1", "nonsense", "99999999999999999999", "99999999999999", 5])
def test_too_long_ago(server, since):
    with Watcher.open(server) as watcher:
        watcher.hello()
        watcher.send(type="sub", topics=["tasks"], since=since)
        assert watcher.expect("resync")["cursor"]


def test_a_restart_is_noticed(new_server, kind):
    from harness.api import Api

    server = new_server()
    with Watcher.open(server) as watcher:
        cursor = watcher.hello()["cursor"]
    server.restart()
    with Watcher.open(server) as watcher:
        hello = watcher.hello()
        assert int(hello["cursor"]) > int(cursor)
        watcher.send(type="sub", topics=["tasks"], since=cursor)
        watcher.expect("resync")
        task = Api(server, server.admin).submit(kind)
        watcher.task(task, "queued")


def test_a_server_that_stops_says_goodbye(new_server):
    server = new_server()
    with Watcher.open(server) as watcher:
        watcher.hello()
        watcher.subscribe("tasks")
        server.terminate()
        assert watcher.closed() == 1001


# Others


def test_pages_of_other_origins_are_refused(server):
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
        with pytest.raises(InvalidStatus) as refused:
            with Watcher.open(server, headers={"Origin": origin}):
                pass
        assert refused.value.response.status_code == 403
    with Watcher.open(server, headers={"Origin": f"http://127.0.0.1:{server.port}"}) as watcher:
        watcher.hello()


def test_open_sockets_are_counted(server, api):
    def sockets():
        lines = api.get("/metrics").body.decode().splitlines()
        return sum(float(x.split()[-1]) for x in lines if x.startswith("websocket_connections"))

    before = sockets()
    with Watcher.open(server) as one, Watcher.open(server) as two:
        one.hello()
        two.hello()
        assert sockets() == before + 2
    eventually(lambda: sockets() == before, what="both are gone")


def test_too_many_messages(server):
    with Watcher.open(server) as watcher:
        watcher.hello()
        with contextlib.suppress(ConnectionClosed):  # it may be closed before all is said
            for _ in range(200):
                watcher.send(type="ping")
        assert watcher.closed() == 1008


def test_a_message_that_is_too_large(server):
    with Watcher.open(server) as watcher:
        watcher.hello()
        watcher.socket.send("x" * (70 << 10))
        assert watcher.closed() == 1009
