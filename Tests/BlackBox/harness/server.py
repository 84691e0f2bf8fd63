# SPDX-License-Identifier: Apache-2.0
# Runs the real `orrery serve` on a free port: start, stop, kill -9, again on the same data.

import json
import os
import pathlib
import random
import re
import secrets
import signal
import socket
import subprocess
import tempfile
import threading
import time

from .api import Api
from .http import Connection
from .wait import eventually

REPO = pathlib.Path(__file__).resolve().parents[3]
LISTENING = re.compile(r"listening on (https?://\S+)")


def binary():
    """The binary under test: `ORRERY_BIN`, else the newest of the build folder's."""
    given = os.environ.get("ORRERY_BIN")
    if given:
        return pathlib.Path(given).resolve()
    built = [REPO / ".build" / kind / "orrery" for kind in ("release", "debug")]
    built = [path for path in built if path.exists()]
    return max(built, key=lambda path: path.stat().st_mtime) if built else None


def free_port():
    """A port below the ephemeral range: no outgoing connection takes it between restarts."""
    chooser = random.SystemRandom()
    while True:
        port = chooser.randrange(20000, 32000)
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def clean_environment(home, **more):
    """The test's own environment without anything that Orrery would read."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ORRERY_", "AWS_", "OTEL_"))}
    kept["HOME"] = str(home)
    kept.update({k: str(v) for k, v in more.items()})
    return kept


class Server:
    """One data folder and, while it runs, one process on it."""

    def __init__(
        self,
        folder=None,
        data=None,
        args=(),
        config=None,
        env=None,
        prefix=(),
        admin=None,
        host="127.0.0.1",
    ):
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="orrery-bb-"))
        self.data = pathlib.Path(data) if data else self.folder / "data"
        self.args, self.env, self.prefix, self.host = (
            list(args),
            dict(env or {}),
            list(prefix),
            host,
        )
        self.port = free_port()
        self.admin = admin or "adm-" + secrets.token_urlsafe(40)
        self.config_path = None
        if config is not None:
            self.write_config(config)
        self.process, self.url = None, f"http://127.0.0.1:{self.port}"
        self.output, self.errors = [], []
        self._said = threading.Event()
        self.api = Api(self, self.admin)

    def write_config(self, config):
        self.config_path = self.folder / "agents.json"
        text = config if isinstance(config, str) else json.dumps(config, indent=1)
        self.config_path.write_text(text)

    def command(self):
        config = ["--config", str(self.config_path)] if self.config_path else []
        return [
            *self.prefix,
            str(binary()),
            "serve",
            "--host",
            self.host,
            "--port",
            str(self.port),
            "--data",
            str(self.data),
            *config,
            *self.args,
        ]

    def spawn(self):
        """Starts the process without waiting for it."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        self._said = threading.Event()
        env = clean_environment(home, **{"ORRERY_ADMIN_TOKEN": self.admin, **self.env})
        env = {name: value for name, value in env.items() if value != "<unset>"}
        self.process = subprocess.Popen(
            self.command(),
            cwd=home,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in (
                (self.process.stdout, self.output),
                (self.process.stderr, self.errors),
            )
        ]
        for reader in self._readers:
            reader.start()
        return self

    def _read(self, stream, lines):
        said = self._said
        for line in stream:
            text = line.decode(errors="replace").rstrip("\n")
            lines.append(text)
            if LISTENING.search(text):
                said.set()
        stream.close()

    def start(self, timeout=20):
        """Starts the process and returns the seconds until the line `listening on http://…`."""
        began = time.monotonic()
        self.spawn()
        while not self._said.wait(0.01):
            if self.process.poll() is not None:
                raise AssertionError(
                    f"the server ended with {self.process.returncode}:\n{self.log()}"
                )
            if time.monotonic() - began > timeout:
                self.kill()
                raise AssertionError(f"no `listening on` within {timeout} s:\n{self.log()}")
        return time.monotonic() - began

    def run_to_end(self, timeout=20):
        """For starts that must fail: (exit code, all it said)."""
        self.spawn()
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {timeout} s:\n{self.log()}") from None
        for reader in self._readers:
            reader.join(5)
        return code, self.log()

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        """The server's own pid, also when it runs under a prefix command such as fiu-run."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        if self.prefix and children.exists() and children.read_text().split():
            return int(children.read_text().split()[0])
        return self.process.pid

    def kill(self):
        """kill -9, then waits until the process is gone."""
        if self.alive:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def terminate(self, timeout=30):
        """SIGTERM; returns (exit code, seconds)."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout), time.monotonic() - began

    def restart(self, timeout=20):
        self.kill()
        return self.start(timeout)

    def log(self):
        return "\n".join(["--- stdout", *self.output[-60:], "--- stderr", *self.errors[-120:]])

    def connection(self, timeout=65):
        return Connection("127.0.0.1", self.port, timeout)

    def database(self):
        """The database file: the only SQLite file in the data folder."""
        found = [
            path
            for path in self.data.iterdir()
            if path.is_file() and path.read_bytes()[:15] == b"SQLite format 3"
        ]
        assert len(found) == 1, (
            f"one database expected, found {found} in {list(self.data.iterdir())}"
        )
        return found[0]

    def ready(self, timeout=10):
        return eventually(lambda: self._is_ready(), timeout, what="/readyz answers 200")

    def _is_ready(self):
        try:
            return self.connection(2).send("GET", "/readyz").status == 200
        except OSError:
            return False
