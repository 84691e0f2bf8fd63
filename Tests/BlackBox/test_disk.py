# SPDX-License-Identifier: Apache-2.0
# A full disk answers 507 and resumes; failing writes and fsyncs never acknowledge what is lost.

import os
import shutil
import subprocess
import threading

import pytest

from harness.api import assert_problem
from harness.load import integrity
from harness.wait import eventually


@pytest.fixture
def small_disk(tmp_path):
    """A 24 MiB file system, mounted in this test's folder."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.getuid() != 0:
        pytest.skip("SKIPPED: a small file system needs root to mount")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"SKIPPED: cannot mount a tmpfs: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place):
    path = place / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 65536)
        except OSError:
            pass
    with path.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 512)
        except OSError:
            pass
    return path


def full(server, limit=400):
    """Submits until the disk is full; the acknowledged ids and the answer that said so."""
    acked = []
    for _ in range(limit):
        answer = server.api.post("/api/tasks", {"type": "a", "payload": {"x": "y" * 4000}})
        if answer.status == 201:
            acked.append(answer.json["taskId"])
        else:
            return acked, answer
    raise AssertionError(f"{limit} tasks fitted a full disk")


@pytest.mark.disk
def test_a_full_disk_is_507_and_resumes(new_server, small_disk):
    server = new_server(data=small_disk / "data")
    before = [server.api.submit("a", {"n": n}) for n in range(20)]
    filler = fill(small_disk)
    acked, answer = full(server)
    assert_problem(answer, 507, "disk_full")
    assert server.alive
    for task_id in before + acked:
        assert server.api.task(task_id)["state"] == "queued", "reads go on"
    assert_problem(server.api.post("/api/tasks", {"type": "a", "payload": "x" * 5000}), 507)
    filler.unlink()
    after = eventually(
        lambda: (one := server.api.post("/api/tasks", {"type": "a"})).status == 201 and one,
        10,
        what="resumes without a restart",
    )
    server.kill()
    assert integrity(server) == [("ok",)]
    server.start()
    stored = {task["id"] for task in server.api.tasks("type=a")}
    assert set(before + acked + [after.json["taskId"]]) <= stored


@pytest.mark.disk
def test_a_kill_while_full_loses_nothing(new_server, small_disk):
    server = new_server(data=small_disk / "data")
    before = [server.api.submit("a", {"n": n}) for n in range(20)]
    filler = fill(small_disk)
    acked, _ = full(server)
    server.kill()
    filler.unlink()
    server.start()
    assert set(before + acked) <= {task["id"] for task in server.api.tasks("type=a")}


@pytest.mark.disk
def test_a_start_on_a_full_disk_says_so(new_server, small_disk):
    fill(small_disk)
    code, said = new_server(start=False, data=small_disk / "data").run_to_end()
    assert code != 0 and "Fatal error" not in said
    assert any(word in said for word in ("full", "space")), said


def fiu(points, chance):
    """The prefix that makes these calls fail at random."""
    tool = shutil.which("fiu-run")
    if not tool:
        pytest.skip("SKIPPED: fiu-run is not installed (Debian: fiu-utils)")
    faults = [
        part
        for point in points
        for part in ("-c", f"enable_random name={point},probability={chance}")
    ]
    return [tool, "-x", *faults]


@pytest.mark.timeout(90)
@pytest.mark.parametrize(
    "points,chance",
    [(["posix/io/sync/fsync", "posix/io/sync/fdatasync"], 0.02), (["posix/io/rw/pwrite"], 0.004)],
    ids=["fsync", "pwrite"],
)
def test_io_errors_never_acknowledge_what_is_lost(new_server, points, chance):
    """Each 2xx holds after kill -9, whatever failed meanwhile; else 503/507, or a non-zero exit."""
    server = new_server()
    server.api.submit("a")
    assert server.terminate()[0] == 0
    plain = server.prefix
    acked, statuses, lock = [], set(), threading.Lock()
    for _ in range(4):
        server.prefix = fiu(points, chance)
        try:
            server.start()
        except AssertionError:
            assert server.process.poll() != 0
            server.kill()
            continue
        storm(server, acked, statuses, lock)
        if not server.alive:
            assert server.process.poll() > 0, f"a crash instead of an exit: {server.process.poll()}"
        server.kill()
        server.prefix = plain
        assert integrity(server) == [("ok",)]
        server.start()
        stored = {task["id"] for task in server.api.tasks("type=a")}
        lost = [task_id for task_id in acked if task_id not in stored]
        assert not lost, f"{len(lost)} of {len(acked)} acknowledged tasks are lost"
        server.terminate()
    assert statuses <= {201, 500, 503, 507}, statuses
    assert 201 in statuses


def storm(server, acked, statuses, lock):
    """Eight clients that submit until something has failed for a while or 300 each have passed."""

    def submit():
        client = server.api.with_token(server.admin)
        for _ in range(150):
            try:
                answer = client.post(
                    "/api/tasks", {"type": "a", "payload": {"x": "y" * 100}}, timeout=5
                )
            except OSError:
                return
            with lock:
                statuses.add(answer.status)
                if answer.status == 201:
                    acked.append(answer.json["taskId"])

    threads = [threading.Thread(target=submit, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
