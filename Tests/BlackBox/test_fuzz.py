# SPDX-License-Identifier: Apache-2.0
# Bounded fuzzing of bodies, headers and paths: always a problem or a success, never a dead process.

import json
import os
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import signing

EXAMPLES = int(os.environ.get("ORRERY_FUZZ_EXAMPLES", "150"))
CALM = dict(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = (
    "type",
    "payload",
    "agentType",
    "requires",
    "selector",
    "labels",
    "priority",
    "key",
    "idempotencyKey",
    "runAt",
    "deadline",
    "timeout",
    "retry",
)


@pytest.fixture(scope="module")
def target(make_server):
    return make_server()


def sane(server, answer):
    assert server.alive, "the process died"
    assert 200 <= answer.status < 500, repr(answer)
    if answer.status >= 400:
        problem = answer.json
        assert problem["status"] == answer.status and problem["code"], repr(answer)


@settings(**CALM)
@given(body=st.binary(max_size=200))
def test_any_bytes(target, body):
    answer = target.api.post("/api/tasks", raw=body)
    sane(target, answer)
    try:
        json.loads(body)
    except ValueError:
        assert answer.status == 400, repr(answer)


@settings(**CALM)
@given(body=st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=6), values, max_size=5))
def test_any_fields(target, body):
    if "type" not in body:
        body["type"] = "fuzz"
    answer = target.api.post("/api/tasks", body)
    sane(target, answer)
    if answer.status == 201:
        got = target.api.task(answer.json["taskId"])
        assert set(body) <= set(FIELDS) and got["payload"] == body.get("payload", {})


@settings(**CALM)
@given(payload=values)
def test_payloads_come_back_as_they_went_in(target, payload):
    answer = target.api.post("/api/tasks", {"type": "fuzz", "payload": payload})
    sane(target, answer)
    if answer.status == 201:
        assert target.api.task(answer.json["taskId"])["payload"] == payload


@settings(**CALM)
@given(prefix=st.integers(0, 60), junk=st.binary(min_size=1, max_size=4))
def test_one_place_of_a_good_body_changed(target, prefix, junk):
    good = b'{"type":"fuzz","payload":{"a":[1,2,{"b":"c"}]},"priority":5}'
    sane(
        target, target.api.post("/api/tasks", raw=good[:prefix] + junk + good[prefix + len(junk) :])
    )


@settings(**CALM)
@given(
    tail=st.text(string.printable.translate({ord(c): None for c in " \t\r\n\x0b\x0c"}), max_size=40)
)
def test_any_path(target, tail):
    sane(target, target.api.get("/api/tasks/" + tail))
    sane(target, target.api.get("/api/tasks?" + tail))


@settings(**CALM)
@given(
    stamp=st.text(string.digits + "+-.eE xX,", max_size=25),
    signature=st.text(string.ascii_letters + string.digits + "+/=, ", max_size=60),
    agent=st.text(string.ascii_letters + " .:-_/\\'\"", max_size=20),
)
def test_any_signature_headers(target, stamp, signature, agent):
    for headers in (
        [
            ("x-agent-id", agent),
            ("webhook-id", "m"),
            ("webhook-timestamp", stamp),
            ("webhook-signature", signature),
        ],
        [("x-agent-id", agent), ("x-agent-timestamp", stamp), ("x-agent-signature", signature)],
    ):
        answer = target.connection().send("POST", "/api/agent-callback", headers, b"{}")
        assert target.alive and answer.status in (400, 401), repr(answer)


@settings(**CALM)
@given(
    report=st.dictionaries(
        st.sampled_from(
            (
                "taskId",
                "agentId",
                "attempt",
                "leaseToken",
                "status",
                "timestamp",
                "duration",
                "results",
                "error",
                "progress",
                "message",
                "logs",
            )
        ),
        values,
        max_size=6,
    ),
    route=st.sampled_from(("callback", "progress")),
)
def test_any_well_signed_report(target, report, route):
    agent = signed_agent(target)
    path = (
        "/api/agent-callback"
        if route == "callback"
        else "/api/tasks/01JD0000000000000000000009/progress"
    )
    body = json.dumps(report).encode()
    headers = signing.standard(agent["secret"], agent["id"], body)
    answer = target.connection().send(
        "POST", path, [("content-type", "application/json"), *headers], body
    )
    sane(target, answer)
    assert answer.status >= 400, "no such task is held"


def signed_agent(target, known={}):
    if target.port not in known:
        known[target.port] = target.api.register("fuzz-agent", ["fuzz-none"])
    return known[target.port]
