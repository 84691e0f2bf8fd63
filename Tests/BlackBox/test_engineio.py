# SPDX-License-Identifier: Apache-2.0
# The rules of Engine.IO 4 at /socket.io/: sessions by polls, posts and WebSockets, and their end.

import json
import socket

import pytest

from harness.engineio import PATH, Later, Line, Poller, address
from harness.http import Connection
from harness.wait import eventually, holds
from websockets.exceptions import InvalidStatus

QUICK = {"ORRERY_LIMITS_PING_INTERVAL": "300", "ORRERY_LIMITS_PING_TIMEOUT": "3000"}


@pytest.fixture(scope="module")
def quick(make_server):
    """Pings often and waits shortly."""
    return make_server(env=QUICK)


@pytest.fixture
def poller(server):
    return Poller(server, token=server.admin)


def ask(server, method="GET", path=PATH, headers=(), body=b""):
    return Connection("127.0.0.1", server.port).send(method, path, list(headers), body)


def refusal(answer):
    assert answer.status == 400, repr(answer)
    assert set(answer.json) == {"code", "message"}
    return answer.json["code"]


# The handshake


def test_a_session_opens_by_a_poll(poller):
    assert set(poller.handshake) == {
        "sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload",
    }  # fmt: skip
    assert poller.handshake["upgrades"] == ["websocket"]
    assert poller.handshake["pingInterval"] == 25000
    assert poller.handshake["pingTimeout"] == 20000
    assert poller.handshake["maxPayload"] == 1000000
    assert len(poller.sid) == 20


def test_a_session_opens_by_a_websocket(server):
    with Line.open(server) as line:
        assert line.handshake["upgrades"] == [] and len(line.handshake["sid"]) == 20


def test_strangers_take_a_part_of_the_places_only(make_server):
    server = make_server(
        env={"ORRERY_LIMITS_SOCKETS": "64", "ORRERY_LIMITS_SIGN_IN_TIME": "60000"}
    )
    known = Poller(server, token=server.admin)
    assert known.connect().startswith("40")
    strangers = [Poller(server) for _ in range(16)]
    assert ask(server, path=address()).status == 429
    with pytest.raises(InvalidStatus) as refused, Line.open(server):
        pass
    assert refused.value.response.status_code == 429
    assert known.post("42" + json.dumps(["unsubscribe"])).body == b"ok"
    assert strangers[0].connect({"token": server.admin}).startswith("40")
    with Line.open(server) as line:
        line.connect(server.admin)


def test_a_payload_has_so_many_packets(poller):
    assert poller.post(*["6"] * 1001).status == 400
    assert poller.is_gone()


def test_answers_are_text(server, poller):
    answer = ask(server, path=address())
    assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
    assert answer.headers["cache-control"] == "no-store"
    assert poller.post("40").headers["content-type"] == "text/plain; charset=UTF-8"


def test_sessions_have_names_of_their_own(server):
    assert len({Poller(server).sid for _ in range(20)}) == 20


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"EIO": None}, 5), ({"EIO": "3"}, 5), ({"EIO": "abc"}, 5), ({"EIO": ""}, 5),
        ({"transport": None}, 0), ({"transport": "abc"}, 0), ({"transport": "webtransport"}, 0),
        ({"sid": "nobody"}, 1), ({"sid": "A" * 20}, 1), ({"sid": ""}, 1),
        ({"transport": "websocket"}, 3),
    ],
)  # fmt: skip
def test_a_bad_handshake_is_refused(server, query, code):
    assert refusal(ask(server, path=address(**query))) == code


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_handshake_is_a_get(server, method):
    assert refusal(ask(server, method, address())) == 2


def test_head_opens_nothing(server):
    assert ask(server, "HEAD", address()).status == 400


@pytest.mark.parametrize(
    "query", [{"EIO": None}, {"EIO": "3"}, {"transport": "abc"}, {"sid": "A" * 20}]
)
def test_a_bad_websocket_is_refused(server, query):
    with pytest.raises(InvalidStatus) as refused, Line.open(server, **query):
        pass
    assert refused.value.response.status_code == 400


def test_the_path_needs_no_slash_at_its_end(server):
    assert ask(server, path=address().replace("/?", "?")).status == 200


def test_clients_may_add_to_the_query(server, poller):
    assert ask(server, path=address(t="abc", b64="1", any="x")).status == 200
    assert poller.post("40", t="1").body == b"ok"


# Messages


def test_packets_come_in_one_body_and_leave_in_one(server):
    poller = Poller(server, token=server.admin)
    assert poller.post("40", '420["a"]', '421["b"]').body == b"ok"
    first, second, third = poller.packets()
    assert first.startswith("40{") and second.startswith("430[") and third.startswith("431[")


def test_a_poll_waits_for_something_to_say(server, poller):
    waiting = poller.later()
    holds(lambda: not waiting.is_done, 0.3)
    poller.post("40")
    assert waiting.result().body.startswith(b"40{")


def test_bytes_travel_as_base64(poller):
    poller.connect()
    packet = '451-7["x",{"_placeholder":true,"num":0}]'
    assert poller.post(packet, "bAQIDBA==").body == b"ok"
    assert poller.expect("437[").startswith('437[{"ok":false')


@pytest.mark.parametrize("body", ["abc", "", "4a\x1e", "8", "bAQI", "2", "4\x1e\x1e4"])
def test_a_bad_packet_ends_the_session(poller, body):
    assert refusal(poller.post(body)) == 3
    assert refusal(poller.get()) == 1


def test_bytes_that_are_no_text_end_the_session(server, poller):
    answer = ask(server, "POST", address(sid=poller.sid), body=b"4\xff")
    assert answer.status == 400 and poller.is_gone()


@pytest.mark.parametrize("packet", ["6", "5", "3"])
def test_packets_without_a_meaning_here_do_no_harm(poller, packet):
    assert poller.post(packet).body == b"ok"
    assert poller.connect().startswith("40{")


def test_a_body_has_a_bound(server, poller):
    answer = ask(server, "POST", address(sid=poller.sid), body=b"4" * 1_000_001)
    assert answer.status == 413
    assert poller.is_gone()


def test_a_message_has_a_bound(poller):
    assert poller.post("42" + json.dumps(["x", "a" * 70_000])).status == 400
    assert poller.is_gone()


def test_messages_have_a_rate(poller):
    poller.connect()
    assert poller.post(*['42["x"]'] * 100).status == 400
    assert poller.is_gone()


def test_a_text_that_is_no_packet_closes_the_websocket(server):
    for text in ("abc", "", "9", "2"):
        with Line.open(server) as line:
            line.say(text)
            assert line.closed() == 1008, text


def test_bytes_that_nobody_expects_close_the_websocket(server):
    with Line.open(server) as line:
        line.say(b"\x01\x02")
        assert line.closed() == 1008


# Two at a time, and clients that leave


def test_a_second_poll_ends_the_session(poller):
    one, other = poller.later(), poller.later()
    first, second = sorted((one.result(), other.result()), key=lambda answer: answer.status)
    assert first.status == 200 and first.body == b"1"
    assert refusal(second) == 3
    assert refusal(poller.get()) == 1


def test_a_poll_whose_client_leaves_ends_the_session(server, poller):
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(f"GET {address(sid=poller.sid)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            sock.recv(1)
    eventually(lambda: poller.post("3").status == 400, what="the session's end")


# Pings


def test_a_poll_brings_pings_and_the_next_after_the_pong(quick):
    poller = Poller(quick, token=quick.admin)
    poller.connect()
    for _ in range(3):
        assert poller.packets() == ["2"]
        waiting = poller.later()
        assert poller.post("3").body == b"ok"
        assert waiting.result().body == b"2"
        poller.post("3")


def test_a_websocket_brings_pings(quick):
    with Line.open(quick) as line:
        line.connect(quick.admin)
        for _ in range(3):
            assert line.next() == "2"
            line.say("3")


def test_a_poller_without_a_pong_is_gone(quick):
    poller = Poller(quick, token=quick.admin)
    assert poller.post("40").body == b"ok"
    assert poller.packets()[0].startswith("40{")
    assert poller.packets() == ["2"]
    assert poller.packets() == ["1"]
    assert refusal(poller.get()) == 1


def test_a_websocket_without_a_pong_is_closed(quick):
    with Line.open(quick) as line:
        line.connect(quick.admin)
        assert line.closed() == 1008


# The client's end


def test_a_close_answers_the_poll_that_waits(poller):
    waiting = poller.later()
    holds(lambda: not waiting.is_done, 0.2)
    assert poller.post("1").body == b"ok"
    assert waiting.result().body == b"6"
    assert refusal(poller.get()) == 1


def test_a_poll_that_meets_the_close_is_answered_once(poller):
    assert poller.post("1").body == b"ok"
    assert poller.get().body == b"6"
    assert refusal(poller.get()) == 1


def test_a_close_closes_the_websocket(server):
    with Line.open(server) as line:
        line.say("1")
        assert line.closed() == 1000


def test_a_post_after_the_close_is_refused(poller):
    poller.post("1")
    assert refusal(poller.post("3")) == 1


# Upgrades


def test_a_websocket_takes_over(server, poller):
    poller.connect()
    waiting = poller.later()
    holds(lambda: not waiting.is_done, 0.2)
    with Line.open(server, sid=poller.sid) as line:
        line.say("2probe")
        assert line.next() == "3probe"
        assert waiting.result().body == b"6"
        line.say("5", '427["x"]')
        assert line.next().startswith("437[")


def test_a_poll_behind_the_probe_is_answered(server, poller):
    with Line.open(server, sid=poller.sid) as line:
        line.say("2probe")
        assert line.next() == "3probe"
        assert poller.get().body == b"6"
        line.say("5", "40")
        assert line.next().startswith("40{")


def test_what_waited_goes_over_the_websocket(server, poller):
    assert poller.post("40", '427["x"]').body == b"ok"
    with Line.open(server, sid=poller.sid) as line:
        line.say("2probe", "5")
        assert line.next() == "3probe"
        assert line.next().startswith("40{") and line.next().startswith("437[")


def upgraded(poller, line):
    line.say("2probe", "5", "40")
    assert line.next() == "3probe"
    assert line.next().startswith("40{")


def test_polls_and_posts_after_an_upgrade_are_refused(server, poller):
    with Line.open(server, sid=poller.sid) as line:
        upgraded(poller, line)
        assert refusal(poller.get()) == 3
        assert refusal(poller.post("3")) == 3
        assert line.ask(1, "x")["ok"] is False


@pytest.mark.parametrize("is_finished", [True, False])
def test_a_second_websocket_is_closed(server, poller, is_finished):
    with Line.open(server, sid=poller.sid) as line:
        line.say("2probe")
        assert line.next() == "3probe"
        if is_finished:
            line.say("5", "40")
            assert line.next().startswith("40{")
        with Line.open(server, sid=poller.sid) as second:
            assert second.closed() == 1008
        if not is_finished:
            line.say("5", "40")
            assert line.next().startswith("40{")
        assert line.ask(1, "x")["ok"] is False


@pytest.mark.parametrize("packet", ["4x", "2", "3probe", "x"])
def test_anything_but_a_probe_gives_the_upgrade_up(server, poller, packet):
    with Line.open(server, sid=poller.sid) as line:
        line.say(packet)
        assert line.closed() == 1000
    assert poller.connect().startswith("40{")


def test_an_upgrade_that_breaks_off_changes_nothing(server, poller):
    with Line.open(server, sid=poller.sid) as line:
        line.say("2probe")
        assert line.next() == "3probe"
    assert poller.connect().startswith("40{")


def test_upgrades_on_whatever_loop(server):
    """Connections come to different event loops; the session stays on that of the first."""
    for _ in range(8):
        poller = Poller(server, token=server.admin)
        with Line.open(server, sid=poller.sid) as line:
            upgraded(poller, line)
            assert line.ask(1, "unsubscribe")["ok"] is True


# Pages of other origins, limits, the server's end


def test_pages_of_other_origins_are_refused(server):
    headers = [("origin", "https://other.page")]
    assert ask(server, path=address(), headers=headers).status == 403
    assert ask(server, "OPTIONS", PATH, headers).status == 403
    with (
        pytest.raises(InvalidStatus) as refused,
        Line.open(server, headers={"Origin": "https://other.page"}),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_pages_of_a_named_origin_may_connect(new_server):
    server = new_server(args=["--allow-origin", "https://that.page"])
    headers = [("origin", "https://that.page")]
    answer = ask(server, path=address(), headers=headers)
    assert answer.headers["access-control-allow-origin"] == "https://that.page"
    answer = ask(server, "OPTIONS", address(), headers)
    assert answer.status == 204 and "POST" in answer.headers["access-control-allow-methods"]
    answer = ask(server, path=address(EIO="3"), headers=headers)
    assert answer.status == 400 and "access-control-allow-origin" in answer.headers


def test_sessions_are_bounded(new_server):
    server = new_server(env={"ORRERY_LIMITS_SOCKETS": "2"})
    first, _ = Poller(server), Poller(server)
    answer = ask(server, path=address())
    assert answer.status == 429 and answer.json["code"] == "limit_reached"
    first.post("1")
    assert Poller(server).sid


def test_a_stop_answers_the_polls(new_server):
    server = new_server()
    poller = Poller(server, token=server.admin)
    poller.connect()
    waiting = Later(poller.get)
    holds(lambda: not waiting.is_done, 0.2)
    server.terminate()
    assert waiting.result().body == b"1"
