# SPDX-License-Identifier: Apache-2.0
# The peers of the same run: which are installed, their environments, their no-op work.
from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import services
from .figures import Sample
from .load_tools import BENCHMARKS
from .processes import BenchError, run_json
from .scenarios import Bench

SCRIPTS = BENCHMARKS / "peers"


@dataclass(frozen=True)
class Peer:
    """One peer in one set-up. `compare_with` is our figure that does the same work."""

    name: str
    package: str
    tasks: int
    store: Callable[[Path], AbstractContextManager[str]]
    store_title: Callable[[], str]
    missing: Callable[[], str | None]
    compare_with: str = "full_loop_push_singles"


@contextmanager
def _sqlite_file(folder: Path) -> Iterator[str]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield str(folder / "huey.db")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _no_redis() -> str | None:
    return None if services.redis_version() else "redis-server is not installed"


def _no_postgres() -> str | None:
    return None if services.postgres_folder() else "PostgreSQL is not installed"


def _postgres_title() -> str:
    programs = services.postgres_folder()
    return f"PostgreSQL {services.postgres_version(programs)}, fsync on" if programs else ""


def _redis_peer(name: str, package: str, tasks: int, appendfsync: str) -> Peer:
    return Peer(
        name=name,
        package=package,
        tasks=tasks,
        store=lambda folder: services.redis(folder, appendfsync),
        store_title=lambda: f"Redis {services.redis_version()}, AOF {appendfsync}",
        missing=_no_redis,
    )


PEERS = [
    _redis_peer("celery", "celery", 6_000, "everysec"),
    _redis_peer("celery_always", "celery", 6_000, "always"),
    _redis_peer("dramatiq", "dramatiq", 12_000, "everysec"),
    _redis_peer("dramatiq_always", "dramatiq", 6_000, "always"),
    Peer("huey", "huey", 8_000, _sqlite_file, lambda: "WAL, FULL", lambda: None),
    Peer(
        "pgqueuer",
        "pgqueuer",
        50_000,
        services.postgres,
        _postgres_title,
        _no_postgres,
        compare_with="full_loop_push",
    ),
]


def prepare(
    bench: Bench, say: Callable[[str], None]
) -> tuple[dict[str, tuple[Callable[[Bench], list[Sample]], list[str]]], dict[str, str]]:
    """The peers that can run as scenarios with their figures, and the others with the reason."""
    ready: dict[str, tuple[Callable[[Bench], list[Sample]], list[str]]] = {}
    skipped: dict[str, str] = {}
    for peer in PEERS:
        reason = peer.missing() or _environment(bench, peer.package, say)
        if reason:
            say(f"  SKIPPED {peer.name}: {reason}")
            skipped[f"peer_{peer.name}"] = reason
        else:
            ready[peer.name] = (
                _scenario(peer),
                [f"peer_{peer.name}_loop", f"peer_{peer.name}_drain"],
            )
    return ready, skipped


def _python(bench: Bench, package: str) -> Path:
    return bench.folder / f"venv-{package}" / "bin" / "python"


def _environment(bench: Bench, package: str, say: Callable[[str], None]) -> str | None:
    """Makes the peer's environment once per set of pins; the reason when it cannot be made."""
    pins = SCRIPTS / f"requirements-{package}.txt"
    python = _python(bench, package)
    stamp = python.parent.parent / "pins.sha256"
    wanted = hashlib.sha256(pins.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return None
    say(f"  making the environment of {package} …")
    folder = python.parent.parent
    shutil.rmtree(folder, ignore_errors=True)
    install = ["-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:"]
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), *install, "-r", str(pins)],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            lines = (done.stderr or done.stdout).strip().splitlines()
            return f"its environment could not be made: {lines[-1] if lines else 'no reason given'}"
    stamp.write_text(wanted)
    return None


def _scenario(peer: Peer) -> Callable[[Bench], list[Sample]]:
    return lambda bench: _measure(bench, peer)


def _measure(bench: Bench, peer: Peer) -> list[Sample]:
    tasks = max(200, int(peer.tasks * bench.profile.peer_share))
    script = SCRIPTS / f"{peer.package}_peer.py"
    python = str(_python(bench, peer.package))
    with peer.store(bench.folder / f"peer-{peer.name}") as url:
        command = [python, str(script), "--url", url, "--tasks", str(tasks)]
        answer = run_json(command, {"PEER_URL": url}, 300)
    if not answer:
        raise BenchError(f"{script.name} printed nothing")
    figures = answer[0]
    title = f"{figures['version']}, {peer.store_title()}"
    conditions = f"{figures['tasks']} no-op tasks, 200 B payload, {figures['workers']}"
    ours = {"loop": peer.compare_with, "drain": "full_loop_push_drain"}
    return [
        Sample(
            f"peer_{peer.name}_{part}",
            float(figures[part]),
            f"{conditions}; ratio: our {ours[part]} ÷ this",
            peer=title,
            compare_with=ours[part],
            unit="tasks/s",
        )
        for part in ("loop", "drain")
    ]
