# SPDX-License-Identifier: Apache-2.0
# The rules of Socket.IO 5 at /socket.io/, and the events of real tasks, packet by packet.

import contextlib
import json

import pytest
from websockets.exceptions import ConnectionClosed

from harness.engineio import Line, Poller
from harness.pull_agent import PullAgent

SIGN_IN = {"ORRERY_LIMITS_SIGN_IN_TIME": "1500"}
REFUSED = '44{"message":"Not authorized"}'


@pytest.fixture(scope="module")
def hasty(make_server):
    """Gives little time to sign in."""
    return make_server(env=SIGN_IN)


@pytest.fixture
def line(server):
    with Line.open(server) as line:
        yield line


# Connecting


def test_a_token_connects(server, line):
    answer = line.connect(server.admin)
    assert set(answer) == {"sid", "pid"}
    assert len({answer["sid"], answer["pid"], line.handshake["sid"]}) == 3


def test_a_viewer_is_enough(server, api, line):
    line.connect(api.token_for("viewer")["token"])


def test_the_request_may_bring_the_token(server):
    with Line.open(server, headers={"Authorization": f"Bearer {server.admin}"}) as line:
        line.say("40")
        assert line.next().startswith("40{")
    poller = Poller(server, token=server.admin)
    assert poller.connect().startswith("40{")


@pytest.mark.parametrize(
    "packet", ["40", "40{}", '40{"token":"orr_0"}', '40{"token":1}', '40{"token":null}']
)
def test_without_a_token_nobody_connects(line, packet):
    line.say(packet)
    assert line.next() == REFUSED


def test_a_token_to_join_is_none_to_watch(api, line):
    line.say("40" + json.dumps({"token": api.token_for("join")["token"]}))
    assert line.next() == REFUSED


def test_after_a_refusal_another_try(server, line):
    line.say("40")
    assert line.next() == REFUSED
    line.connect(server.admin)


@pytest.mark.parametrize(
    ("packet", "answer"),
    [
        ("40/admin", '44/admin,{"message":"Invalid namespace"}'),
        ("40/admin,", '44/admin,{"message":"Invalid namespace"}'),
        ('40/a/b,{"token":"x"}', '44/a/b,{"message":"Invalid namespace"}'),
        ("40/x?y=z,", '44/x,{"message":"Invalid namespace"}'),
    ],
)
def test_there_is_one_namespace(server, line, packet, answer):
    line.say(packet)
    assert line.next() == answer
    line.connect(server.admin)


def test_who_does_not_connect_is_closed(hasty):
    with Line.open(hasty) as line:
        assert line.closed() == 1008
    poller = Poller(hasty)
    assert poller.packets() == ["1"] and poller.is_gone()


def test_who_is_refused_is_closed(hasty):
    with Line.open(hasty) as line:
        line.say("40")
        assert line.next() == REFUSED
        assert line.closed() == 1008


def test_connecting_twice_is_an_error(server, line):
    line.connect(server.admin)
    line.say("40" + json.dumps({"token": server.admin}))
    assert line.closed() == 1008


def test_a_removed_token_ends_it(server, api, line):
    made = api.token_for("viewer")
    line.connect(made["token"])
    assert api.delete(f"/api/tokens/{made['id']}").status == 204
    assert line.expect("41") == "41"
    assert line.closed() == 1008


# Disconnecting


def test_disconnecting_leaves_the_line_open(server, line):
    line.connect(server.admin)
    line.say("41")
    line.connect(server.admin)


def test_leaving_a_namespace_nobody_is_in_does_nothing(server, line):
    line.connect(server.admin)
    line.say("41/custom", "41/custom,")
    assert line.ask(1, "unsubscribe")["ok"] is True


def test_who_disconnects_and_stays_is_closed(hasty):
    with Line.open(hasty) as line:
        line.connect(hasty.admin)
        line.say("41")
        assert line.closed() == 1008


# Packets


@pytest.mark.parametrize(
    "packet",
    [
        "4", "4abc", "47", "42", "42{}", "42[]", "42[1]", "42[null]", '42"a"', '42["a"', "42[}",
        '42abc["a"]', '42-1["a"]', '429007199254740993["a"]', '42["connect"]', '42["disconnect"]',
        '42/custom,["a"]', '42["a",{"b":1,"b":2}]', "43[]", "431{}", '44{"message":"x"}', "41{}",
        "40[]", '40"x"', '45["a"]', '451["a"]', '4511-["a"]', '451-["a"]',
        '451-["a",{"_placeholder":true,"num":1}]', '450-["a",{"_placeholder":true,"num":0}]',
    ],
)  # fmt: skip
def test_a_bad_packet_ends_the_session(server, line, packet):
    line.connect(server.admin)
    line.say(packet)
    assert line.closed() == 1008


def test_an_event_before_connecting_ends_the_session(line):
    line.say('42["x"]')
    assert line.closed() == 1008


def test_text_where_bytes_belong_ends_the_session(server, line):
    line.connect(server.admin)
    line.say('451-["x",{"_placeholder":true,"num":0}]', '42["x"]')
    assert line.closed() == 1008


def test_an_event_with_bytes_is_one_event(server, line):
    line.connect(server.admin)
    places = [{"_placeholder": True, "num": number} for number in range(2)]
    line.say("452-7" + json.dumps(["x", *places]), b"\x01", b"\x02")
    assert line.next().startswith('437[{"ok":false,"code":"unknown_event"')


@pytest.mark.parametrize("number", [0, 1, 456, 2**53])
def test_acknowledgements_have_the_number_they_were_asked_for_with(server, line, number):
    line.connect(server.admin)
    assert line.ask(number, "unsubscribe")["ok"] is True


def test_acknowledgements_that_nobody_asked_for_are_passed_over(server, line):
    line.connect(server.admin)
    line.say("437[]")
    assert line.ask(1, "unsubscribe")["ok"] is True


def test_names_of_any_kind_are_events(server, line):
    line.connect(server.admin)
    for number, name in enumerate(["", "é", "a" * 1000, "__proto__", "subscribe "]):
        assert line.ask(number, name)["code"] == "unknown_event"


def test_who_talks_too_much_is_closed(server, line):
    line.connect(server.admin)
    with contextlib.suppress(ConnectionClosed):  # it may be closed before all is said
        line.say(*['42["x"]'] * 60)
    assert line.closed() == 1008


# Subscribing


@pytest.mark.parametrize(
    ("filter", "code"),
    [
        (1, "invalid_field"), ("tasks", "invalid_field"), (None, "invalid_field"),
        ({"x": "y"}, "unknown_field"), ({"type": 1}, "invalid_field"),
        ({"type": []}, "invalid_field"), ({"since": 1}, "invalid_field"),
        ({"state": "done"}, "invalid_query"), ({"taskId": "x"}, "invalid_query"),
        ({"label": "x"}, "invalid_query"), ({"type": ["a"] * 65}, "invalid_field"),
    ],
)  # fmt: skip
def test_a_bad_filter_is_refused_and_changes_nothing(server, api, line, kind, filter, code):
    line.connect(server.admin)
    answer = line.ask(1, "subscribe", filter)
    assert answer["ok"] is False and answer["code"] == code and answer["detail"]
    task = api.submit(kind)
    line.event("task:update", lambda data: data["taskId"] == task)


def work(agent, data=None):
    """One task, done with a report of progress on the way."""
    dispatch = agent.take()
    assert agent.progress(dispatch, progress=40, message="page 4 of 10").status == 200
    assert agent.succeed(dispatch, data=data or {"pages": 10}).status == 200
    return dispatch["taskId"]


def test_a_task_makes_three_kinds_of_events(server, api, line, kind):
    agent = PullAgent.register(server, [kind])
    line.connect(server.admin)
    task = api.submit(kind)
    queued = line.event("task:update", lambda data: data["taskId"] == task)
    assert queued["status"] == "queued" and queued["type"] == kind
    assert work(agent) == task
    status = line.event("agent:status", lambda data: data["taskId"] == task)
    assert set(status) == {
        "taskId", "status", "progress", "message", "agentId", "attempt", "cursor",
    }  # fmt: skip
    assert status["agentId"] == agent.id and status["attempt"] == 1
    update = line.event("task:update", lambda data: data["status"] == "completed")
    assert set(update) == {
        "taskId", "status", "type", "attempt", "agentId", "progress", "message", "at", "cursor",
    }  # fmt: skip
    done = line.event(f"task:{task}:complete")
    assert set(done) == {"taskId", "status", "results", "error", "cursor"}
    assert done["status"] == "success" and done["results"]["data"] == {"pages": 10}


def test_progress_is_told(server, api, line, kind):
    agent = PullAgent.register(server, [kind])
    line.connect(server.admin)
    task = api.submit(kind)
    dispatch = agent.take()
    agent.progress(dispatch, progress=40, message="page 4 of 10")
    status = line.event("agent:status", lambda d: d["taskId"] == task and d["progress"] == 40)
    assert status["status"] == "running" and status["message"] == "page 4 of 10"
    agent.fail(dispatch, retryable=False)
    done = line.event(f"task:{task}:complete")
    assert done["status"] == "failure" and done["error"]["code"] == "X"


def test_a_cancelled_task_is_complete(server, api, line, kind):
    line.connect(server.admin)
    task = api.submit(kind)
    api.cancel(task)
    done = line.event(f"task:{task}:complete")
    assert done["status"] == "cancelled" and done["results"] is None


def test_large_results_are_left_out(server, api, line, kind):
    agent = PullAgent.register(server, [kind])
    line.connect(server.admin)
    task = api.submit(kind)
    work(agent, {"text": "a" * 300_000})
    done = line.event(f"task:{task}:complete")
    assert done["results"] is None and done["omitted"] is True


def test_a_filter_by_task(server, api, line, kind):
    agent = PullAgent.register(server, [kind])
    line.connect(server.admin)
    first, second = api.submit(kind), api.submit(kind)
    assert line.ask(1, "subscribe", {"taskId": second})["ok"] is True
    assert {work(agent), work(agent)} == {first, second}
    assert line.expect("42").find(second) > 0
    assert line.event(f"task:{second}:complete")


@pytest.mark.parametrize("key", ["type", "label", "state", "agent", "taskIds"])
def test_a_filter_lets_through_what_matches(server, api, line, kind, key):
    agent = PullAgent.register(server, [kind])
    line.connect(server.admin)
    assert line.ask(0, "unsubscribe")["ok"] is True
    wanted = api.submit(kind, labels={"team": kind})
    values = {
        "type": kind, "label": f"team:{kind}", "state": ["completed"], "agent": agent.id,
        "taskIds": [wanted],
    }  # fmt: skip
    assert line.ask(1, "subscribe", {key: values[key]})["ok"] is True
    other = api.submit(kind + "-other")
    assert work(agent) == wanted
    assert line.event(f"task:{wanted}:complete")
    api.cancel(other)


def test_unsubscribing_ends_the_events(server, api, line, kind):
    line.connect(server.admin)
    assert line.ask(1, "unsubscribe")["ok"] is True
    unseen = api.submit(kind)
    assert line.ask(2, "subscribe", {"type": kind})["ok"] is True
    seen = api.submit(kind)
    assert line.event("task:update")["taskId"] == seen != unseen
