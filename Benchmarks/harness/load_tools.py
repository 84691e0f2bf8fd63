# SPDX-License-Identifier: Apache-2.0
# Builds and runs the compiled load generator and the compiled push agent.
from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from .control_plane import TOKEN, ControlPlane
from .processes import BenchError, free_port, run_json, stop

BENCHMARKS = Path(__file__).resolve().parent.parent


def build_tools(folder: Path, *names: str) -> None:
    """Compiles C tools into `folder`; the compiler's own words when it fails."""
    tools = [str(folder / name) for name in names]
    command = ["make", "-s", "-C", str(BENCHMARKS), f"BUILD={folder}", *tools]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(f"{', '.join(names)} did not build: {done.stderr.strip()[-2000:]}")


class LoadGenerator:
    """The load generator against one server."""

    def __init__(self, folder: Path, server: ControlPlane) -> None:
        self._tool = str(folder / "load")
        self._server = server

    def _command(self, mode: str, options: dict[str, Any]) -> list[str]:
        words = [self._tool, mode, "--port", str(self._server.port)]
        for name, value in options.items():
            words += [f"--{name.replace('_', '-')}", str(value)]
        return words

    def run(self, mode: str, agent: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
        """Runs to the end; a refused or lost request is an error, for its rate means nothing."""
        environment = {"ORRERY_TOKEN": TOKEN, **(agent or {})}
        return checked(run_json(self._command(mode, options), environment)[0], mode)

    def start(self, mode: str, **options: Any) -> subprocess.Popen[str]:
        environment = {**os.environ, "ORRERY_TOKEN": TOKEN}
        command = self._command(mode, options)
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def finish(self, process: subprocess.Popen[str], mode: str, seconds: float) -> dict[str, Any]:
        try:
            out, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            stop(process)
            raise BenchError(f"load {mode} did not end within {seconds:.0f} s") from error
        if process.returncode != 0:
            raise BenchError(f"load {mode} ended with {process.returncode}: {errors.strip()}")
        return checked(json.loads(out), mode)


def checked(figures: dict[str, Any], mode: str) -> dict[str, Any]:
    faults = figures["refused"] + figures["lost"]
    if faults:
        raise BenchError(
            f"load {mode}: {faults} of {figures['requests']} requests were refused or lost;"
            f" first: {figures['firstError']}"
        )
    return figures


class PushAgent:
    """The load agent, registered and running; a context manager."""

    def __init__(
        self,
        folder: Path,
        server: ControlPlane,
        capability: str,
        concurrency: int = 128,
        connections: int = 64,
    ) -> None:
        self._tool = str(folder / "load-agent")
        self._server = server
        self._capability = capability
        self._concurrency = concurrency
        self._connections = connections
        self._port = free_port()
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> PushAgent:
        identity = self._server.register(
            f"load-agent-{self._port}",
            endpoint=f"http://127.0.0.1:{self._port}/dispatch",
            capabilities=[self._capability],
            concurrency=self._concurrency,
        )
        command = [self._tool, "--port", str(self._port), "--server-port", str(self._server.port)]
        command += ["--connections", str(self._connections)]
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **identity},
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._process.stdout is None or not self._process.stdout.readline():
            raise BenchError("the load agent did not start")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            stop(self._process)
            if self._process.stdout is not None:
                self._process.stdout.close()

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, path)
            figures: dict[str, Any] = json.loads(connection.getresponse().read())
            return figures
        finally:
            connection.close()

    def reset(self) -> None:
        self._ask("POST", "/reset")

    def figures(self) -> dict[str, Any]:
        return self._ask("GET", "/stats")

    def wait_for(self, completed: int, seconds: float) -> dict[str, Any]:
        """Waits until that many completions were acknowledged; a stall of 20 s is an error."""
        begin = moved = time.monotonic()
        last = -1
        while True:
            figures = self.figures()
            faults = figures["badSignatures"] + figures["badDispatches"] + figures["callbackErrors"]
            if faults:
                raise BenchError(f"load agent: {faults} faults; first: {figures['firstError']}")
            if figures["completed"] >= completed:
                return figures
            now = time.monotonic()
            if figures["completed"] != last:
                last, moved = figures["completed"], now
            if now - moved > 20 or now - begin > seconds:
                raise BenchError(
                    f"only {figures['completed']} of {completed} tasks were completed;"
                    f" {figures['conflicts']} conflicts; {figures['firstError']}"
                )
            time.sleep(0.05)
