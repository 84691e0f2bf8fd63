# SPDX-License-Identifier: Apache-2.0
# Well-formed JSON that is wrong: each answer names code and field, is quick, and stores nothing.

import json

import pytest

from harness.api import assert_problem, nothing_stored


@pytest.fixture(scope="module")
def empty(make_server):
    """A server on which nothing may ever be stored."""
    return make_server()


def quick(answers, within=50):
    fastest = min(answer.milliseconds for answer in answers)
    assert fastest <= within, f"{fastest:.1f} ms"


def refused(empty, body, path, status=422):
    answers = [empty.api.post("/api/tasks", {"type": "never", **body}) for _ in range(5)]
    problem = assert_problem(answers[0], status, path=path)
    known = path in ALLOWED or path in ALLOWED["retry"]
    wanted = "invalid_field" if known else "unknown_field"
    assert problem["code"] == ("missing_field" if body == {"type": None} else wanted), problem
    quick(answers)
    assert empty.alive and nothing_stored(empty)
    return problem


ALLOWED = {
    "type": (),
    "payload": (),
    "agentType": (),
    "requires": (),
    "selector": (),
    "labels": (),
    "priority": (),
    "key": (),
    "idempotencyKey": (),
    "runAt": (),
    "deadline": (),
    "timeout": (),
    "retry": ("maxAttempts", "backoff", "base", "factor", "cap", "jitter"),
}
BAD_FIELDS = [
    ({"unknown": 1}, "unknown"),
    ({"state": "completed"}, "state"),
    ({"id": "x"}, "id"),
    ({"attempt": 5}, "attempt"),
    ({"agentId": "a"}, "agentId"),
    ({"createdAt": "x"}, "createdAt"),
    ({"retryOf": "x"}, "retryOf"),
    ({"Type": "x"}, "Type"),
    ({"type ": "x"}, "type "),
    ({"type": ""}, "type"),
    ({"type": "a b"}, "type"),
    ({"type": "x" * 129}, "type"),
    ({"type": "é"}, "type"),
    ({"type": 5}, "type"),
    ({"type": None}, "type"),
    ({"type": "a\nb"}, "type"),
    ({"agentType": "robot"}, "agentType"),
    ({"agentType": "HTTP"}, "agentType"),
    ({"agentType": 1}, "agentType"),
    ({"requires": "x"}, "requires"),
    ({"requires": [1]}, "requires"),
    ({"selector": []}, "selector"),
    ({"selector": {"a": 1}}, "selector"),
    ({"labels": {"a": 1}}, "labels"),
    ({"labels": {"x" * 129: "y"}}, "labels"),
    ({"labels": {"x": "y" * 129}}, "labels"),
    ({"labels": {f"k{i}": "v" for i in range(33)}}, "labels"),
    ({"labels": "a:b"}, "labels"),
    ({"priority": 10}, "priority"),
    ({"priority": -1}, "priority"),
    ({"priority": "urgent"}, "priority"),
    ({"priority": 5.5}, "priority"),
    ({"priority": True}, "priority"),
    ({"priority": 10**30}, "priority"),
    ({"priority": []}, "priority"),
    ({"key": ""}, "key"),
    ({"key": "x" * 129}, "key"),
    ({"key": 1}, "key"),
    ({"idempotencyKey": 1}, "idempotencyKey"),
    ({"idempotencyKey": "x" * 129}, "idempotencyKey"),
    ({"runAt": "tomorrow"}, "runAt"),
    ({"runAt": 5}, "runAt"),
    ({"runAt": "2026-13-01T00:00:00Z"}, "runAt"),
    ({"runAt": "2026-02-30T00:00:00Z"}, "runAt"),
    ({"runAt": "2026-01-01"}, "runAt"),
    ({"deadline": "2001-01-01T00:00:00.000Z"}, "deadline"),
    ({"deadline": ""}, "deadline"),
    ({"deadline": "2099-01-01T25:00:00Z"}, "deadline"),
    ({"deadline": 4102444800}, "deadline"),
    ({"timeout": 0}, "timeout"),
    ({"timeout": -1}, "timeout"),
    ({"timeout": "1s"}, "timeout"),
    ({"timeout": 1.5}, "timeout"),
    ({"timeout": 10**18}, "timeout"),
    ({"timeout": 1e300}, "timeout"),
    ({"retry": 3}, "retry"),
    ({"retry": {"attempts": 3}}, "attempts"),
    ({"retry": {"maxAttempts": 0}}, "maxAttempts"),
    ({"retry": {"maxAttempts": -1}}, "maxAttempts"),
    ({"retry": {"maxAttempts": 10**12}}, "maxAttempts"),
    ({"retry": {"backoff": "linear"}}, "backoff"),
    ({"retry": {"base": -1}}, "base"),
    ({"retry": {"factor": -2}}, "factor"),
    ({"retry": {"cap": -1}}, "cap"),
    ({"retry": {"jitter": 2}}, "jitter"),
    ({"retry": {"jitter": -0.1}}, "jitter"),
    ({"retry": {"base": "5s"}}, "base"),
]


@pytest.mark.parametrize("body,path", BAD_FIELDS, ids=lambda value: json.dumps(value)[:60])
def test_bad_field(empty, body, path):
    refused(empty, body, path)


def test_type_is_required(empty):
    answer = empty.api.post("/api/tasks", {"payload": {}})
    assert_problem(answer, 422, "missing_field", path="type")


def test_the_code_is_stable(empty):
    codes = {refused(empty, {"priority": bad}, "priority")["code"] for bad in (10, -1)}
    assert len(codes) == 1
    code = codes.pop()
    assert code == code.lower() and " " not in code


def test_a_problem_does_not_repeat_long_input(empty):
    answer = empty.api.post("/api/tasks", {"type": "z" * 100_000})
    assert_problem(answer, 422, path="type")
    assert len(answer.body) < 4096


@pytest.mark.parametrize(
    "query",
    [
        "cursor=x",
        "cursor=" + "A" * 300,
        "cursor=%00",
        "cursor=eyJhIjoxfQ",
        "limit=0",
        "limit=-1",
        "limit=201",
        "limit=ten",
        "limit=99999999999999999999",
        "state=done",
        "state=QUEUED",
        "since=yesterday",
        "until=5",
        "needsAttention=maybe",
        "label=x",
        "label=",
        "agent=%27",
    ],
)
def test_bad_query(empty, query):
    answers = [empty.api.get("/api/tasks?" + query) for _ in range(3)]
    name = query.split("=")[0]
    code = "invalid_cursor" if name == "cursor" else "invalid_query"
    assert_problem(answers[0], 400, code, path=name)
    quick(answers)


@pytest.mark.parametrize(
    "query", ["timeoutSeconds=-1", "timeoutSeconds=x", "timeoutSeconds=99999999999999999"]
)
def test_bad_wait(api, kind, query):
    answer = api.get(f"/api/tasks/{api.submit(kind)}/wait?{query}", timeout=5)
    assert_problem(answer, 400, "invalid_query", path="timeoutSeconds")


@pytest.mark.parametrize(
    "task_id",
    [
        "x",
        "..%2f..%2fetc%2fpasswd",
        "01JD000000000000000000000",
        "01JD0000000000000000000000Z1",
        "%00",
        "'",
        "81JD0000000000000000000001",
        "01jd0000000000000000000001%20",
        "%F0%9F%98%80",
        "A" * 5000,
    ],
)
def test_bad_task_ids(api, task_id):
    for method, tail in (("GET", ""), ("POST", "/cancel"), ("GET", "/logs")):
        answer = api.call(method, f"/api/tasks/{task_id}{tail}")
        assert answer.status in (400, 404, 414, 422), repr(answer)
        assert answer.headers["content-type"].startswith("application/problem+json"), repr(answer)


@pytest.mark.parametrize("ndjson", [False, True])
@pytest.mark.parametrize(
    "bad", [{"type": "never", "priority": 99}, {"type": ""}, {"type": "a", "zz": 1}, {}]
)
@pytest.mark.parametrize("place", [0, 3, 5])
def test_bulk_is_all_or_nothing(empty, ndjson, bad, place):
    tasks = [{"type": "never"} for _ in range(5)]
    tasks.insert(place, bad)
    problem = assert_problem(empty.api.bulk(tasks, ndjson), 422)
    assert problem["path"].startswith(f"[{place}]"), problem
    assert nothing_stored(empty)


@pytest.mark.parametrize(
    "raw,kind",
    [
        (b'[{"type":"a"},]', "json"),
        (b'[{"type":"a"}', "json"),
        (b'{"type":"a"}{"type":"b"}\n', "x-ndjson"),
        (b'{"type":"a"}\n{"type":\n', "x-ndjson"),
        (b'{"type":"a"}\n\xff\n', "x-ndjson"),
        (b'[{"type":"a","type":"b"}]', "json"),
        (b'{"type":"a"}\n[' + b"[" * 100 + b"\n", "x-ndjson"),
        (b"", "json"),
        (b"{}", "json"),
    ],
)
def test_broken_bulk(empty, raw, kind):
    answer = empty.api.post(
        "/api/tasks/bulk", raw=raw, headers=[("content-type", "application/" + kind)]
    )
    assert answer.status in ((400, 422) if raw in (b"", b"{}") else (400,)), repr(answer)
    assert_problem(answer, answer.status)
    assert nothing_stored(empty)


@pytest.mark.parametrize("ndjson", [False, True])
def test_bulk_of_more_than_10000(empty, ndjson):
    answer = empty.api.bulk([{"type": "never"}] * 10_001, ndjson)
    assert answer.status in (413, 422), repr(answer)
    assert_problem(answer, answer.status)
    assert nothing_stored(empty)


@pytest.mark.parametrize("ndjson", [False, True])
def test_bulk_of_10000(api, kind, ndjson):
    answer = api.bulk([{"type": kind}] * 10_000, ndjson)
    assert answer.status == 201 and len(set(answer.json["taskIds"])) == 10_000


AGENT = {"name": "a", "type": "http", "capabilities": ["x"]}


@pytest.mark.parametrize(
    "change,path",
    [
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"type": "robot"}, "type"),
        ({"type": None}, "type"),
        ({"capabilities": "x"}, "capabilities"),
        ({"capabilities": [""]}, "capabilities"),
        ({"capabilities": ["a b"]}, "capabilities"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": "4"}, "concurrency"),
        ({"concurrency": 10**12}, "concurrency"),
        ({"leaseSeconds": 0}, "leaseSeconds"),
        ({"leaseSeconds": -5}, "leaseSeconds"),
        ({"labels": {"a": 1}}, "labels"),
        ({"answers": "maybe"}, "answers"),
        ({"endpoint": "nonsense"}, "endpoint"),
        ({"endpoint": ""}, "endpoint"),
        ({"endpoint": "ftp://example.com/"}, "endpoint"),
        ({"endpoint": 5}, "endpoint"),
        ({"endpoint": "https://"}, "endpoint"),
        ({"endpoint": "https://u:p@example.com/"}, "endpoint"),
        ({"endpoint": "https://example.com:99999/"}, "endpoint"),
        ({"healthUrl": "x"}, "healthUrl"),
        ({"cancelEndpoint": "javascript:alert(1)"}, "cancelEndpoint"),
        ({"endpoint": "http+unix://%2Ftmp%2Fx/"}, "endpoint"),
        ({"endpoint": "unix:///tmp/x"}, "endpoint"),
        ({"endpoint": "https://example.com/\r\nx: y"}, "endpoint"),
    ],
)
def test_bad_agents(empty, change, path):
    before = len(empty.api.agents())
    answers = [empty.api.post("/api/agents", {**AGENT, **change}) for _ in range(3)]
    assert_problem(answers[0], 422, path=path)
    quick(answers)
    assert len(empty.api.agents()) == before


@pytest.mark.parametrize("field", ["secret", "id", "state", "extra"])
def test_registration_refuses_what_it_does_not_know(api, kind, field):
    body = {"name": kind, "type": "http", "capabilities": [kind], field: "x"}
    assert_problem(api.post("/api/agents", body), 422, "unknown_field", path=field)
    assert kind not in str(api.agents())


@pytest.mark.parametrize(
    "body,path",
    [
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": -1}, "concurrency"),
        ({"paused": "yes"}, "paused"),
        ({"ratePerSecond": -1}, "ratePerSecond"),
        ({"perKey": {"x": 1}}, "x"),
        ({"unknown": 1}, "unknown"),
        ({"perKey": {"concurrency": -1}}, "concurrency"),
        ({"ratePerSecond": "fast"}, "ratePerSecond"),
    ],
)
def test_bad_type_limits(api, kind, body, path):
    assert_problem(api.patch(f"/api/types/{kind}", body), 422, path=path)


def test_unknown_routes_and_methods(api):
    assert_problem(api.get("/api/nothing"), 404)
    for method, path in (("PUT", "/api/tasks"), ("DELETE", "/api/stats"), ("POST", "/healthz")):
        answer = api.call(method, path)
        assert answer.status in (404, 405), repr(answer)
        assert answer.headers["content-type"].startswith("application/problem+json")


def test_a_task_nobody_can_do_is_accepted_and_says_why(api, kind):
    answer = api.post(
        "/api/tasks", {"type": kind, "requires": ["moon"], "selector": {"zone": "mars"}}
    )
    assert answer.status == 201
    assert api.task(answer.json["taskId"])["waitingFor"] == "no_agent"
