# SPDX-License-Identifier: Apache-2.0
# A push agent: a real HTTP server that verifies each dispatch itself and behaves as the test says.

import contextlib
import dataclasses
import http.server
import json
import socket
import struct
import threading
import time

from . import signing
from .agent import AgentCalls
from .wait import eventually


@dataclasses.dataclass
class Received:
    """One request that arrived, with the agent's own verdict on its signature."""

    path: str
    headers: list
    raw: bytes
    verified: bool
    at: float

    @property
    def json(self):
        return json.loads(self.raw)

    def header(self, name):
        return [value for key, value in self.headers if key.lower() == name]

    def __getitem__(self, key):
        return self.json[key]


@dataclasses.dataclass
class Reply:
    """What to answer: `raw` is written as it is, then closed; `then` runs afterwards."""

    status: int = 202
    body: object = None
    headers: tuple = ()
    raw: object = None
    then: object = None


class PushAgent(AgentCalls):
    """Listens on loopback. `behave(agent, dispatch)` returns a Reply, or None to hang up."""

    def __init__(self, server, behave=None, host="127.0.0.1"):
        super().__init__(server, None, None)
        self.behave = behave or accept()
        self.dispatches, self.cancels, self.probes, self.others = [], [], [], []
        self.faults = []
        self.healthy, self.released = True, threading.Event()
        handler = type("Handler", (_Handler,), {"agent": self})
        self.http = _Listener((host, 0), handler)
        self.port = self.http.server_address[1]
        self.url = f"http://{host}:{self.port}"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    @classmethod
    def register(
        cls,
        server,
        capabilities,
        behave=None,
        name=None,
        cancel=False,
        health=False,
        path="/dispatch",
        api=None,
        **fields,
    ):
        agent = cls(server, behave)
        fields["endpoint"] = agent.url + path
        if cancel:
            fields["cancelEndpoint"] = agent.url + "/cancel"
        if health:
            fields["healthUrl"] = agent.url + "/health"
        made = (api or server.api).register(
            name or f"push-{capabilities[0]}", capabilities, **fields
        )
        agent.id, agent.secret = made["id"], made["secret"]
        return agent

    def received(self, count=1, timeout=10):
        """Waits for at least `count` dispatches; returns them."""
        eventually(lambda: len(self.dispatches) >= count, timeout, what=f"{count} dispatches")
        return list(self.dispatches)

    def close(self):
        self.released.set()
        self.http.shutdown()
        self.http.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class _Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # a peer that went away is part of many tests


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    agent = None

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, *_):
        pass

    def _received(self):
        size = int(self.headers.get("content-length") or 0)
        raw = self.rfile.read(size) if size else self._chunks()
        pairs = list(self.headers.items())
        secrets = [self.agent.secret] if self.agent.secret else []
        good = signing.verify(pairs, raw, secrets, time.time())
        return Received(self.path, pairs, raw, good, time.monotonic())

    def _chunks(self):
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return b""
        raw = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            raw += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return raw

    def do_GET(self):
        self.agent.probes.append(
            Received(self.path, list(self.headers.items()), b"", False, time.monotonic())
        )
        self._answer(Reply(200 if self.agent.healthy else 500, {}))

    def do_POST(self):
        got = self._received()
        if self.path.startswith("/cancel"):
            self.agent.cancels.append(got)
            return self._answer(Reply(200, {}))
        if not self.path.startswith("/dispatch"):
            self.agent.others.append(got)
            return self._answer(Reply(200, {"accepted": True}))
        self.agent.dispatches.append(got)
        reply = self.agent.behave(self.agent, got)
        if reply is None:
            return self._reset()
        return self._answer(reply)

    def _answer(self, reply):
        if reply.raw is not None:
            return self._raw(reply.raw)
        content = (
            b""
            if reply.body is None
            else (reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode())
        )
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        if not any(name.lower() == "content-type" for name, _ in reply.headers):
            self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()
        if reply.then:
            self._after(reply.then)

    def _after(self, then):
        def run():
            try:
                then()
            except Exception as error:  # kept for the test to show, never lost
                self.agent.faults.append(error)

        threading.Thread(target=run, daemon=True).start()

    def _raw(self, pieces):
        self.close_connection = True
        with contextlib.suppress(OSError):
            for piece in pieces() if callable(pieces) else [pieces]:
                self.wfile.write(piece)
                self.wfile.flush()

    def _reset(self):
        """Ends the connection with RST and no answer."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


# Behaviours


def accept(status=202):
    """Accepts and never reports."""
    return lambda agent, dispatch: Reply(status, {"accepted": True})


def complete(data=None, **fields):
    """Accepts, then reports success by a signed callback."""

    def behave(agent, dispatch):
        def report():
            answer = agent.succeed(dispatch, data, **fields)
            assert answer.status == 200, repr(answer)

        return Reply(202, {"accepted": True}, then=report)

    return behave


def answer(status=200, body=None, headers=()):
    """Always this answer."""
    return lambda agent, dispatch: Reply(status, body, headers)


def sync(status="success", data=None, error=None):
    """The result in the answer itself."""

    def behave(agent, dispatch):
        return Reply(200, agent.report(dispatch, status, data, error))

    return behave


def hang(agent, dispatch):
    """No answer until the test lets go."""
    agent.released.wait(90)
    return None


def die(agent, dispatch):
    """Reads the request and resets the connection."""
    return None


def raw(pieces):
    """These bytes, or what the generator function yields, and then the end of the connection."""
    return lambda agent, dispatch: Reply(raw=pieces)


def in_turn(*behaviours):
    """The first behaviour for the first dispatch and so on; the last one from then on."""

    def behave(agent, dispatch):
        index = min(len(agent.dispatches), len(behaviours)) - 1
        return behaviours[index](agent, dispatch)

    return behave
