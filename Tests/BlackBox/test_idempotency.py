# SPDX-License-Identifier: Apache-2.0
# One idempotency key makes one task: header or body, alone, at once, in bulk and after a restart.

import json
import threading
import uuid

import pytest

from harness.api import assert_problem


@pytest.fixture
def key():
    return "key-" + uuid.uuid4().hex


def post(api, body, key=None):
    return api.post("/api/tasks", body, headers=[("idempotency-key", key)] if key else [])


def test_a_repeat_gets_200_and_the_first_id(api, kind, key):
    first = post(api, {"type": kind, "payload": {"a": 1}}, key)
    again = post(api, {"type": kind, "payload": {"a": 1}}, key)
    assert first.status == 201 and again.status == 200
    assert again.json["taskId"] == first.json["taskId"] and len(api.tasks(f"type={kind}")) == 1


@pytest.mark.parametrize("second", ["header", "body", "both"])
def test_header_and_body_are_the_same_key(api, kind, key, second):
    first = post(api, {"type": kind, "idempotencyKey": key})
    body = {"type": kind} if second == "header" else {"type": kind, "idempotencyKey": key}
    again = post(api, body, None if second == "body" else key)
    assert (first.status, again.status) == (201, 200)
    assert again.json["taskId"] == first.json["taskId"]


def test_both_only_if_equal(api, kind, key):
    assert_problem(post(api, {"type": kind, "idempotencyKey": key + "x"}, key), 422)
    assert api.tasks(f"type={kind}") == []


@pytest.mark.parametrize(
    "change",
    [
        {"payload": {"a": 2}},
        {"priority": 6},
        {"labels": {"x": "y"}},
        {"timeout": 1000},
        {"key": "k"},
        {"requires": ["x"]},
        {"retry": {"maxAttempts": 2}},
        {"deadline": "2099-01-01T00:00:00.000Z"},
    ],
)
def test_another_body_is_422(api, kind, key, change):
    body = {"type": kind, "payload": {"a": 1}}
    assert post(api, body, key).status == 201
    assert_problem(post(api, {**body, **change}, key), 422, "idempotency_conflict")
    assert len(api.tasks(f"type={kind}")) == 1


@pytest.mark.parametrize(
    "explicit",
    [
        {"priority": 5},
        {"priority": "medium"},
        {"payload": {}},
        {"requires": []},
        {"labels": {}},
        {"selector": {}},
        {"timeout": 300000},
        {"retry": {}},
        {"retry": {"maxAttempts": 4}},
        {
            "retry": {
                "maxAttempts": 4,
                "backoff": "exponential",
                "base": 5000,
                "factor": 2,
                "cap": 300000,
                "jitter": 0.2,
            }
        },
    ],
)
def test_defaults_made_explicit_compare_equal(api, kind, key, explicit):
    first = post(api, {"type": kind}, key)
    again = post(api, {"type": kind, **explicit}, key)
    assert again.status == 200, repr(again)
    assert again.json["taskId"] == first.json["taskId"]


def test_order_and_spaces_of_the_json_do_not_matter(api, kind, key):
    first = api.post(
        "/api/tasks",
        raw=f'{{"type":"{kind}","payload":{{"a":1,"b":2}}}}'.encode(),
        headers=[("idempotency-key", key)],
    )
    again = api.post(
        "/api/tasks",
        raw=f' {{ "payload" : {{"b":2, "a":1}}, "type":"{kind}" }}'.encode(),
        headers=[("idempotency-key", key)],
    )
    assert (first.status, again.status) == (201, 200), (first, again)


def test_64_at_once_make_one_task(server, api, kind, key):
    gate, answers = threading.Barrier(64), []

    def send():
        calls = api.with_token(api.token)
        gate.wait()
        answers.append(post(calls, {"type": kind, "payload": {"a": 1}}, key))

    threads = [threading.Thread(target=send) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    statuses = [answer.status for answer in answers]
    assert sorted(statuses) == [200] * 63 + [201], statuses
    assert len({answer.json["taskId"] for answer in answers}) == 1
    assert len(api.tasks(f"type={kind}")) == 1


def test_64_at_once_with_two_bodies_make_one_task(api, kind, key):
    gate, answers = threading.Barrier(64), []

    def send(n):
        calls = api.with_token(api.token)
        gate.wait()
        answers.append((n, post(calls, {"type": kind, "payload": {"n": n}}, key)))

    threads = [threading.Thread(target=send, args=(index % 2,)) for index in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    winner = next(n for n, answer in answers if answer.status == 201)
    assert all(answer.status == (422 if n != winner else answer.status) for n, answer in answers)
    assert sorted(answer.status for _, answer in answers) == [200] * 31 + [201] + [422] * 32
    assert len(api.tasks(f"type={kind}")) == 1


def test_keys_are_server_wide(api, kind, key):
    assert post(api, {"type": kind}, key).status == 201
    assert_problem(post(api, {"type": kind + "-2"}, key), 422)
    other = api.with_token(api.token_for("operator")["token"])
    assert post(other, {"type": kind}, key).status == 200


def test_kept_after_the_end_of_the_task(api, kind, key):
    first = post(api, {"type": kind}, key)
    api.cancel(first.json["taskId"])
    again = post(api, {"type": kind}, key)
    assert again.status == 200 and again.json["taskId"] == first.json["taskId"]
    assert again.json["state"] == "cancelled"


@pytest.mark.parametrize("ndjson", [False, True])
def test_bulk_keys_are_per_element(api, kind, key, ndjson):
    task = {"type": kind, "idempotencyKey": key}
    other = {"type": kind, "idempotencyKey": key + "-2"}
    answer = api.bulk([task, other, task, {"type": kind}], ndjson)
    assert answer.status == 201, repr(answer)
    ids = answer.json["taskIds"]
    assert len(ids) == 4 and ids[0] == ids[2] and len(set(ids)) == 3
    again = api.bulk([task, other], ndjson)
    assert again.status in (200, 201) and again.json["taskIds"] == ids[:2]
    assert post(api, {"type": kind}, key).json["taskId"] == ids[0]
    assert len(api.tasks(f"type={kind}")) == 3


def test_bulk_with_unequal_repeats_stores_nothing(api, kind, key):
    answer = api.bulk(
        [
            {"type": kind},
            {"type": kind, "idempotencyKey": key},
            {"type": kind, "idempotencyKey": key, "priority": 9},
        ]
    )
    assert_problem(answer, 422)
    assert api.tasks(f"type={kind}") == []
    assert post(api, {"type": kind, "priority": 1}, key).status == 201


def test_bulk_that_meets_another_body_stores_nothing(api, kind, key):
    post(api, {"type": kind}, key)
    answer = api.bulk([{"type": kind + "-b"}, {"type": kind, "idempotencyKey": key, "priority": 9}])
    assert_problem(answer, 422)
    assert api.tasks(f"type={kind}-b") == []


def test_after_a_restart(new_server, key):
    server = new_server()
    first = post(server.api, {"type": "a"}, key)
    server.restart()
    again = post(server.api, {"type": "a"}, key)
    assert again.status == 200 and again.json["taskId"] == first.json["taskId"]
    assert_problem(post(server.api, {"type": "b"}, key), 422)


@pytest.mark.parametrize("bad", ["", "x" * 129])
def test_bad_keys(api, kind, bad):
    answer = api.post("/api/tasks", raw=json.dumps({"type": kind, "idempotencyKey": bad}).encode())
    assert_problem(answer, 422, path="idempotencyKey")
    assert api.tasks(f"type={kind}") == []


@pytest.mark.parametrize("header", ["é", "a\tb", "k" * 129, ""])
def test_a_key_in_the_header_is_printable_ascii(api, kind, header):
    answer = post_raw_key(api, kind, header)
    assert_problem(answer, 422, "invalid_field", path="Idempotency-Key")


def post_raw_key(api, kind, header):
    return api.post("/api/tasks", {"type": kind}, headers=[("idempotency-key", header)])
