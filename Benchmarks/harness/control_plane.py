# SPDX-License-Identifier: Apache-2.0
# Runs `orrery serve` as a user would, and speaks to it with the operator's token.
from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from .processes import BenchError, free_port, stop, tail

TOKEN = "bench-admin-token-0123456789abcdefghijklmnop"


class ControlPlane:
    """A server on a fresh data folder; a context manager that stops it and removes the data."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self._binary = binary
        self._folder = folder
        self._data = folder / "data"
        self._log = folder / "server.log"
        self.port = free_port()
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> ControlPlane:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._data.mkdir(parents=True)
        (self._folder / "agents.json").write_text('{"agents":[]}\n')
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._data, ignore_errors=True)

    def start(self) -> float:
        """Starts the server and returns the seconds until it said it is ready."""
        command = [str(self._binary), "serve", "--port", str(self.port)]
        command += ["--data", str(self._data), "--allow-net", "127.0.0.1/32"]
        command += ["--config", str(self._folder / "agents.json")]
        begin = time.monotonic()
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, "ORRERY_ADMIN_TOKEN": TOKEN},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        while time.monotonic() - begin < 60:
            if self.process.poll() is not None:
                raise BenchError(f"the server ended at start: {tail(self._log)}")
            if self._ready():
                return time.monotonic() - begin
            time.sleep(0.01)
        self.stop()
        raise BenchError(f"the server was not ready within 60 s: {tail(self._log)}")

    def _ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False  # not listening yet
        finally:
            connection.close()

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process)
            self.process = None

    @property
    def pid(self) -> int:
        if self.process is None:
            raise BenchError("the server is not running")
        return self.process.pid

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One operator's call; raises with the problem's text when it is not a 2xx."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise BenchError(f"{method} {path}: {error}; {tail(self._log)}") from error
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise BenchError(f"{method} {path} answered {answer.status}: {text[:300]}")
        return json.loads(text) if text else None

    def register(self, name: str, **fields: Any) -> dict[str, str]:
        """Registers an agent and returns the variables that its process needs."""
        body = {"name": name, "type": "http", **fields}
        answer = self.call("POST", "/api/agents", body)
        return {"ORRERY_AGENT_ID": answer["id"], "ORRERY_AGENT_SECRET": answer["secret"]}
