# SPDX-License-Identifier: Apache-2.0
# Starts Redis and PostgreSQL for the peers: fresh folders, free loopback ports, stopped by id.
from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .processes import BenchError, free_port, tail


def redis_version() -> str | None:
    """The version of the installed Redis; None when there is none."""
    tool = shutil.which("redis-server")
    if tool is None:
        return None
    text = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout
    return next((word[2:] for word in text.split() if word.startswith("v=")), "?")


def postgres_folder() -> Path | None:
    """Where the newest installed PostgreSQL has its programs; None when there is none."""
    found = list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    newest = max(found, key=lambda path: int(path.parts[-3]), default=None)
    if newest is not None:
        return newest.parent
    tool = shutil.which("initdb")
    return None if tool is None else Path(tool).resolve().parent


def postgres_version(programs: Path) -> str:
    command = [str(programs / "postgres"), "--version"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return text.split()[2]


def _await_port(port: int, process: subprocess.Popen[bytes], name: str, log: Path) -> None:
    begin = time.monotonic()
    while time.monotonic() - begin < 30:
        if process.poll() is not None:
            raise BenchError(f"{name} ended at start: {tail(log)}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise BenchError(f"{name} did not listen within 30 s: {tail(log)}")


def _stop(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    process.send_signal(how)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def redis(folder: Path, appendfsync: str) -> Iterator[str]:
    """A Redis with an append-only file; yields its URL."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port, log = free_port(), folder / "redis.log"
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--save", "", "--appendonly", "yes", "--appendfsync", appendfsync]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        _await_port(port, process, "redis-server", log)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        _stop(process, signal.SIGTERM)
        shutil.rmtree(folder, ignore_errors=True)


def _as_postgres() -> list[str]:
    """The words before a command that give up root, which PostgreSQL refuses; none otherwise."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"]


def _postgres_data(folder: Path) -> Path:
    """A folder that PostgreSQL's user can write: `folder`, or one in /var/tmp if out of reach."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if os.geteuid() != 0:
        return folder
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    reach = subprocess.run([*_as_postgres(), "test", "-w", str(folder)])
    if reach.returncode == 0:
        return folder
    folder.rmdir()
    other = Path(tempfile.mkdtemp(prefix="orrery-bench-", dir="/var/tmp"))
    os.chown(other, user.pw_uid, user.pw_gid)
    return other


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL with its default, durable settings; yields its URL."""
    programs = postgres_folder()
    if programs is None:
        raise BenchError("PostgreSQL is not installed")
    data = _postgres_data(folder)
    port, log = free_port(), folder.with_suffix(".log")
    create = [str(programs / "initdb"), "-D", str(data), "-U", "bench", "-A", "trust"]
    create += ["--no-instructions", "-E", "UTF8", "--locale=C"]
    made = subprocess.run([*_as_postgres(), *create], capture_output=True, text=True, cwd="/")
    if made.returncode != 0:
        raise BenchError(f"initdb failed: {made.stderr.strip()[-300:]}")
    command = [str(programs / "postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1"]
    command += ["-k", str(data), "-c", "shared_buffers=256MB", "-c", "max_wal_size=4GB"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*_as_postgres(), *command], stdout=output, stderr=output, cwd="/"
        )
    try:
        _await_port(port, process, "postgres", log)
        yield f"postgresql://bench@127.0.0.1:{port}/postgres"
    finally:
        _stop(process, signal.SIGINT)
        shutil.rmtree(data, ignore_errors=True)
