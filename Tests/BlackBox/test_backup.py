# SPDX-License-Identifier: Apache-2.0
# A backup made while running is a consistent copy that opens and holds all that was acknowledged.

import pathlib
import shutil
import sqlite3
import threading

import pytest

from harness.api import assert_problem
from harness.pull_agent import PullAgent


def backup(server, **body):
    """Makes a backup over the API; the path of the copy."""
    answer = server.api.good("POST", "/api/backup", body, status=200)
    path = pathlib.Path(answer["path"])
    return (
        path
        if path.is_absolute()
        else server.data / path
        if (server.data / path).exists()
        else (server.data / "backups" / path)
    )


def restored(new_server, server, copy):
    """A server on a data folder that holds only the copy and the key."""
    other = new_server(start=False)
    other.data.mkdir()
    shutil.copy(copy, other.data / server.database().name)
    shutil.copy(server.data / "master.key", other.data / "master.key")
    other.start()
    return other


def test_a_restored_copy_holds_everything_before_it(new_server):
    server = new_server()
    agent = PullAgent.register(server, ["a"])
    done, queued = server.api.submit("a", {"n": 1}), server.api.submit("b", {"n": 2})
    agent.succeed(agent.take(), {"r": 1})
    copy = backup(server)
    after = server.api.submit("a")
    other = restored(new_server, server, copy)
    assert other.api.task(done)["results"]["data"] == {"r": 1}
    assert other.api.task(queued)["payload"] == {"n": 2}
    assert other.api.get(f"/api/tasks/{after}").status == 404
    agent = PullAgent(other, agent.id, agent.secret)
    assert agent.heartbeat()["acknowledged"] is True, "sealed secrets open with the kept key"


@pytest.mark.timeout(90)
def test_under_load(new_server):
    server = new_server()
    stop, acked, lock = threading.Event(), [], threading.Lock()

    def submit():
        client = server.api.with_token(server.admin)
        while not stop.is_set():
            task_id = client.submit("a", {"x": "y" * 200})
            with lock:
                acked.append(task_id)

    threads = [threading.Thread(target=submit, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    copies = []
    try:
        for _ in range(3):
            with lock:
                before = list(acked)
            copies.append((before, backup(server)))
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    for before, copy in copies:
        base = sqlite3.connect(f"file:{copy}?mode=ro", uri=True)
        assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        base.close()
        other = restored(new_server, server, copy)
        held = {task["id"] for task in other.api.tasks("type=a")}
        assert set(before) <= held
        other.kill()
    assert len({copy for _, copy in copies}) == 3


def test_a_given_name(new_server):
    server = new_server()
    server.api.submit("a")
    copy = backup(server, path="mine.db")
    assert copy.resolve() == (server.data / "backups" / "mine.db").resolve()
    assert_problem(server.api.post("/api/backup", {"path": "mine.db"}), 409)


@pytest.mark.parametrize(
    "path", ["../x.db", "/etc/x.db", "a/b.db", "", ".", "..", "x" * 300, "-wal\n"]
)
def test_bad_names(server, api, path):
    assert_problem(api.post("/api/backup", {"path": path}), 422, path="path")
    assert not (server.data / "x.db").exists() and not pathlib.Path("/etc/x.db").exists()
