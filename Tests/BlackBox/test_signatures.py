# SPDX-License-Identifier: Apache-2.0
# Signature checks of the real server: what passes, what does not, and one 401 body for all of it.

import base64
import hashlib
import hmac
import json
import time
import uuid

import pytest

from harness import signing
from harness.http import raw_exchange
from harness.pull_agent import PullAgent
from harness.wait import fresh_second

DUMMY = "whsec_" + base64.b64encode(b"\x01" * 32).decode()


@pytest.fixture
def held(server, api, kind):
    """An agent holding one task: (agent, body of a success, task id)."""
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    body = json.dumps(agent.report(agent.take(), data={"é": "☃"}), ensure_ascii=False).encode()
    return agent, body, task_id


def change(headers, name, value):
    return [(key, value if key == name else old) for key, old in headers]


def without(headers, name):
    return [(key, value) for key, value in headers if key != name]


def accepted(server, held, headers, body=None):
    agent, sent, task_id = held
    answer = agent.callback(raw=sent if body is None else body, headers=headers)
    assert answer.status == 200, repr(answer)
    assert server.api.task(task_id)["state"] == "completed"


def refused(server, held, headers, body=None):
    """401 with the same body as any other failure, and nothing changed."""
    agent, sent, task_id = held
    answer = agent.callback(raw=sent if body is None else body, headers=headers)
    assert answer.status == 401, repr(answer)
    assert plain(answer) == plain(reference(server)), "every failure has the same body"
    assert server.api.task(task_id)["state"] == "running"
    assert agent.callback(raw=sent).status == 200, "the right one still works"


def reference(server):
    """The 401 of an agent that never was."""
    body = b'{"taskId":"01JD0000000000000000000009","status":"success"}'
    headers = signing.standard(DUMMY, "never-was-" + uuid.uuid4().hex, body)
    sent = [("content-type", "application/json"), *headers]
    answer = server.connection().send("POST", "/api/agent-callback", sent, body)
    assert answer.status == 401, repr(answer)
    return answer


def plain(answer):
    """A problem without the one member that may differ."""
    return {key: value for key, value in answer.json.items() if key != "requestId"}


@pytest.mark.parametrize("scheme", ["standard", "compat"])
@pytest.mark.parametrize("delta", [0, -299, 299])
def test_good(server, held, scheme, delta):
    agent, body, _ = held
    if scheme == "standard":
        headers = agent.signed(body, timestamp=int(time.time()) + delta)
    else:
        headers = agent.signed(body, "compat", timestamp=int((time.time() + delta) * 1000))
    accepted(server, held, headers)


def test_exactly_300_seconds_ahead(server, held):
    agent, body, _ = held
    fresh_second()
    accepted(server, held, agent.signed(body, timestamp=int(time.time()) + 300))


@pytest.mark.parametrize("scheme", ["standard", "compat"])
@pytest.mark.parametrize("delta", [-302, 302, -3600, 10**8, -(10**8)])
def test_clock_too_far(server, held, scheme, delta):
    agent, body, _ = held
    now = int(time.time()) + delta
    stamp = now if scheme == "standard" else now * 1000
    refused(server, held, agent.signed(body, scheme, timestamp=stamp))


@pytest.mark.parametrize(
    "make",
    [
        lambda now: "",
        lambda now: "-1",
        lambda now: f"+{now}",
        lambda now: "1e9",
        lambda now: f"0{now}",
        lambda now: f"{now}.0",
        lambda now: "9223372036854775808",
        lambda now: "-9223372036854775808",
        lambda now: "1" * 40,
        lambda now: "1" + "0" * 308,
        lambda now: f"{now}000",
        lambda now: "0x5",
        lambda now: "".join(chr(0xFF10 + int(digit)) for digit in str(now)),
        lambda now: f"{now} {now}",
        lambda now: "NaN",
        lambda now: f"{now},",
        lambda now: "٠" * 10,
    ],
)
def test_standard_timestamp_forms(server, held, make):
    agent, body, _ = held
    stamp = make(int(time.time()))
    refused(server, held, agent.signed(body, timestamp=stamp))


@pytest.mark.parametrize(
    "make",
    [
        lambda now: "",
        lambda now: "-1",
        lambda now: f"+{now}",
        lambda now: f"0{now}",
        lambda now: f"{now}000",
        lambda now: str(now // 1000),
        lambda now: "1" * 40,
        lambda now: "9223372036854775807",
        lambda now: "1e12",
    ],
)
def test_compat_timestamp_forms(server, held, make):
    agent, body, _ = held
    stamp = make(int(time.time() * 1000))
    refused(server, held, agent.signed(body, "compat", timestamp=stamp))


@pytest.mark.parametrize("scheme", ["standard", "compat"])
@pytest.mark.parametrize(
    "alter",
    [
        lambda b: b[:-1] + b" }",
        lambda b: b + b"\r\n",
        lambda b: b"\xef\xbb\xbf" + b,
        lambda b: json.dumps(json.loads(b)).encode(),
        lambda b: b.replace(b"success", b"failure"),
        lambda b: b"",
        lambda b: b.replace("é".encode(), b"e\xcc\x81"),
    ],
    ids=["space", "crlf", "bom", "reserialised", "status", "empty", "decomposed"],
)
def test_other_bytes_than_signed(server, held, scheme, alter):
    agent, body, _ = held
    refused(server, held, agent.signed(body, scheme), alter(body))


@pytest.mark.parametrize(
    "name", ["x-agent-id", "webhook-id", "webhook-timestamp", "webhook-signature"]
)
def test_standard_header_missing_or_empty(server, held, name):
    agent, body, _ = held
    refused(server, held, without(agent.signed(body), name))


@pytest.mark.parametrize("name", ["x-agent-id", "x-agent-timestamp", "x-agent-signature"])
def test_compat_header_missing(server, held, name):
    agent, body, _ = held
    refused(server, held, without(agent.signed(body, "compat"), name))


@pytest.mark.parametrize(
    "scheme,name",
    [
        ("standard", "x-agent-id"),
        ("standard", "webhook-id"),
        ("standard", "webhook-timestamp"),
        ("standard", "webhook-signature"),
        ("compat", "x-agent-id"),
        ("compat", "x-agent-timestamp"),
        ("compat", "x-agent-signature"),
    ],
)
def test_header_twice(server, held, scheme, name):
    agent, body, _ = held
    headers = agent.signed(body, scheme)
    refused(server, held, headers + [(name, dict(headers)[name])])


@pytest.mark.parametrize("name", ["x-agent-id", "webhook-signature"])
def test_header_empty(server, held, name):
    agent, body, _ = held
    refused(server, held, change(agent.signed(body), name, ""))


def test_no_signature_at_all(server, held):
    refused(server, held, [("x-agent-id", held[0].id)])


def test_both_schemes_at_once(server, held):
    agent, body, _ = held
    refused(server, held, agent.signed(body) + agent.signed(body, "compat")[1:])


@pytest.mark.parametrize(
    "alter",
    [
        lambda s: s.upper(),
        lambda s: s[:-1],
        lambda s: s + "0",
        lambda s: s[:32],
        lambda s: s[:1],
        lambda s: "sha256=" + s,
        lambda s: base64.b64encode(bytes.fromhex(s)).decode(),
        lambda s: "0" * 64,
        lambda s: s + " " + s,
    ],
)
def test_compat_signature_forms(server, held, alter):
    agent, body, _ = held
    headers = agent.signed(body, "compat")
    refused(
        server,
        held,
        change(headers, "x-agent-signature", alter(dict(headers)["x-agent-signature"])),
    )


@pytest.mark.parametrize(
    "alter",
    [
        lambda s: s[3:],
        lambda s: "v2," + s[3:],
        lambda s: "v1a," + s[3:],
        lambda s: s[:-2],
        lambda s: "v1,",
        lambda s: "v1," + base64.b64decode(s[3:]).hex(),
        lambda s: "V1," + s[3:],
        lambda s: s.replace(",", ", "),
        lambda s: " ".join(["v1,AAAA"] * 4 + [s]),
        lambda s: "v1=" + s[3:],
    ],
)
def test_standard_signature_forms(server, held, alter):
    agent, body, _ = held
    headers = agent.signed(body)
    refused(
        server,
        held,
        change(headers, "webhook-signature", alter(dict(headers)["webhook-signature"])),
    )


@pytest.mark.parametrize(
    "alter",
    [lambda s: "v2,AAAA " + s, lambda s: " ".join(["v1,AAAA"] * 3 + [s]), lambda s: s + " v1,AAAA"],
)
def test_standard_signature_among_others(server, held, alter):
    agent, body, _ = held
    headers = agent.signed(body)
    accepted(
        server,
        held,
        change(headers, "webhook-signature", alter(dict(headers)["webhook-signature"])),
    )


def test_id_changed_after_signing(server, held):
    agent, body, _ = held
    refused(server, held, change(agent.signed(body), "webhook-id", "msg_other"))


@pytest.mark.parametrize("scheme", ["standard", "compat"])
def test_wrong_secret(server, held, scheme):
    agent, body, _ = held
    refused(server, held, getattr(signing, scheme)(DUMMY, agent.id, body))


def test_key_of_the_other_scheme(server, held):
    """`compat` takes the secret's text, `standard` its decoded bytes; not the other way round."""
    agent, body, _ = held
    stamp = str(int(time.time() * 1000))
    digest = hmac.new(signing.standard_key(agent.secret), stamp.encode() + body, hashlib.sha256)
    refused(
        server,
        held,
        [
            ("x-agent-id", agent.id),
            ("x-agent-timestamp", stamp),
            ("x-agent-signature", digest.hexdigest()),
        ],
    )


def test_digit_moved_between_timestamp_and_body(server, held):
    """compat has no delimiter: ts `17…1` + body `{` may not pass as ts `17…` + body `1{`."""
    agent, body, _ = held
    stamp = int(time.time() * 1000)
    headers = agent.signed(body, "compat", timestamp=stamp)
    moved = change(headers, "x-agent-timestamp", str(stamp)[:-1])
    refused(server, held, moved, str(stamp)[-1].encode() + body)


@pytest.mark.parametrize("bad", ["a b", "é", "x" * 129, "a/b", 'a"b', "' OR 1=1--"])
def test_agent_ids_outside_the_grammar(server, held, bad):
    agent, body, _ = held
    refused(server, held, change(agent.signed(body), "x-agent-id", bad))


def test_id_of_another_case_is_another_agent(server, held):
    agent, body, _ = held
    if agent.id.swapcase() != agent.id:
        refused(server, held, change(agent.signed(body), "x-agent-id", agent.id.swapcase()))


def test_newline_in_a_timestamp_is_no_request(server, held):
    agent, body, _ = held
    lines = [f"{name}: {value}" for name, value in agent.signed(body)]
    lines = [line + "\n" if line.startswith("webhook-timestamp") else line for line in lines]
    head = (
        "\r\n".join(
            [
                "POST /api/agent-callback HTTP/1.1",
                "host: x",
                "content-type: application/json",
                f"content-length: {len(body)}",
                *lines,
            ]
        )
        + "\r\n\r\n"
    )
    got, _ = raw_exchange("127.0.0.1", server.port, [head.encode() + body], timeout=5)
    assert got.split(b" ")[1] in (b"400", b"401"), got[:200]


@pytest.mark.parametrize("path", ["lease", "heartbeat"])
def test_lease_and_heartbeat_are_signed_too(server, held, path):
    agent, _, _ = held
    body = b'{"max":1,"waitSeconds":0,"status":"active","running":[]}'
    wrong = signing.standard(DUMMY, agent.id, body)
    assert agent.call(f"/api/agents/{agent.id}/{path}", raw=body, headers=wrong).status == 401
    assert agent.call(f"/api/agents/{agent.id}/{path}", raw=body, headers=[]).status == 401


def test_lease_for_another_agents_id(server, held, kind):
    agent, _, _ = held
    other = PullAgent.register(server, [kind], name=kind + "-2")
    server.api.submit(kind)
    body = b'{"max":1,"waitSeconds":0}'
    answer = agent.call(f"/api/agents/{other.id}/lease", raw=body, headers=agent.signed(body))
    assert answer.status in (401, 404), repr(answer)


def test_an_operator_token_is_no_signature(server, held):
    agent, body, _ = held
    answer = server.api.post("/api/agent-callback", raw=body)
    assert answer.status == 401 and plain(answer) == plain(reference(server))


def test_no_compat_signatures(new_server):
    server = new_server(args=["--no-compat-signatures"])
    agent = PullAgent.register(server, ["a"])
    task_id = server.api.submit("a")
    body = json.dumps(agent.report(agent.take())).encode()
    held = (agent, body, task_id)
    refused(server, held, agent.signed(body, "compat"))
