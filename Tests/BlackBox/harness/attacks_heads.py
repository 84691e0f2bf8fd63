# SPDX-License-Identifier: Apache-2.0
# Raw HTTP attacks on what a request says: its first line, its headers, what it wants and where.

import gzip
import zlib

from .attacks import (
    CHUNKED,
    CLOSED,
    EXPECT,
    GOOD_CHUNKS,
    HIDDEN,
    HONEST,
    HOST,
    OPEN,
    SMUGGLING,
    TASK,
    TOKEN,
    Attack,
    chunked,
    get,
    length,
    post,
    refused,
)

#: No answer may ever repeat it.
ECHO = b"X-Echo: echo-me"
BOMB = gzip.compress(b'{"type":"outer","payload":"' + b"0" * (8 << 20) + b'"}')


def headed(name, *headers):
    return refused("head: " + name, get(*headers) + HIDDEN)


FIRST_LINES = [
    refused("line: HTTP/0.9", b"GET /healthz\r\n\r\n"),
    refused("line: HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 505, None),
    refused("line: HTTP/2.0", get(version=b"HTTP/2.0"), 400, 505),
    refused("line: HTTP/3.0", get(version=b"HTTP/3.0"), 400, 505),
    refused("line: version of two digits", get(version=b"HTTP/1.10")),
    refused("line: no number", get(version=b"HTTP/x.y")),
    refused("line: lower case version", get(version=b"http/1.1")),
    refused("line: another protocol", get(version=b"ICAP/1.0")),
    refused("line: space behind the version", get(version=b"HTTP/1.1 ")),
    refused("line: no version", get(version=b"")),
    Attack("line: two spaces", get(path=b" /healthz"), ((200, 400),), HONEST),
    refused("line: space in the path", get(path=b"/healthz /x")),
    refused("line: tab for space", b"GET\t/healthz\tHTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
    refused("line: space before the method", b" " + get()),
    refused("line: lone CR", get(path=b"/healthz\r")),
    refused("line: lone LF", b"GET /healthz HTTP/1.1\nHost: 127.0.0.1\n\n"),
    refused("line: CR CR LF", b"GET /healthz HTTP/1.1\r\r\nHost: 127.0.0.1\r\n\r\n"),
    refused("line: NUL in the path", get(path=b"/health\x00z")),
    refused("line: control byte in the path", get(path=b"/health\x01z")),
    refused("line: no slash", get(path=b"healthz")),
    refused("line: garbage for a method", get(method=b"G<T>")),
    refused("line: bytes for a method", get(method=b"\xff\xfe")),
    refused("line: a method of 64 KiB", get(method=b"G" * 65536)),
    refused("line: lower case method", get(method=b"get")),
    refused(
        "line: a TLS client hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 64
    ),
    refused("line: a path of 100 KB", get(path=b"/" + b"a" * 100_000), 400, 414, 431),
    Attack("line: an empty line before", b"\r\n" + get(), (200,), OPEN),
    Attack("line: HTTP/1.0", get(version=b"HTTP/1.0"), (200,), CLOSED),
    Attack(
        "line: HTTP/1.0 that wants to stay",
        get(b"Connection: keep-alive", version=b"HTTP/1.0"),
        (200,),
        CLOSED,
    ),
    Attack("line: HTTP/1.0 without Host", get(version=b"HTTP/1.0", host=None), (200,), CLOSED),
    refused("line: HTTP/1.0 with two Hosts", get(b"Host: b", version=b"HTTP/1.0")),
    Attack("line: absolute form", get(path=b"http://127.0.0.1/healthz"), (200,), OPEN),
    refused("line: absolute form of another host", get(path=b"http://example.com/healthz")),
    refused("line: absolute form of another port", get(path=b"http://127.0.0.1:1/healthz")),
    refused("line: absolute form with a user", get(path=b"http://a@127.0.0.1/healthz")),
    refused("line: absolute form of another scheme", get(path=b"ftp://127.0.0.1/healthz")),
    refused("line: absolute form without a host", get(path=b"http:///healthz")),
    Attack("line: OPTIONS *", get(method=b"OPTIONS", path=b"*"), ((204, 404, 405),), OPEN),
    Attack("line: GET *", get(path=b"*"), ((400, 404),), HONEST),
    Attack("line: TRACE", get(ECHO, method=b"TRACE"), ((404, 405),), OPEN),
    refused(
        "line: CONNECT", get(ECHO, method=b"CONNECT", path=b"127.0.0.1:80") + HIDDEN, 400, 404, 405
    ),
]
HEADERS = [
    refused("host: none", get(host=None)),
    refused("host: two", get(b"Host: example.com")),
    refused("host: the same twice", get(b"Host: " + HOST)),
    refused("host: with a space", get(host=b"a b")),
    refused("host: with a slash", get(host=b"127.0.0.1/x")),
    refused("host: with a user", get(host=b"a@127.0.0.1")),
    refused("host: a list", get(host=b"127.0.0.1, example.com")),
    refused("host: a bad port", get(host=b"127.0.0.1:x")),
    headed("folded", b"X-A: 1\r\n b"),
    headed("space before the first name", b" X-A: 1"),
    headed("bare LF", b"X-A: 1\nX-B: 2"),
    headed("bare CR", b"X-A: 1\rX-B: 2"),
    headed("bare CR at the end", b"X-A: 1\r"),
    headed("NUL in a value", b"X-A: a\x00b"),
    headed("NUL in a name", b"X-\x00A: b"),
    headed("control byte in a value", b"X-A: a\x01b"),
    headed("DEL in a value", b"X-A: a\x7fb"),
    headed("vertical tab in a value", b"X-A: \x0bb"),
    headed("UTF-8 in a name", "X-é: b".encode()),
    headed("space in a name", b"X A: b"),
    headed("space behind a name", b"X-A : b"),
    headed("slash in a name", b"X/A: b"),
    headed("bracket in a name", b"X[A]: b"),
    headed("no name", b": b"),
    headed("no colon", b"X-A"),
    refused("head: a value of 40 KB", get(b"X-A: " + b"b" * 40_000), 400, 431),
    refused("head: a name of 40 KB", get(b"X" * 40_000 + b": b"), 400, 431),
    refused("head: 101 headers", get(*[b"X-%d: b" % index for index in range(101)]), 400, 431),
    refused(
        "head: 48 KB in all", get(*[b"X-%d: %s" % (n, b"b" * 800) for n in range(60)]), 400, 431
    ),
    refused("head: 200,000 headers", get(*[b"A: b"] * 200_000), 400, 431),
    Attack("head: UTF-8 in a value", get("X-A: é".encode()), (200,), OPEN),
    Attack("head: Connection: close", get(b"Connection: close") + HIDDEN, (200,), CLOSED),
    Attack("head: close in a list", get(b"Connection: x, Close") + HIDDEN, (200,), CLOSED),
    Attack(
        "head: close in a second header",
        get(b"Connection: keep-alive", b"Connection: close") + HIDDEN,
        (200,),
        CLOSED,
    ),
    Attack(
        "head: another method by header",
        get(b"X-HTTP-Method-Override: DELETE", b"X-Method-Override: DELETE"),
        (200,),
        OPEN,
    ),
    Attack(
        "head: another path by header",
        get(b"X-Original-URL: /api/stats", b"X-Rewrite-URL: /api/stats", path=b"/api/none"),
        (404,),
        OPEN,
    ),
    Attack(
        "head: rights twice",
        get(*[b"Authorization: Bearer " + TOKEN] * 2, path=b"/api/stats"),
        ((400, 401),),
        HONEST,
    ),
]
UPGRADE = (
    b"Connection: Upgrade, HTTP2-Settings",
    b"Upgrade: h2c",
    b"HTTP2-Settings: AAMAAABkAAQAAP__",
)
UPGRADES = [
    Attack("upgrade: h2c", get(*UPGRADE), (200,), CLOSED),
    Attack("upgrade: h2c with a body", post(*UPGRADE, length(TASK), body=TASK), (201,), CLOSED),
    Attack("upgrade: h2c with chunks", post(*UPGRADE, CHUNKED, body=GOOD_CHUNKS), (201,), CLOSED),
    Attack("upgrade: h2c with a request behind it", get(*UPGRADE) + HIDDEN, (200,), CLOSED),
    Attack(
        "upgrade: h2c with a request in its body",
        post(*UPGRADE, length(HIDDEN), body=HIDDEN),
        (400,),
        CLOSED,
    ),
    Attack("upgrade: unknown", get(b"Connection: upgrade", b"Upgrade: x/9"), (200,), HONEST),
    Attack("upgrade: not asked for", get(b"Upgrade: h2c"), (200,), HONEST),
    Attack(
        "upgrade: websocket where there is none",
        get(
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ),
        (200,),
        HONEST,
    ),
]
EXPECTATIONS = [
    Attack("expect: refused rights", post(EXPECT, length(TASK), token=b"x" * 40), (401,), CLOSED),
    Attack(
        "expect: no rights", post(EXPECT, b"Content-Length: 1000000", token=None), (401,), CLOSED
    ),
    Attack("expect: too large", post(EXPECT, b"Content-Length: 100000000"), (413,), CLOSED),
    Attack("expect: no such path", post(EXPECT, length(TASK), path=b"/api/none"), (404,), CLOSED),
    Attack("expect: no such method", post(EXPECT, length(TASK), path=b"/healthz"), (405,), CLOSED),
    Attack(
        "expect: a coding", post(EXPECT, length(TASK), b"Content-Encoding: gzip"), (415,), CLOSED
    ),
    Attack(
        "expect: HTTP/1.0 knows none",
        post(EXPECT, length(TASK), version=b"HTTP/1.0", body=TASK),
        (201,),
        CLOSED,
    ),
    Attack("expect: nothing to send", get(EXPECT), (200,), HONEST, interim=None),
    Attack(
        "expect: something unknown",
        post(b"Expect: a-miracle", length(TASK), body=TASK),
        ((201, 417),),
        HONEST,
    ),
]
ENCODED = [
    Attack(
        f"encoded: {name}",
        post(b"Content-Encoding: " + name.encode(), length(body), body=body),
        (415,),
        HONEST,
    )
    for name, body in (
        ("gzip", gzip.compress(TASK)),
        ("deflate", zlib.compress(TASK)),
        ("br", TASK),
        ("zstd", TASK),
        ("gzip, gzip", gzip.compress(gzip.compress(TASK))),
        ("identity, gzip", gzip.compress(TASK)),
    )
] + [
    Attack(
        "encoded: a gzip bomb",
        post(b"Content-Encoding: gzip", length(BOMB), body=BOMB),
        (415,),
        HONEST,
    ),
    Attack(
        "encoded: a gzip bomb in chunks",
        post(b"Content-Encoding: gzip", CHUNKED, body=chunked(BOMB)),
        (415,),
        HONEST,
    ),
]
#: Paths that only look like one that needs no rights, or like none at all.
PATHS = [
    Attack(f"path: {path.decode('latin-1')}", get(path=path), ((400, 401, 404, 405),), HONEST)
    for path in (
        b"/%61pi/stats",
        b"/api/%73tats",
        b"/api%2fstats",
        b"/api//stats",
        b"//api/stats",
        b"/api/./stats",
        b"/healthz/../api/stats",
        b"/healthz/%2e%2e/api/stats",
        b"/healthz/..%2fapi%2fstats",
        b"/healthz;/../api/stats",
        b"/api/stats;x",
        b"/api/stats/",
        b"/api/stats%00",
        b"/api/stats%0d%0aX-A:%20b",
        b"/api/stats%20",
        b"/api/stats.",
        b"/API/stats",
        b"/api/stats%23",
        b"/api/stats%3f",
        b"/api\\stats",
        b"/..%5c..%5cetc%5cpasswd",
        b"/../../../etc/passwd",
        b"/%2e%2e/%2e%2e/etc/passwd",
        b"/%252e%252e/etc/passwd",
        b"/%c0%ae%c0%ae/etc/passwd",
        b"/api/tasks/%zz",
        b"/api/tasks/%",
        b"/api/tasks/%f",
        b"/healthz/..;/api/stats",
        b"/.git/config",
        b"/%",
    )
]
ATTACKS = [
    *SMUGGLING,
    *FIRST_LINES,
    *HEADERS,
    *UPGRADES,
    *EXPECTATIONS,
    *ENCODED,
    *PATHS,
]
