# SPDX-License-Identifier: Apache-2.0
# Agents that the server starts itself: environment, restarts with backoff, the end with the server.

import json
import os
import signal
import sys

import pytest

from harness.wait import eventually, holds, pause

# A pull agent in 40 lines that knows nothing but its environment.
WORKER = r"""
import base64, hashlib, hmac, json, os, sys, time, urllib.request, uuid
url, me, secret = (os.environ[n] for n in ("ORRERY_URL", "ORRERY_AGENT_ID", "ORRERY_AGENT_SECRET"))
names = sorted(n for n in os.environ if n.startswith("ORRERY_"))
open(sys.argv[1], "a").write(json.dumps({
    "pid": os.getpid(), "cwd": os.getcwd(), "names": names, "argv": sys.argv[2:],
    "extra": os.environ.get("EXTRA"), "allow": os.environ.get("ORRERY_ALLOW_NET"),
    "time": time.time()}) + "\n")
if "crash" in sys.argv:
    sys.exit(3)
def call(path, body):
    raw = json.dumps(body).encode()
    mid, ts = "m" + uuid.uuid4().hex, str(int(time.time()))
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    mac = hmac.new(key, f"{mid}.{ts}.".encode() + raw, hashlib.sha256)
    sig = base64.b64encode(mac.digest()).decode()
    req = urllib.request.Request(url + path, raw, {
        "content-type": "application/json", "x-agent-id": me, "webhook-id": mid,
        "webhook-timestamp": ts, "webhook-signature": "v1," + sig})
    return json.load(urllib.request.urlopen(req, timeout=40))
while True:
    for d in call(f"/api/agents/{me}/lease", {"max": 2, "waitSeconds": 2})["dispatches"]:
        call("/api/agent-callback", {
            "taskId": d["taskId"], "agentId": me, "attempt": d["attempt"],
            "leaseToken": d["leaseToken"], "status": "success",
            "results": {"data": {"pid": os.getpid()}}})
"""


@pytest.fixture
def worker(tmp_path):
    script, notes = tmp_path / "worker.py", tmp_path / "notes.jsonl"
    script.write_text(WORKER)
    return script, notes


def config(worker, *arguments, **launch):
    script, notes = worker
    command = [sys.executable, str(script), str(notes), *arguments]
    return {
        "agents": [
            {
                "id": "m",
                "type": "http",
                "capabilities": ["m"],
                "concurrency": 2,
                "launch": {"command": command, **launch},
            }
        ]
    }


def notes(worker):
    path = worker[1]
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_managed_agent_works(new_server, worker, tmp_path):
    server = new_server(
        config=config(worker, "a b", env={"EXTRA": "yes"}, cwd=str(tmp_path)),
        args=["--allow-net", "127.0.0.1/32"],
    )
    task = server.api.wait(server.api.submit("m"), 20)
    note = notes(worker)[0]
    assert task["results"]["data"] == {"pid": note["pid"]}
    assert note["extra"] == "yes" and note["cwd"] == str(tmp_path) and note["argv"] == ["a b"]
    assert "127.0.0.1/32" in note["allow"], "the list is inherited"
    assert "ORRERY_ADMIN_TOKEN" not in note["names"] and "ORRERY_MASTER_KEY" not in note["names"]


def test_it_is_restarted_after_a_kill(new_server, worker):
    server = new_server(config=config(worker))
    server.api.wait(server.api.submit("m"), 20)
    first = notes(worker)[0]["pid"]
    os.kill(first, signal.SIGKILL)
    eventually(lambda: len(notes(worker)) == 2, 20, what="a second start")
    task = server.api.wait(server.api.submit("m"), 40)
    assert task["results"]["data"]["pid"] != first


def test_it_stops_with_the_server(new_server, worker):
    server = new_server(config=config(worker))
    server.api.wait(server.api.submit("m"), 20)
    pid = notes(worker)[0]["pid"]
    assert running(pid)
    assert server.terminate()[0] == 0
    eventually(lambda: not running(pid), 5, what="the agent's end")


def test_it_does_not_outlive_a_killed_server_twice(new_server, worker):
    """After kill -9 and a restart at most one process works under the entry's secret."""
    server = new_server(config=config(worker))
    server.api.wait(server.api.submit("m"), 20)
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait(10)
    server.start()
    server.api.wait(server.api.submit("m"), 30)
    pids = {note["pid"] for note in notes(worker)}
    eventually(lambda: sum(running(pid) for pid in pids) == 1, 15, what="one process")


def test_crashes_back_off(new_server, worker):
    server = new_server(config=config(worker, "crash"))
    pause(6)
    times = [note["time"] for note in notes(worker)]
    assert 1 <= len(times) <= 8, f"{len(times)} starts in 6 s"
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert all(later >= earlier * 0.8 for earlier, later in zip(gaps, gaps[1:])), gaps
    assert server.alive and server.api.get("/api/stats").status == 200
    task = server.api.task(server.api.submit("m"))
    assert task["state"] == "queued"


def test_a_command_that_is_not_there(new_server):
    server = new_server(
        start=False,
        config={
            "agents": [
                {
                    "id": "m",
                    "type": "http",
                    "capabilities": ["m"],
                    "launch": {"command": ["/no/such/program"]},
                }
            ]
        },
    )
    server.spawn()
    eventually(lambda: not server.alive or "/no/such/program" in server.log(), 10)
    if server.alive:
        server.ready()
        holds(lambda: server.alive, 0.5)


def test_its_secret_is_in_no_argument_and_no_log(new_server, worker):
    server = new_server(config=config(worker))
    server.api.wait(server.api.submit("m"), 20)
    pid = notes(worker)[0]["pid"]
    with open(f"/proc/{pid}/environ", "rb") as file:
        environment = dict(item.split(b"=", 1) for item in file.read().split(b"\0") if b"=" in item)
    secret = environment[b"ORRERY_AGENT_SECRET"]
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        assert secret not in file.read()
    assert secret.decode() not in server.log()
    assert environment[b"ORRERY_URL"].decode() == server.url
    assert environment[b"ORRERY_AGENT_ID"] == b"m"
