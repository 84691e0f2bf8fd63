# SPDX-License-Identifier: Apache-2.0
# More than anyone may send: bodies of 100 MB, bodies, heads and requests without end, gzip bombs.
# Each is answered early or not at all, ended by the server, and costs no memory.

import gzip
import itertools

import pytest

from harness.attacks import CHUNKED, TOKEN, get, length, post
from harness.memory import Peak, resident
from harness.raw import Wire

MIB = 1 << 20
PIECE = b"x" * 65536
CHUNK = b"10000\r\n" + PIECE + b"\r\n"
#: What one refused client may have in hand: a body of 8 MiB while it is being gathered, and copies.
MOST = 24 * MIB
BOMB = gzip.compress(b"0" * (100 * MIB), 9)
CALLBACK = b"/api/agent-callback"


def endless(first, piece):
    return lambda: itertools.chain([first], itertools.repeat(piece))


def announced(*headers, **more):
    return endless(post(b"Content-Length: 104857600", *headers, **more), PIECE)


def in_chunks(*headers, **more):
    return endless(post(CHUNKED, *headers, **more), CHUNK)


# What is sent, the answers that are right (None: an end without one), the memory it may take.
FLOODS = {
    "100 MB announced": (announced(), (413,), 2 * MIB),
    "100 MB announced without rights": (announced(token=None), (401,), 2 * MIB),
    "100 MB announced to nowhere": (announced(path=b"/api/none"), (404,), 2 * MIB),
    "100 MB announced as a callback": (announced(path=CALLBACK), (400, 401, 413), 2 * MIB),
    "100 MB announced as gzip": (announced(b"Content-Encoding: gzip"), (415,), 2 * MIB),
    "endless chunks": (in_chunks(), (413,), MOST),
    "endless chunks without rights": (in_chunks(token=None), (401,), 2 * MIB),
    "endless chunks to nowhere": (in_chunks(path=b"/api/none"), (404,), 2 * MIB),
    "endless chunks as a callback": (in_chunks(path=CALLBACK), (400, 401, 413), MOST),
    "endless chunks as gzip": (in_chunks(b"Content-Encoding: gzip"), (415,), 2 * MIB),
    "more than announced": (
        endless(post(b"Content-Length: 2", body=b"{}"), PIECE),
        (422, None),
        MIB,
    ),
    "an endless chunk extension": (
        endless(post(CHUNKED, body=b"3;"), PIECE),
        (400, 413, None),
        MIB,
    ),
    "an endless chunk size": (endless(post(CHUNKED), b"0" * 65536), (400, 413, None), MIB),
    "endless trailers": (
        endless(post(CHUNKED, body=b"0\r\n"), b"A: b\r\n" * 10_000),
        (400, 431, None),
        MIB,
    ),
    "an endless header": (endless(get()[:-2] + b"X-A: ", PIECE), (400, 431), MIB),
    "endless headers": (endless(get()[:-2], b"A: b\r\n" * 10_000), (400, 431), MIB),
    "an endless path": (endless(b"GET /", PIECE), (400, 414, 431), MIB),
    "an endless method": (endless(b"", PIECE), (400,), MIB),
    "endless empty lines": (endless(b"", b"\r\n" * 32768), (400, None), MIB),
    "endless zeros": (endless(b"", bytes(65536)), (400,), MIB),
}


@pytest.fixture(scope="module")
def target(make_server):
    return make_server(admin=TOKEN.decode())


def first_answer(target, pieces):
    """Sends until the server answers; returns (status or None, bytes sent)."""
    sent = 0
    with Wire(target.port) as wire:
        for piece in pieces:
            taken = wire.send(piece)
            sent += taken
            if taken < len(piece) or sent > 100 * MIB:
                break
        got = wire.answer()
        return (None if got is None else got.status), sent


def ended_while_sending(target, pieces):
    """Whether the server ends it for a client that never stops sending."""
    with Wire(target.port) as wire:
        sent, ended = wire.pour(pieces, 512 * MIB)
    return ended, sent


@pytest.mark.parametrize("name", FLOODS)
def test_flood(target, name):
    pieces, statuses, most = FLOODS[name]
    first_answer(target, pieces())  # what the first of a kind sets up is not counted
    with Peak(target) as peak:
        status, sent = first_answer(target, pieces())
        assert status in statuses, f"{status} after {sent >> 10} KiB"
        assert sent < 40 * MIB, f"answered only after {sent >> 20} MiB"
        ended, sent = ended_while_sending(target, pieces())
        assert ended, f"still taking after {sent >> 20} MiB"
    assert target.alive
    print(f"{name}: {status}, ended after {sent >> 10} KiB, +{peak.rise >> 10} KiB")
    assert peak.rise <= most, f"{peak.rise / MIB:.1f} MiB"


def test_gzip_bombs_are_not_unpacked(target):
    """100 MB in 100 KB, twenty times."""
    bomb = post(b"Content-Encoding: gzip", length(BOMB), body=BOMB)
    with Peak(target) as peak:
        for _ in range(20):
            with Wire(target.port) as wire:
                wire.send(bomb)
                assert wire.answer().status == 415
    print(f"{len(BOMB) >> 10} KiB of bomb: +{peak.rise >> 10} KiB")
    assert target.alive and peak.rise < 2 * MIB, f"{peak.rise / MIB:.1f} MiB"


def test_memory_is_given_back(target):
    """Every flood again: nothing of it stays, once each thread has had its largest body."""
    before = 0
    for _ in range(5):
        before = resident(target)
        for pieces, _, _ in FLOODS.values():
            first_answer(target, pieces())
    rise = resident(target) - before
    print(f"after all of them once more: {rise >> 10:+} KiB")
    assert rise < 4 * MIB, f"{rise / MIB:.1f} MiB"


def test_requests_without_end_and_no_answer_taken(target):
    """A client that only asks: the server stops reading, and keeps few of the answers."""
    request = get(path=b"/openapi.json") * 64
    with Peak(target) as peak, Wire(target.port, receive_buffer=4096, timeout=2) as wire:
        sent = 0
        try:
            for _ in range(20_000):
                wire.send_all(request)
                sent += len(request)
        except TimeoutError:
            pass  # it does not read any more
        assert sent < 100 * MIB
    print(f"took {sent >> 10} KiB of requests, +{peak.rise >> 10} KiB")
    assert target.alive and peak.rise < 8 * MIB, f"{peak.rise / MIB:.1f} MiB"
