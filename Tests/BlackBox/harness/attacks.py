# SPDX-License-Identifier: Apache-2.0
# Raw HTTP attacks on where a request ends: a name, the bytes, the answers that are right, and the
# fate of the connection. All are constants: the server under attack has this token.

import dataclasses

HOST = b"127.0.0.1"
TOKEN = b"attack-admin-token-0123456789abcdefghij"
HIDDEN_TYPE = "hidden-request"

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
EXPECT = b"Expect: 100-continue"


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
        400,
        413,
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
        400,
        413,
        None,
    ),
    refused(
        "chunk: extensions that add up",
        post(CHUNKED, body=(b"1;" + b"x" * 1000 + b"\r\n \r\n") * 2000 + b"2\r\n{}\r\n0\r\n\r\n"),
        400,
        413,
        None,
    ),
    refused(
        "chunk: 64 KiB of zeros in a size",
        post(CHUNKED, body=b"0" * 65536 + b"3\r\n{} \r\n0\r\n\r\n"),
        400,
        413,
        None,
    ),
    refused(
        "chunk: 200 trailers",
        post(CHUNKED, body=b"2\r\n{}\r\n0\r\n" + b"A: b\r\n" * 200 + b"\r\n"),
        400,
        431,
    ),
    refused(
        "chunk: trailers of 40 KB",
        post(CHUNKED, body=b"2\r\n{}\r\n0\r\nA: " + b"b" * 40_000 + b"\r\n\r\n"),
        400,
        431,
    ),
    Attack(
        "chunk: a trailer gives no rights",
        post(
            CHUNKED,
            token=None,
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
SMUGGLING = [*LENGTHS, *CODINGS, *CHUNKS, *HIDING]
