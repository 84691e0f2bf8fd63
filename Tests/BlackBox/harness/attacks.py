# SPDX-License-Identifier: Apache-2.0
# The table of raw HTTP attacks: a name, the bytes, the answers that are right, and the fate of the
# connection. The bytes are constants: the server under attack has this token, and any port.

import dataclasses
import gzip
import zlib

HOST = b"127.0.0.1"
TOKEN = b"attack-admin-token-0123456789abcdefghij"
HIDDEN_TYPE = "hidden-request"
#: A header that no answer may ever repeat.
ECHO = b"X-Echo: echo-me"

OPEN, CLOSED, HONEST = "open", "closed", "as the answer says"


@dataclasses.dataclass(frozen=True)
class Attack:
    """`statuses` has one entry per answer: a code, or several that are right.

    None stands for a connection that ends without an answer. `interim` None allows any.
    """

    name: str
    data: bytes
    statuses: tuple
    fate: str
    interim: tuple | None = ()
    to: str = "GET"


def lines(*parts, body=b""):
    return b"\r\n".join(parts) + b"\r\n\r\n" + body


def get(*headers, path=b"/healthz", host=HOST, version=b"HTTP/1.1", method=b"GET", body=b""):
    first = b" ".join((method, path, version))
    hosts = (b"Host: " + host,) if host is not None else ()
    return lines(first, *hosts, *headers, body=body)


def post(*headers, path=b"/api/tasks", body=b"", token=TOKEN, host=HOST, **more):
    """A request whose body has no length yet, unless a header gives it one."""
    rights = (b"Authorization: Bearer " + token,) if token else ()
    kind = (b"Content-Type: application/json",)
    return get(*rights, *kind, *headers, path=path, method=b"POST", body=body, host=host, **more)


def length(body):
    return b"Content-Length: %d" % len(body)


def chunked(*pieces, end=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


TASK = b'{"type":"outer"}'
HIDDEN_BODY = b'{"type":"%s"}' % HIDDEN_TYPE.encode()
#: What an attacker wants to be taken for a request of its own.
HIDDEN = post(length(HIDDEN_BODY), body=HIDDEN_BODY)
CHUNKED = b"Transfer-Encoding: chunked"
GOOD_CHUNKS = chunked(TASK)
BOMB = gzip.compress(b'{"type":"outer","payload":"' + b"0" * (8 << 20) + b'"}')


def refused(name, data, *statuses):
    """Not understood: 400, the end, and nothing behind it is looked at."""
    return Attack(name, data, (statuses or (400,),), CLOSED)


def with_length(name, *values):
    """A wrong Content-Length; read in some other way, the hidden request would follow."""
    headers = [b"Content-Length: " + value for value in values]
    return refused("length: " + name, post(*headers, body=b"{} " + HIDDEN))


def with_coding(name, *headers, body=b"0\r\n\r\n" + HIDDEN):
    return refused("coding: " + name, post(*headers, body=body))


def with_chunks(name, body):
    return refused("chunk: " + name, post(CHUNKED, body=body + HIDDEN))


def headed(name, *headers):
    return refused("head: " + name, get(*headers) + HIDDEN)


LENGTHS = [
    refused(
        "length: with a coding",
        post(b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\n" + HIDDEN),
    ),
    refused(
        "length: behind a coding",
        post(CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n" + HIDDEN),
    ),
    with_length("twice, equal", b"3", b"3"),
    with_length("twice, different", b"3", b"0"),
    with_length("plus", b"+3"),
    with_length("list", b"3,3"),
    with_length("list with space", b"3, 3"),
    with_length("list, different", b"3, 0"),
    with_length("negative", b"-3"),
    with_length("negative zero", b"-0"),
    refused(
        "length: beyond 63 bits",
        post(b"Content-Length: 9223372036854775808", body=b"{} " + HIDDEN),
        400, 413,
    ),
    with_length("beyond 64 bits", b"18446744073709551619"),
    with_length("hundreds of digits", b"9" * 400),
    with_length("hexadecimal", b"0x3"),
    with_length("empty", b""),
    with_length("fraction", b"3.0"),
    with_length("exponent", b"3e0"),
    with_length("two numbers", b"3 3"),
    with_length("underscore", b"3_0"),
    with_length("letters", b"three"),
    with_length("full-width digit", "\uff13".encode()),
    refused("length: space before the colon", post(b"Content-Length : 3", body=b"{} " + HIDDEN)),
]
CODINGS = [
    with_coding("xchunked", b"Transfer-Encoding: xchunked"),
    with_coding("chunked, identity", b"Transfer-Encoding: chunked, identity"),
    with_coding("identity, chunked", b"Transfer-Encoding: identity, chunked"),
    with_coding("gzip, chunked", b"Transfer-Encoding: gzip, chunked"),
    with_coding("identity", b"Transfer-Encoding: identity"),
    with_coding("chunked twice in one", b"Transfer-Encoding: chunked, chunked"),
    with_coding("chunked twice in two", CHUNKED, CHUNKED),
    with_coding("chunked then identity in two", CHUNKED, b"Transfer-Encoding: identity"),
    with_coding("empty", b"Transfer-Encoding: "),
    with_coding("with a parameter", b"Transfer-Encoding: chunked;q=1"),
    with_coding("quoted", b'Transfer-Encoding: "chunked"'),
    with_coding("space before the colon", b"Transfer-Encoding : chunked"),
    with_coding("tab before the colon", b"Transfer-Encoding\t: chunked"),
    with_coding("vertical tab", b"Transfer-Encoding: \x0bchunked"),
    with_coding("form feed", b"Transfer-Encoding: chunked\x0c"),
    with_coding("NUL", b"Transfer-Encoding: chunked\x00"),
    with_coding("folded", b"Transfer-Encoding:\r\n chunked"),
    with_coding("folded behind another", b"X-A: 1\r\n Transfer-Encoding: chunked"),
    with_coding("behind a bare LF", b"X-A: 1\nTransfer-Encoding: chunked"),
    with_coding("behind a bare CR", b"X-A: 1\rTransfer-Encoding: chunked"),
    refused("coding: HTTP/1.0", post(CHUNKED, version=b"HTTP/1.0", body=GOOD_CHUNKS + HIDDEN)),
    Attack(
        "coding: upper case is the same coding",
        post(b"TRANSFER-ENCODING: CHUNKED", body=GOOD_CHUNKS),
        (201,),
        OPEN,
    ),
]
CHUNKS = [
    with_chunks("0x before the size", b"0x3\r\n{} \r\n0\r\n\r\n"),
    with_chunks("negative", b"-3\r\n{} \r\n0\r\n\r\n"),
    with_chunks("plus", b"+3\r\n{} \r\n0\r\n\r\n"),
    with_chunks("beyond 64 bits", b"10000000000000003\r\n{} \r\n0\r\n\r\n"),
    with_chunks("all bits", b"FFFFFFFFFFFFFFFFFF\r\n{} \r\n0\r\n\r\n"),
    with_chunks("no size", b"\r\n{} \r\n0\r\n\r\n"),
    with_chunks("no digit", b"g\r\n{} \r\n0\r\n\r\n"),
    with_chunks("space before the size", b" 3\r\n{} \r\n0\r\n\r\n"),
    with_chunks("space in the size", b"1 0\r\n{} \r\n0\r\n\r\n"),
    with_chunks("longer than it says", b"3\r\n{}  \r\n0\r\n\r\n"),
    with_chunks("other bytes for CRLF", b"3\r\n{} XX0\r\n\r\n"),
    with_chunks("LF for CRLF after the size", b"3\n{} \r\n0\r\n\r\n"),
    with_chunks("LF for CRLF after the data", b"3\r\n{} \n0\r\n\r\n"),
    with_chunks("CR for CRLF after the size", b"3\r{} \r\n0\r\n\r\n"),
    with_chunks("LF in an extension", b"3;a\nb\r\n{} \r\n0\r\n\r\n"),
    with_chunks("CR in an extension", b"3;a\rb\r\n{} \r\n0\r\n\r\n"),
    with_chunks("NUL in an extension", b"3;a\x00b\r\n{} \r\n0\r\n\r\n"),
    with_chunks("LF ends the trailers", b"3\r\n{} \r\n0\r\n\n"),
    refused(
        "chunk: extension of 64 KiB",
        post(CHUNKED, body=b"3;" + b"x" * 65536 + b"\r\n{} \r\n0\r\n\r\n"),
        400, 413, None,
    ),
    refused(
        "chunk: extensions that add up",
        post(CHUNKED, body=(b"1;" + b"x" * 1000 + b"\r\n \r\n") * 2000 + b"2\r\n{}\r\n0\r\n\r\n"),
        400, 413, None,
    ),
    refused(
        "chunk: 64 KiB of zeros in a size",
        post(CHUNKED, body=b"0" * 65536 + b"3\r\n{} \r\n0\r\n\r\n"),
        400, 413, None,
    ),
    refused(
        "chunk: 200 trailers",
        post(CHUNKED, body=b"2\r\n{}\r\n0\r\n" + b"A: b\r\n" * 200 + b"\r\n"),
        400, 431,
    ),
    refused(
        "chunk: trailers of 40 KB",
        post(CHUNKED, body=b"2\r\n{}\r\n0\r\nA: " + b"b" * 40_000 + b"\r\n\r\n"),
        400, 431,
    ),
    Attack(
        "chunk: a trailer gives no rights",
        post(
            CHUNKED, token=None,
            body=chunked(TASK, end=b"0\r\nAuthorization: Bearer " + TOKEN + b"\r\n\r\n"),
        ),
        (401,),
        HONEST,
    ),
    Attack(
        "chunk: a trailer gives no length",
        post(CHUNKED, body=chunked(TASK, end=b"0\r\nContent-Length: 500\r\n\r\n")),
        ((201, 400),),
        HONEST,
    ),
    Attack("chunk: a request in the data", post(CHUNKED, body=chunked(HIDDEN)), (400,), OPEN),
]
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
    refused("line: a TLS client hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 64),
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
    refused("head: 48 KB in all", get(*[b"X-%d: %s" % (n, b"b" * 800) for n in range(60)]), 400, 431),
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
UPGRADE = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")
UPGRADES = [
    Attack("upgrade: h2c", get(*UPGRADE), (200,), CLOSED),
    Attack("upgrade: h2c with a body", post(*UPGRADE, length(TASK), body=TASK), (201,), CLOSED),
    Attack(
        "upgrade: h2c with chunks", post(*UPGRADE, CHUNKED, body=GOOD_CHUNKS), (201,), CLOSED
    ),
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
            b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ),
        (200,),
        HONEST,
    ),
]
EXPECT = b"Expect: 100-continue"
EXPECTATIONS = [
    Attack("expect: refused rights", post(EXPECT, length(TASK), token=b"x" * 40), (401,), CLOSED),
    Attack("expect: no rights", post(EXPECT, b"Content-Length: 1000000", token=None), (401,), CLOSED),
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
HIDING = [
    Attack("hidden: in the body of a GET", get(length(HIDDEN), body=HIDDEN), (200,), OPEN),
    Attack(
        "hidden: in the body of a HEAD",
        get(length(HIDDEN), method=b"HEAD", body=HIDDEN),
        (200,),
        OPEN,
        to="HEAD",
    ),
    Attack("hidden: in a refused body", post(length(HIDDEN), body=HIDDEN), (400,), OPEN),
    Attack(
        "hidden: in a body without rights",
        post(length(HIDDEN), body=HIDDEN, token=None),
        (401,),
        HONEST,
    ),
    Attack(
        "hidden: in a body to nowhere",
        post(length(HIDDEN), body=HIDDEN, path=b"/api/none"),
        (404,),
        HONEST,
    ),
    Attack(
        "hidden: in a body with a coding",
        post(length(HIDDEN), b"Content-Encoding: gzip", body=HIDDEN),
        (415,),
        HONEST,
    ),
    Attack(
        "hidden: at the start of a large body",
        post(b"Content-Length: 100000000", body=HIDDEN),
        (413,),
        CLOSED,
    ),
    Attack(
        "hidden: in a body that was not asked for",
        post(EXPECT, length(HIDDEN), body=HIDDEN, token=None),
        (401,),
        HONEST,
    ),
    Attack(
        "hidden: behind a second request",
        get() + get(path=b"/api/none") + post(b"Content-Length: 3", CHUNKED, body=HIDDEN),
        (200, 404, 400),
        CLOSED,
    ),
]
ENCODED = [
    Attack(f"encoded: {name}", post(b"Content-Encoding: " + name.encode(), length(body), body=body),
           (415,), HONEST)
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
        "encoded: a gzip bomb", post(b"Content-Encoding: gzip", length(BOMB), body=BOMB), (415,), HONEST
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
        b"/%61pi/stats", b"/api/%73tats", b"/api%2fstats", b"/api//stats", b"//api/stats",
        b"/api/./stats", b"/healthz/../api/stats", b"/healthz/%2e%2e/api/stats",
        b"/healthz/..%2fapi%2fstats", b"/healthz;/../api/stats", b"/api/stats;x", b"/api/stats/",
        b"/api/stats%00", b"/api/stats%0d%0aX-A:%20b", b"/api/stats%20", b"/api/stats.", b"/API/stats",
        b"/api/stats%23", b"/api/stats%3f", b"/api\\stats", b"/..%5c..%5cetc%5cpasswd",
        b"/../../../etc/passwd", b"/%2e%2e/%2e%2e/etc/passwd", b"/%252e%252e/etc/passwd",
        b"/%c0%ae%c0%ae/etc/passwd", b"/api/tasks/%zz", b"/api/tasks/%", b"/api/tasks/%f",
        b"/healthz/..;/api/stats", b"/.git/config", b"/%",
    )
]
ATTACKS = [
    *LENGTHS, *CODINGS, *CHUNKS, *FIRST_LINES, *HEADERS, *UPGRADES, *EXPECTATIONS, *HIDING,
    *ENCODED, *PATHS,
]
