# SPDX-License-Identifier: Apache-2.0
# Engine.IO and Socket.IO by hand: polls, posts and WebSockets whose every byte a test decides.

import contextlib
import json
import threading
import urllib.parse

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from .http import Connection

PATH = "/socket.io/"


def address(**query):
    """The path with its query; a parameter that is None is left out."""
    given = {"EIO": "4", "transport": "polling", **query}
    return PATH + "?" + urllib.parse.urlencode({k: v for k, v in given.items() if v is not None})


class Poller:
    """A session over long-polling."""

    def __init__(self, server, token=None):
        self.server = server
        self._connection = Connection("127.0.0.1", server.port)
        self._headers = [("authorization", f"Bearer {token}")] if token else []
        answer = self.request("GET", address())
        assert answer.status == 200, repr(answer)
        self.handshake = json.loads(answer.body[1:])
        self.sid = self.handshake["sid"]

    def request(self, method, path, body=b""):
        return self._connection.send(method, path, self._headers, body)

    def get(self, **query):
        return self.request("GET", address(sid=self.sid, **query))

    def post(self, *packets, **query):
        body = "\x1e".join(packets).encode()
        return self.request("POST", address(sid=self.sid, **query), body)

    def packets(self):
        """What one poll brings."""
        answer = self.get()
        assert answer.status == 200, repr(answer)
        return answer.body.decode().split("\x1e")

    def connect(self, auth=None):
        """Connects to the namespace; the server's answer."""
        text = "40" + (json.dumps(auth) if auth is not None else "")
        assert self.post(text).body == b"ok"
        return self.expect("4")

    def expect(self, start):
        """The first packet that begins with this; pings are answered."""
        while True:
            for packet in self.packets():
                if packet == "2":
                    assert self.post("3").body == b"ok"
                elif packet.startswith(start):
                    return packet

    def later(self):
        """A poll on a connection of its own, which the server has begun to answer when it can."""
        return Later(self.get)

    def is_gone(self):
        return self.get().status == 400


class Later:
    """A call on a thread."""

    def __init__(self, call):
        self._result = None
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()

    def _run(self, call):
        self._result = call()

    @property
    def is_done(self):
        return not self._thread.is_alive()

    def result(self, timeout=15):
        self._thread.join(timeout)
        assert self.is_done, "no answer came"
        return self._result


class Line:
    """A session's WebSocket."""

    def __init__(self, socket):
        self.socket = socket
        self.handshake = None

    @classmethod
    @contextlib.contextmanager
    def open(cls, server, sid=None, headers=None, **query):
        """Without `sid` a new session, whose handshake is read."""
        query = {"transport": "websocket", "sid": sid, **query}
        url = f"ws://127.0.0.1:{server.port}" + address(**query)
        with connect(
            url, additional_headers=headers or {}, compression=None, max_size=16 << 20
        ) as socket:
            line = cls(socket)
            if sid is None:
                opened = line.next()
                assert opened.startswith("0{"), opened
                line.handshake = json.loads(opened[1:])
            yield line

    def say(self, *packets):
        for packet in packets:
            self.socket.send(packet)

    def next(self, timeout=10):
        return self.socket.recv(timeout=timeout)

    def expect(self, start, timeout=10):
        """The first packet that begins with this; pings are answered."""
        while True:
            packet = self.next(timeout)
            if packet == "2":
                self.say("3")
            if packet.startswith(start):
                return packet

    def connect(self, token, **more):
        """Connects to the namespace; what the server says to that."""
        self.say("40" + json.dumps({"token": token, **more}))
        answer = self.expect("4")
        assert answer.startswith("40{"), answer
        return json.loads(answer[2:])

    def ask(self, number, name, *arguments):
        """An event that wants an acknowledgement; what it says."""
        self.say(f"42{number}" + json.dumps([name, *arguments]))
        answer = self.expect("43")
        assert answer.startswith(f"43{number}["), answer
        return json.loads(answer[2 + len(str(number)) :])[0]

    def event(self, name, check=lambda data: True, timeout=10):
        """The data of the first event of this name that passes."""
        while True:
            found, data = json.loads(self.expect("42", timeout)[2:])
            if found == name and check(data):
                return data

    def closed(self, timeout=15):
        """The code of the close that follows."""
        try:
            while True:
                self.next(timeout)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None
