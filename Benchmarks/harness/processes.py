# SPDX-License-Identifier: Apache-2.0
# Starts and stops the processes of a measurement, by their ids only.
from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any


class BenchError(Exception):
    """Something could not be measured; the text says why in one sentence."""


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stop(process: subprocess.Popen[str], seconds: float = 20) -> None:
    """Asks a process of ours to end, and ends it when it does not."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def tail(path: Path, lines: int = 5) -> str:
    """The last lines of a log, joined, for an error's text."""
    if not path.exists():
        return ""
    return " | ".join(path.read_text(errors="replace").splitlines()[-lines:])


def run_json(
    command: list[str], env: dict[str, str] | None = None, seconds: float = 600
) -> list[dict[str, Any]]:
    """Runs a tool to its end and returns its standard output's JSON lines."""
    environment = {**os.environ, **(env or {})}
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{name} did not end within {seconds:.0f} s") from error
    if done.returncode != 0:
        reason = " | ".join(done.stderr.strip().splitlines()[-5:])
        raise BenchError(f"{name} ended with {done.returncode}: {reason}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
