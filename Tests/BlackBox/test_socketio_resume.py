# SPDX-License-Identifier: Apache-2.0
# Socket.IO clients that come back, and those that poll: nothing is lost to them.

import json

import pytest

from harness.engineio import Line, Poller
from harness.wait import eventually

REFUSED = '44{"message":"Not authorized"}'


@pytest.fixture
def line(server):
    with Line.open(server) as line:
        yield line


# Resuming


def test_since_brings_what_was_missed(server, api, kind):
    with Line.open(server) as line:
        line.connect(server.admin)
        cursor = line.ask(1, "subscribe", {"type": kind})["cursor"]
    tasks = [api.submit(kind) for _ in range(5)]
    with Line.open(server) as line:
        line.connect(server.admin, since=cursor)
        for task in tasks:
            line.event("task:update", lambda data, task=task: data["taskId"] == task)
    with Line.open(server) as line:
        line.connect(server.admin)
        assert line.ask(1, "subscribe", {"type": kind, "since": cursor})["ok"] is True
        assert [line.event("task:update")["taskId"] for _ in tasks] == tasks


@pytest.mark.parametrize("cursor", ["1", "x", "99999999999999999999", "18446744073709551615"])
def test_a_cursor_that_is_gone_brings_a_resync(server, line, cursor):
    line.connect(server.admin, since=cursor)
    assert set(line.event("resync")) == {"cursor"}


def test_a_private_id_brings_what_was_missed(server, api, kind):
    with Line.open(server) as line:
        first = line.connect(server.admin)
        assert line.ask(1, "subscribe", {"type": kind})["ok"] is True
        seen = api.submit(kind)
        line.event("task:update", lambda data: data["taskId"] == seen)
    missed = api.submit(kind)
    with Line.open(server) as line:
        assert line.connect(server.admin, pid=first["pid"]) == first
        line.event("task:update", lambda data: data["taskId"] == missed)
        api.submit(kind + "-other")
        last = api.submit(kind)
        assert line.event("task:update", lambda data: data["taskId"] not in (seen, missed))[
            "taskId"
        ] == last  # fmt: skip


def test_a_private_id_takes_over_from_a_line_that_seems_open(server):
    with Line.open(server) as line:
        first = line.connect(server.admin)
        with Line.open(server) as second:
            assert second.connect(server.admin, pid=first["pid"]) == first
            assert line.closed() == 1008
            assert second.ask(1, "unsubscribe")["ok"] is True


@pytest.mark.parametrize("pid", ["nobody", "A" * 20, "", 5, None])
def test_an_unknown_private_id_is_a_new_beginning(server, line, pid):
    assert line.connect(server.admin, pid=pid)["pid"] != pid


def test_who_disconnected_begins_anew(server):
    with Line.open(server) as line:
        first = line.connect(server.admin)
        line.say("41")
        assert line.connect(server.admin, pid=first["pid"])["pid"] != first["pid"]


def test_a_private_id_is_no_token(server):
    with Line.open(server) as line:
        first = line.connect(server.admin)
    with Line.open(server) as line:
        line.say("40" + json.dumps({"pid": first["pid"]}))
        assert line.next() == REFUSED


# Polling


def test_events_come_by_polling_as_well(server, api, kind):
    poller = Poller(server, token=server.admin)
    poller.connect()
    tasks = [api.submit(kind) for _ in range(40)]
    seen = set()

    def poll():
        packets = poller.packets()
        assert len(packets) <= 16
        for packet in packets:
            if packet.startswith('42["task:update"'):
                seen.add(json.loads(packet[2:])[1]["taskId"])
        return seen >= set(tasks)

    eventually(poll, what="all tasks")


def test_events_between_polls_are_not_lost_at_an_upgrade(server, api, kind):
    poller = Poller(server, token=server.admin)
    poller.connect()
    assert poller.post(f'421["subscribe",{{"type":"{kind}"}}]').body == b"ok"
    assert poller.expect("431[").startswith('431[{"ok":true')
    tasks = [api.submit(kind) for _ in range(40)]
    with Line.open(server, sid=poller.sid) as line:
        line.say("2probe", "5")
        assert line.next() == "3probe"
        assert [line.event("task:update")["taskId"] for _ in tasks] == tasks
