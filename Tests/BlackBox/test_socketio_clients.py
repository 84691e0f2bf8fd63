# SPDX-License-Identifier: Apache-2.0
# Clients that others wrote, end to end: python-socketio, and the official client for JavaScript.

import asyncio
import json
import pathlib
import queue
import shutil
import subprocess
import threading
import zipfile

import pytest

import socketio
from harness.proxy import Proxy
from harness.pull_agent import PullAgent
from harness.server import REPO
from harness.wait import eventually

TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]]
NAMES = ["websocket", "polling", "polling, then upgrade"]
BUNDLE = "nicegui/static/socket.io.min.js"


def work(server, api, agent, kind):
    """One task, done by the agent with a report of progress; its id."""
    task = api.submit(kind)
    dispatch = agent.take()
    agent.progress(dispatch, progress=50, message="half")
    assert agent.succeed(dispatch, {"answer": 42}).status == 200
    return task


def is_told(events, task):
    """Whether all three events of a finished task are among those of a client."""
    mine = [(name, data) for name, data in events if data and data.get("taskId") == task]
    return (
        any(name == "agent:status" and data["status"] == "completed" for name, data in mine)
        and any(name == "task:update" and data["status"] == "completed" for name, data in mine)
        and any(name == f"task:{task}:complete" and data["results"]["data"] == {"answer": 42}
                for name, data in mine)
    )  # fmt: skip


# Python


class PythonClient:
    """python-socketio on a thread of its own."""

    def __init__(self, url, transports, auth):
        self.events, self.connects, self.disconnects = [], 0, 0
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.run(self._connect(url, transports, auth))

    async def _connect(self, url, transports, auth):
        self.client = socketio.AsyncClient(
            reconnection_delay=0.05, reconnection_delay_max=0.1, randomization_factor=0
        )
        self.client.on("*", lambda name, data: self.events.append((name, data)))
        self.client.on("connect", self._connected)
        self.client.on("disconnect", self._disconnected)
        await self.client.connect(url, auth=auth, transports=transports)

    def _connected(self):
        self.connects += 1

    def _disconnected(self, *reason):
        self.disconnects += 1

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def call(self, name, data=None):
        return self.run(self.client.call(name, data, timeout=10))

    @property
    def cursor(self):
        return self.events[-1][1]["cursor"] if self.events else None

    def close(self):
        self.run(self.client.disconnect())
        self._loop.call_soon_threadsafe(self._loop.stop)


@pytest.mark.parametrize("transports", TRANSPORTS, ids=NAMES)
def test_python_hears_of_a_task_loses_its_connection_and_resumes(server, api, kind, transports):
    agent = PullAgent.register(server, [kind])
    client = None

    def auth():
        return {"token": server.admin, "since": client and client.cursor}

    with Proxy(server.port) as wire:
        client = PythonClient(wire.url, transports, auth)
        eventually(lambda: client.client.transport() == transports[-1], what="the transport")
        first = work(server, api, agent, kind)
        eventually(lambda: is_told(client.events, first), what="the events of the first task")
        wire.cut()
        eventually(lambda: client.disconnects == 1, what="the loss of the connection")
        missed = work(server, api, agent, kind)
        wire.mend()
        eventually(lambda: client.connects == 2, 20, what="another connection")
        eventually(lambda: is_told(client.events, missed), what="what was missed")
        last = work(server, api, agent, kind)
        eventually(lambda: is_told(client.events, last), what="the events of the last task")
        client.close()


@pytest.mark.parametrize("transports", TRANSPORTS, ids=NAMES)
def test_python_subscribes(server, api, kind, transports):
    agent = PullAgent.register(server, [kind])
    client = PythonClient(server.url, transports, {"token": server.admin})
    assert client.call("subscribe", {"type": kind})["ok"] is True
    tasks = [work(server, api, agent, kind) for _ in range(10)]
    eventually(lambda: all(is_told(client.events, task) for task in tasks), what="all events")
    assert {data["taskId"] for _, data in client.events} == set(tasks)
    assert client.call("nonsense")["code"] == "unknown_event"
    client.close()


@pytest.mark.parametrize("transports", TRANSPORTS, ids=NAMES)
def test_python_is_refused(server, transports):
    async def connect():
        refusals = []
        client = socketio.AsyncClient()
        client.on("connect_error", refusals.append)
        with pytest.raises(socketio.exceptions.ConnectionError):
            await client.connect(server.url, auth={"token": "orr_0"}, transports=transports)
        return refusals

    assert asyncio.run(connect()) == [{"message": "Not authorized"}]


# JavaScript


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """The official client, taken unchanged out of the package that carries it."""
    wheels = sorted((REPO / ".build" / "javascript").glob("nicegui-*.whl"))
    if not wheels or shutil.which("node") is None:
        pytest.skip("node or the client is not there: Scripts/bootstrap --test")
    folder = tmp_path_factory.mktemp("javascript")
    with zipfile.ZipFile(wheels[-1]) as wheel:
        (folder / "socket.io.min.js").write_bytes(wheel.read(BUNDLE))
    return folder / "socket.io.min.js"


class JavaScriptClient:
    """node with the official client in it."""

    def __init__(self, bundle, url, **options):
        script = pathlib.Path(__file__).parent / "javascript" / "client.js"
        self._process = subprocess.Popen(
            ["node", str(script), str(bundle), url, json.dumps(options)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.events, self.told, self._acks = [], [], queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            told = json.loads(line)
            if told["what"] == "event":
                self.events.append((told["value"]["name"], told["value"]["data"]))
            elif told["what"] == "ack":
                self._acks.put(told["value"])
            else:
                self.told.append((told["what"], told["value"]))

    def all(self, what):
        return [value for name, value in self.told if name == what]

    @property
    def transports(self):
        """Those it has had, as far as it told: an upgrade may come before the connection."""
        return [told["transport"] for told in self.all("connect")] + self.all("upgrade")

    def call(self, name, data=None):
        self._process.stdin.write(json.dumps({"emit": name, "data": data}) + "\n")
        self._process.stdin.flush()
        return self._acks.get(timeout=10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@pytest.mark.parametrize("transports", TRANSPORTS, ids=NAMES)
def test_javascript_hears_of_a_task_loses_its_connection_and_recovers(
    server, api, kind, bundle, transports
):
    agent = PullAgent.register(server, [kind])
    with (
        Proxy(server.port) as wire,
        JavaScriptClient(
            bundle, wire.url, auth={"token": server.admin}, transports=transports
        ) as client,
    ):
        eventually(lambda: client.all("connect"), 20, what="a connection")
        assert client.all("connect")[0]["recovered"] is False
        if len(transports) == 2:
            eventually(lambda: "websocket" in client.transports, what="the upgrade")
        assert client.call("subscribe", {"type": kind})["ok"] is True
        first = work(server, api, agent, kind)
        eventually(lambda: is_told(client.events, first), what="the events of the first task")
        wire.cut()
        eventually(lambda: client.all("disconnect"), what="the loss of the connection")
        missed = work(server, api, agent, kind)
        wire.mend()
        eventually(lambda: len(client.all("connect")) == 2, 20, what="another connection")
        before, after = client.all("connect")
        assert after["recovered"] is True and after["id"] == before["id"]
        eventually(lambda: is_told(client.events, missed), what="what was missed")
        last = work(server, api, agent, kind)
        eventually(lambda: is_told(client.events, last), what="the events of the last task")
        assert {data["taskId"] for _, data in client.events} == {first, missed, last}


@pytest.mark.parametrize("transports", TRANSPORTS, ids=NAMES)
def test_javascript_is_refused(server, bundle, transports):
    auth = {"token": "orr_nobody"}
    with JavaScriptClient(bundle, server.url, auth=auth, transports=transports) as client:
        eventually(lambda: client.all("connect_error"), 20, what="a refusal")
        assert client.all("connect_error") == ["Not authorized"]
        assert not client.all("connect")
