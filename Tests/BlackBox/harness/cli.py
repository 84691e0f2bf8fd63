# SPDX-License-Identifier: Apache-2.0
# The command line as a user has it: arguments in, exit code and two streams out.

import dataclasses
import json
import subprocess
import threading

from .server import binary, clean_environment
from .wait import eventually


@dataclasses.dataclass
class Done:
    code: int
    output: str
    errors: str

    @property
    def json(self):
        return json.loads(self.output)

    @property
    def lines(self):
        return [line for line in self.output.splitlines() if line.strip()]


class CommandLine:
    """Runs `orrery …` against a server by environment variables, as a user would."""

    def __init__(self, server, token=None, **env):
        self.server = server
        self.env = {"ORRERY_URL": server.url, "ORRERY_TOKEN": token or server.admin, **env}

    def run(self, *arguments, stdin=None, timeout=40, env=None):
        home = self.server.folder / "home"
        home.mkdir(exist_ok=True)
        environment = clean_environment(home, **{**self.env, **(env or {})})
        environment = {name: value for name, value in environment.items() if value != "<unset>"}
        done = subprocess.run(
            [str(binary()), *map(str, arguments)],
            cwd=home,
            env=environment,
            timeout=timeout,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def good(self, *arguments, **more):
        done = self.run(*arguments, **more)
        assert done.code == 0, f"orrery {' '.join(map(str, arguments))} → {done}"
        return done

    def json(self, *arguments, **more):
        return self.good(*arguments, "--json", **more).json

    def started(self, *arguments):
        """A command that goes on, its output read as lines of JSON."""
        home = self.server.folder / "home"
        environment = clean_environment(home, **self.env)
        return Running([str(binary()), *map(str, arguments)], home, environment)


class Running:
    """Ends with the `with`."""

    def __init__(self, command, folder, environment):
        self.seen = []
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.seen.append(json.loads(line))

    def until(self, condition, timeout=20):
        """The first line that fits."""
        return eventually(
            lambda: next((one for one in list(self.seen) if condition(one)), None),
            timeout,
            what="a line of output",
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        self._reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()
