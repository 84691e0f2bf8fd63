# SPDX-License-Identifier: Apache-2.0
# /events: the same events for clients that only read HTTP.

import subprocess

import pytest
from harness.api import assert_problem
from harness.live import Stream
from harness.pull_agent import PullAgent


def run_task(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task = api.submit(kind)
    agent.succeed(agent.take())
    return task


def test_tasks_and_agents_by_default(server, api, kind):
    with Stream(server) as stream:
        assert stream.answer.status == 200
        assert stream.answer.headers["content-type"] == "text/event-stream"
        task = run_task(server, api, kind)
        assert stream.task(task, "completed")["d"]["status"] == "success"


def test_topics(server, api, kind):
    task = run_task(server, api, kind)
    with Stream(server, f"/events?topic=task:{task}&topic=overview") as stream:
        kinds = {stream.next()[0], stream.next()[0]}
        assert kinds == {"task", "overview"}
    path = f"/events?topic=tasks%3Ftype%3D{kind}%26state%3Dcompleted"
    with Stream(server, path) as stream:
        again = run_task(server, api, kind)
        assert stream.next()[1]["id"] == again


def test_it_goes_on_after_a_break(server, api, kind):
    path = f"/events?topic=tasks%3Ftype%3D{kind}"
    with Stream(server, path) as stream:
        first = run_task(server, api, kind)
        stream.task(first, "completed")
        last = stream.last_id
    second = run_task(server, api, kind)
    for resumed, headers in ((path, {"Last-Event-ID": last}), (f"{path}&since={last}", {})):
        with Stream(server, resumed, headers=headers) as stream:
            states = [stream.next()[1] for _ in range(3)]
            assert [event["id"] for event in states] == [second] * 3
            assert [event["d"]["state"] for event in states] == ["queued", "running", "completed"]
    with Stream(server, f"{path}&since=5") as stream:
        assert stream.next()[0] == "resync"


def test_refusals(server, api):
    assert_problem(api.with_token(None).get("/events"), 401, "unauthorized")
    assert_problem(api.with_token("orr_no").get("/events"), 401, "unauthorized")
    assert_problem(api.get("/events?token=x"), 400, "invalid_query")
    assert_problem(api.get("/events?topic=nothing"), 422, "invalid_field")
    assert_problem(api.get("/events?topic=task:1"), 400, "invalid_id")
    missing = "00000000000000000000000000"
    assert_problem(api.get(f"/events?topic=task:{missing}"), 404, "not_found")
    assert_problem(
        api.get("/events", headers=[("Origin", "https://evil.example")]), 403, "origin_refused")


def test_a_token_that_is_removed_ends_the_stream(server, api):
    made = api.good("POST", "/api/tokens", {"name": "gone", "role": "viewer"})
    with Stream(server, token=made["token"]) as stream:
        assert stream.answer.status == 200
        api.good("DELETE", f"/api/tokens/{made['id']}")
        while stream.next() is not None:
            pass


def test_a_server_that_stops_ends_the_stream(new_server):
    server = new_server()
    with Stream(server) as stream:
        server.terminate()
        while stream.next() is not None:
            pass


def test_curl_reads_it(server, api, kind):
    command = ["curl", "-sN", "--max-time", "10", "-H", f"Authorization: Bearer {server.admin}"]
    curl = subprocess.Popen(
        [*command, f"http://127.0.0.1:{server.port}/events?topic=tasks"],
        stdout=subprocess.PIPE, text=True)  # fmt: skip
    try:
        assert curl.stdout.readline().startswith("retry: ")
        task = run_task(server, api, kind)
        while task not in curl.stdout.readline():
            pass
    finally:
        curl.kill()
        curl.wait()


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_by_hand(server, version):
    import socket

    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        head = f"GET /events {version}\r\nHost: x\r\nAuthorization: Bearer {server.admin}\r\n\r\n"
        raw.sendall(head.encode())
        answer = b""
        while b"retry: 1000" not in answer:
            answer += raw.recv(4096)
        chunked = b"transfer-encoding: chunked" in answer.lower()
        assert chunked == (version == "HTTP/1.1")
