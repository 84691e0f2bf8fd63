# SPDX-License-Identifier: Apache-2.0
# Raw HTTP against the edge: smuggling, malformed heads and bodies, upgrades, expectations.

import json

import pytest

from harness.attacks import (
    CHUNKED,
    CLOSED,
    EXPECT,
    GOOD_CHUNKS,
    HIDDEN,
    HIDDEN_TYPE,
    OPEN,
    TASK,
    TOKEN,
    get,
    length,
    lines,
    post,
)
from harness.attacks_heads import ATTACKS
from harness.raw import Wire

GOOD = get(b"Authorization: Bearer " + TOKEN, path=b"/api/stats")


@pytest.fixture(scope="module")
def target(make_server):
    return make_server(admin=TOKEN.decode())


def answers_a_good_request(wire):
    wire.send(GOOD)
    got = wire.answer()
    assert got is not None and got.status == 200 and "types" in json.loads(got.body), repr(got)


def nothing_smuggled(target):
    known = target.__dict__.setdefault("known_hidden", set())
    fresh = {task["id"] for task in target.api.tasks(f"type={HIDDEN_TYPE}")} - known
    known |= fresh  # one row's success is not also the next one's
    assert not fresh, "the hidden request was carried out"


def check_fate(wire, fate, last):
    if last is None or fate == CLOSED or (fate != OPEN and last.says_close):
        left = wire.end()
        assert left == b"", f"something came behind the last answer: {left[:300]!r}"
        assert last is None or last.says_close, f"it closes and does not say so: {last!r}"
    else:
        assert not last.says_close, f"it says close: {last!r}"
        answers_a_good_request(wire)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack(target, attack):
    with Wire(target.port) as wire:
        wire.send(attack.data)
        got = None
        for wanted in attack.statuses:
            got = wire.answer(attack.to)
            status = None if got is None else got.status
            allowed = wanted if isinstance(wanted, tuple) else (wanted,)
            assert status in allowed, f"{wanted} expected: {got!r}"
            if got is not None:
                assert attack.interim in (None, tuple(got.interim)), repr(got)
                assert b"echo-me" not in got.body, repr(got)
        check_fate(wire, attack.fate, got)
    assert target.alive
    with Wire(target.port) as wire:
        answers_a_good_request(wire)
    nothing_smuggled(target)


def test_there_is_a_row_for_everything():
    names = [attack.name for attack in ATTACKS]
    assert len(set(names)) == len(names) >= 41


@pytest.mark.parametrize("name", [EXPECT, b"EXPECT:100-Continue"])
def test_continue_is_said_to_what_will_be_read(target, name):
    with Wire(target.port) as wire:
        for _ in range(2):
            wire.send(post(name, length(TASK)))
            assert wire.interim() == 100
            wire.send(TASK)
            got = wire.answer()
            assert got.status == 201 and got.interim == [], repr(got)
        answers_a_good_request(wire)


def test_continue_is_said_once_to_chunks(target):
    with Wire(target.port) as wire:
        wire.send(post(EXPECT, CHUNKED))
        assert wire.interim() == 100
        for byte in GOOD_CHUNKS:
            wire.send_all(bytes([byte]))
        got = wire.answer()
        assert got.status == 201 and got.interim == [], repr(got)
        answers_a_good_request(wire)


def test_pipelined_answers_keep_their_order(target):
    """Three kinds of requests, 300 at once: each answer belongs to its own request."""
    bad = post(b"Content-Length: 1", body=b"x", token=b"y" * 40)
    kinds = [(get(), 200), (get(path=b"/api/none"), 404), (bad, 401)]
    with Wire(target.port) as wire:
        wire.send_all(b"".join(request for request, _ in kinds) * 100)
        ids = set()
        for _, status in kinds * 100:
            got = wire.answer()
            assert got.status == status, repr(got)
            ids.update(got.values("x-request-id"))
        assert len(ids) == 300
        answers_a_good_request(wire)


def test_an_attack_does_not_reach_another_connection(target):
    """A hidden request is not kept for whoever comes next."""
    for _ in range(20):
        with Wire(target.port) as wire:
            wire.send(post(b"Content-Length: 500", body=b"0\r\n\r\n" + HIDDEN[:100]))
        with Wire(target.port) as wire:
            wire.send(get(path=b"/api/none"))
            assert wire.answer().status == 404
    nothing_smuggled(target)


def test_a_request_in_single_bytes(target):
    """However it is cut, it is the same request."""
    whole = post(length(TASK), body=TASK) + get()
    with Wire(target.port) as wire:
        for index in range(len(whole)):
            wire.send_all(whole[index : index + 1])
        assert [wire.answer().status, wire.answer().status] == [201, 200]


@pytest.mark.parametrize("line_end", [b"\n", b"\r"])
def test_a_malformed_head_in_single_bytes(target, line_end):
    head = lines(b"GET /healthz HTTP/1.1", b"Host: 127.0.0.1", b"X-A: 1").replace(b"\r\n", line_end)
    with Wire(target.port) as wire:
        for index in range(len(head)):
            wire.send(head[index : index + 1])
        wire.send(HIDDEN)
        got = wire.answer()
        assert got is None or got.status == 400, repr(got)
        wire.end()
    nothing_smuggled(target)
