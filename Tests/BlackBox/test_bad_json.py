# SPDX-License-Identifier: Apache-2.0
# Bytes that are no acceptable JSON: a problem within 50 ms, nothing stored, the process alive.

import gzip
import json
import pathlib
import time

import pytest

from harness.api import assert_problem, nothing_stored
from harness.http import raw_exchange

GOOD = {"type": "never", "payload": {"a": [1, 2.5, "x", None, True]}}


@pytest.fixture(scope="module")
def empty(make_server):
    """A server on which no task may ever be stored."""
    return make_server()


def refused(empty, raw, status, path="/api/tasks", within=50, headers=(), **problem):
    """The answer, fast in the best of five tries (other processes share the machine)."""
    answers = [empty.api.post(path, raw=raw, headers=headers) for _ in range(5)]
    for answer in answers:
        assert_problem(answer, status, "invalid_json" if status == 400 else None, **problem)
    fastest = min(answer.milliseconds for answer in answers)
    assert fastest <= within, f"{fastest:.1f} ms"
    assert empty.alive and nothing_stored(empty)
    return answers[0]


def with_payload(text):
    return (
        b'{"type":"never","payload":' + (text if isinstance(text, bytes) else text.encode()) + b"}"
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b"}",
        b"nul",
        b"{'type':'a'}",
        b'{"type":"a",}',
        b'{"type":"a"} x',
        b'{"type":"a"}{}',
        b'{"type" "a"}',
        b'{type:"a"}',
        b'{"type":"a" "payload":{}}',
        b"// c\n{}",
        b'{"type":"a",,"b":1}',
        b'{"type":"never","payload":[1,2,]}',
        b'{"type":"never","payload":[,1]}',
        b'\x00{"type":"a"}',
        b'{"type":"never"',
        b'{"type":"never","payload":"abc',
        b"true false",
    ],
)
def test_no_json(empty, raw):
    refused(empty, raw, 400)


@pytest.mark.parametrize(
    "number",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "01",
        "+1",
        ".5",
        "1.",
        "1e",
        "1e+",
        "0x10",
        "--1",
        "1_000",
        "1e400",
        "-1e999",
        "- 1",
        "1.e5",
    ],
)
def test_no_json_number(empty, number):
    refused(empty, with_payload(number), 400)


@pytest.mark.parametrize(
    "text",
    [
        b'"\\x41"',
        b'"\\u12"',
        b'"\\u12g4"',
        b'"tab\there"',
        b'"line\nbreak"',
        b'"\x01"',
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\\ud800x"',
        b'"\xff"',
        b'"\xc0\xaf"',
        b'"\xed\xa0\x80"',
        b'"\xf5\x80\x80\x80"',
        b'"\xe2\x82"',
        b'"\\"',
        b'"\xf0\x9f\x98"',
    ],
)
def test_no_json_string(empty, text):
    refused(empty, with_payload(text), 400)


@pytest.mark.parametrize(
    "raw",
    [
        b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
        json.dumps(GOOD).encode("utf-16"),
        json.dumps(GOOD).encode("utf-16-le"),
        json.dumps(GOOD).encode("utf-16-be"),
        json.dumps(GOOD).encode("utf-32"),
    ],
    ids=["bom", "utf-16", "utf-16-le", "utf-16-be", "utf-32"],
)
def test_only_utf_8_without_bom(empty, raw):
    refused(empty, raw, 400)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"type":"a","type":"a"}',
        b'{"type":"a","type":"b"}',
        b'{"type":"a","payload":{"x":1,"x":1}}',
        b'{"type":"a","payload":[{"x":{"y":1,"z":2,"y":3}}]}',
        b'{"type":"a","t\\u0079pe":"b"}',
        '{"type":"a","payload":{"é":1,"\\u00e9":2}}'.encode(),
    ],
)
def test_duplicate_keys(empty, raw):
    refused(empty, raw, 400)


def test_keys_that_only_look_equal_are_not_duplicates(api, kind):
    """Composed and decomposed é are different keys; both are kept as they came."""
    raw = f'{{"type":"{kind}","payload":{{"\u00e9":1,"e\u0301":2}}}}'.encode()
    answer = api.post("/api/tasks", raw=raw)
    assert answer.status == 201, repr(answer)
    assert api.task(answer.json["taskId"])["payload"] == {"\u00e9": 1, "e\u0301": 2}


@pytest.mark.parametrize("opening,closing", [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("depth", [64, 65, 512, 100_000, 1_000_000])
def test_deep_nesting(empty, opening, closing, depth):
    inner = "1" if opening != "[" else ""
    refused(empty, with_payload(opening * depth + inner + closing * depth), 400)
    refused(empty, with_payload(opening * depth), 400)


def test_nesting_of_64_levels_in_all_is_accepted(api, kind):
    raw = f'{{"type":"{kind}","payload":{"[" * 63 + "]" * 63}}}'.encode()
    assert api.post("/api/tasks", raw=raw).status == 201


def test_more_than_100000_values(empty):
    refused(empty, with_payload("[" + ",".join(["1"] * 100_001) + "]"), 400)


def test_many_keys(empty):
    many = "{" + ",".join(f'"k{index}":1' for index in range(400_000)) + "}"
    answer = empty.api.post("/api/tasks", raw=with_payload(many))
    assert answer.status in (400, 413)
    assert empty.alive and nothing_stored(empty)


@pytest.mark.parametrize("raw", [b"[]", b'"x"', b"5", b"null", b"true"])
def test_json_that_is_no_object(empty, raw):
    answer = empty.api.post("/api/tasks", raw=raw)
    assert answer.status in (400, 422)
    assert_problem(answer, answer.status)


def test_big_keys(empty):
    raw = b'{"type":"never","' + b"k" * (7 << 20) + b'":1}'
    answer = empty.api.post("/api/tasks", raw=raw)
    assert answer.status in (400, 413, 422)
    assert len(answer.body) < 65536, "what was sent is not sent back"
    assert nothing_stored(empty)


def test_numbers_are_kept(api, kind):
    payload = {
        "int": 9007199254740993,
        "neg": -9223372036854775808,
        "big": 18446744073709551615,
        "real": 0.1,
        "exp": 1e300,
        "zero": -0.0,
    }
    task = api.task(api.submit(kind, payload))
    assert task["payload"]["int"] == payload["int"] and task["payload"]["real"] == 0.1
    assert task["payload"]["neg"] == payload["neg"] and task["payload"]["exp"] == 1e300


def test_nul_in_a_string_is_kept_or_refused(api, kind):
    answer = api.post("/api/tasks", {"type": kind, "payload": {"a": "x\u0000y"}})
    assert answer.status in (201, 400, 422)
    if answer.status == 201:
        assert api.task(answer.json["taskId"])["payload"] == {"a": "x\u0000y"}


def test_oversized_body_is_413_and_the_connection_ends(empty):
    raw = b'{"type":"never","payload":"' + b"x" * (8 << 20) + b'"}'
    answer = empty.api.post("/api/tasks", raw=raw)
    assert_problem(answer, 413, "payload_too_large")
    assert nothing_stored(empty)


def test_announced_oversize_is_refused_before_the_body(empty):
    head = (
        f"POST /api/tasks HTTP/1.1\r\nhost: 127.0.0.1:{empty.port}\r\nauthorization: Bearer "
        f"{empty.admin}\r\ncontent-type: application/json\r\ncontent-length: 900000000\r\n\r\n"
    )
    got, closed = raw_exchange("127.0.0.1", empty.port, [head.encode()], timeout=5)
    assert got.startswith(b"HTTP/1.1 413"), got[:200]
    assert closed is not None and closed < 5, "the connection must end"


def test_endless_chunked_body_is_cut(empty):
    """The answer comes, and the connection ends although the client never stops sending."""

    def chunks():
        yield (
            f"POST /api/tasks HTTP/1.1\r\nhost: 127.0.0.1:{empty.port}\r\nauthorization: Bearer "
            f"{empty.admin}\r\ncontent-type: application/json\r\n"
            "transfer-encoding: chunked\r\n\r\n"
        ).encode()
        end = time.monotonic() + 15
        while time.monotonic() < end:
            yield b"10000\r\n" + b"x" * 65536 + b"\r\n"

    before = resident(empty)
    got, closed = raw_exchange("127.0.0.1", empty.port, chunks(), timeout=5)
    assert got == b"" or got.startswith(b"HTTP/1.1 413"), got[:200]
    assert closed is not None and closed < 5, "the connection must end"
    assert resident(empty) - before < 48 << 20 and empty.alive


def resident(server):
    for line in pathlib.Path(f"/proc/{server.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_encoded_bodies_are_refused(empty, encoding):
    raw = gzip.compress(json.dumps(GOOD).encode())
    answer = empty.api.post("/api/tasks", raw=raw, headers=[("content-encoding", encoding)])
    assert_problem(answer, 415, "unsupported_media_type")
    assert nothing_stored(empty)


def test_payload_above_one_mebibyte(empty):
    raw = with_payload('"' + "x" * (1 << 20) + '"')
    answer = empty.api.post("/api/tasks", raw=raw)
    assert answer.status in (413, 422)
    assert_problem(answer, answer.status)
    assert nothing_stored(empty)


def test_payload_just_below_one_mebibyte(api, kind):
    payload = {"x": "y" * ((1 << 20) - 100)}
    assert api.task(api.submit(kind, payload))["payload"] == payload
