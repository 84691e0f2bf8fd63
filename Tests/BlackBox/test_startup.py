# SPDX-License-Identifier: Apache-2.0
# Starts that cannot be: one clear sentence and a non-zero exit; and what a good start says.

import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile

import pytest

from harness.server import binary, clean_environment
from harness.wait import eventually


def stops(server, *words):
    """A start that ends by itself: non-zero, and one sentence with all of these words."""
    code, said = server.run_to_end()
    lines = [line for line in said.splitlines() if line and not line.startswith("---")]
    assert code not in (0, None) and code > 0, f"{code}: {said}"
    assert 1 <= len(lines) <= 5, said
    assert "Fatal error" not in said and "Stack dump" not in said and "0x" not in said, said
    for word in words:
        assert word in said, f"{word!r} is not in:\n{said}"
    return said


def stopped(new_server, tasks=3):
    """A server that has run and ended well, with some tasks in its data."""
    server = new_server()
    ids = [server.api.submit("a", {"n": n}) for n in range(tasks)]
    assert server.terminate()[0] == 0
    return server, ids


def test_the_listening_line_appears_once_it_answers(new_server):
    server = new_server()
    assert server.connection().send("GET", "/readyz").status == 200
    assert any(f"listening on {server.url}" in line for line in [*server.output, *server.errors])


def test_a_hangup_ends_nothing(new_server):
    server = new_server()
    for _ in range(2):
        server.process.send_signal(signal.SIGHUP)
        assert server.api.get("/api/tasks").status == 200
    assert server.terminate()[0] == 0


def test_a_used_port(new_server):
    first = new_server()
    second = new_server(start=False)
    second.port = first.port
    stops(second, str(first.port))
    assert first.api.get("/api/tasks").status == 200


def test_a_used_data_folder(new_server):
    first = new_server()
    task_id = first.api.submit("a")
    second = new_server(start=False, data=first.data)
    stops(second, str(first.data))
    assert first.api.task(task_id)["state"] == "queued"


def test_a_locked_database(new_server):
    server, ids = stopped(new_server)
    path = server.database()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    try:
        stops(server, path.name)
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    server.start()
    assert server.api.task(ids[0])["payload"] == {"n": 0}


@pytest.mark.parametrize("damage", ["truncated", "garbage", "header", "pages"])
def test_a_damaged_database(new_server, damage):
    server, _ = stopped(new_server, tasks=300)
    path = server.database()
    into_one_file(path)
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "garbage":
        content = bytearray(os.urandom(len(content)))
    elif damage == "header":
        content[0:16] = b"\0" * 16
    else:
        content[8192:] = bytes(255 - byte for byte in content[8192:])
    path.write_bytes(bytes(content))
    stops(server, path.name)
    assert path.read_bytes() == bytes(content), "never silently made anew"


def into_one_file(path):
    """Brings all content from the write-ahead log into the database file."""
    base = sqlite3.connect(path)
    assert base.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    base.close()
    for side in path.parent.glob(path.name + "-*"):
        side.unlink()


def test_a_newer_schema(new_server):
    server, _ = stopped(new_server)
    path = server.database()
    base = sqlite3.connect(path)
    version = base.execute("PRAGMA user_version").fetchone()[0]
    names = {row[0] for row in base.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    if "grdb_migrations" in names:
        base.execute("INSERT INTO grdb_migrations VALUES ('v9999-from-the-future')")
    if version:
        base.execute(f"PRAGMA user_version = {version + 1}")
    base.commit()
    base.close()
    assert version or "grdb_migrations" in names
    said = stops(server, path.name)
    assert "newer" in said


def test_an_empty_database_file_is_taken(new_server):
    server, _ = stopped(new_server)
    path = server.database()
    shutil.rmtree(server.data)
    server.data.mkdir()
    path.touch()
    server.start()
    assert server.api.tasks() == []


def unprivileged():
    """A prefix that runs the server as nobody, since root may write anywhere."""
    if os.getuid() == 0 and shutil.which("setpriv"):
        return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if os.getuid() != 0:
        return []
    pytest.skip("SKIPPED: root without setpriv cannot show an unwritable folder")


def test_an_unwritable_folder(new_server):
    prefix = unprivileged()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="orrery-bb-"))
    folder.chmod(0o755)
    if not all(parent.stat().st_mode & 0o001 for parent in [folder, *binary().parents]):
        pytest.skip("SKIPPED: nobody cannot reach the binary or the test's folder")
    server = new_server(start=False, prefix=prefix, folder=folder)
    (folder / "home").mkdir()
    (folder / "home").chmod(0o777)
    server.data.mkdir()
    server.data.chmod(0o555)
    stops(server, str(server.data))


def test_a_data_folder_that_is_a_file(new_server):
    server = new_server(start=False)
    server.data.write_text("x")
    stops(server, str(server.data))


def test_the_data_folder_is_made(new_server):
    server = new_server(start=False)
    server.data = server.folder / "a" / "b"
    server.start()
    assert server.database().parent == server.data
    assert server.data.stat().st_mode & 0o077 == 0, "its files are for their owner only"


@pytest.mark.parametrize(
    "args,word",
    [
        (["--host", "not a host"], "host"),
        (["--host", "256.1.1.1"], "host"),
        (["--port", "99999"], "port"),
        (["--port", "x"], "port"),
        (["--database", "postgres://x/y"], "database"),
        (["--database", "nonsense"], "database"),
        (["--unknown"], "--unknown"),
        (["--public-url", "x"], "public-url"),
    ],
)
def test_bad_flags(new_server, args, word):
    server = new_server(start=False)
    command = [str(binary()), "serve", "--data", str(server.data), *args]
    if "--port" not in args:
        command += ["--port", str(server.port)]
    done = subprocess.run(
        command,
        env=clean_environment(server.folder, ORRERY_ADMIN_TOKEN=server.admin),
        capture_output=True,
        text=True,
        timeout=20,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode != 0 and word in done.stderr + done.stdout, done


def test_settings_by_environment(new_server):
    server = new_server(start=False)
    server.command = lambda: [str(binary()), "serve"]
    server.env.update(
        ORRERY_PORT=str(server.port), ORRERY_DATA=str(server.data), ORRERY_HOST="127.0.0.1"
    )
    server.start()
    assert server.api.get("/api/tasks").status == 200 and server.data.is_dir()


def test_default_config_of_the_working_folder_is_not_needed(new_server):
    server = new_server()
    assert server.api.agents() == []
    assert (
        pathlib.Path(f"/proc/{server.process.pid}/cwd").resolve()
        == (server.folder / "home").resolve()
    )


def test_start_is_quick_with_many_tasks(new_server):
    server = new_server()
    for _ in range(5):
        assert server.api.bulk([{"type": "a", "payload": {"x": "y" * 50}}] * 10_000).status == 201
    server.kill()
    assert server.start() < 2
    eventually(lambda: server.api.get("/api/tasks?limit=1").status == 200, 2)


# Open files


def with_open_files(new_server, soft, hard, **limits):
    """A server that was started with these limits of the system."""
    shell = ["bash", "-c", f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"', "start"]
    return new_server(prefix=shell, config={"agents": [], "limits": limits})


def open_files(server):
    lines = pathlib.Path(f"/proc/{server.process.pid}/limits").read_text().splitlines()
    return next(line.split()[3:5] for line in lines if line.startswith("Max open files"))


def test_it_raises_the_limit_of_open_files_to_what_it_needs(new_server):
    server = with_open_files(new_server, 256, 1000, connections=100, sockets=200)
    assert open_files(server) == ["812", "1000"]
    assert "open files" not in server.log()


def test_a_higher_limit_of_open_files_stays(new_server):
    server = with_open_files(new_server, 900, 1000, connections=100, sockets=200)
    assert open_files(server) == ["900", "1000"]


def test_it_says_when_too_few_open_files_are_allowed(new_server):
    server = with_open_files(new_server, 256, 1000, connections=400, sockets=200)
    assert open_files(server) == ["1000", "1000"]
    said = server.log()
    assert "fewer open files" in said and "allowed=1000" in said and "needed=1112" in said
