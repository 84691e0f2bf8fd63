# SPDX-License-Identifier: Apache-2.0
# Watchers: a WebSocket of /ws by a library that others wrote, and server-sent events as they come.

import contextlib
import http.client
import json

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


class Watcher:
    """One socket of /ws; keeps every event that came."""

    def __init__(self, socket):
        self.socket = socket
        self.events, self.cursor = [], None

    @classmethod
    @contextlib.contextmanager
    def open(cls, server, token=None, sign_in=True, path="/ws", **more):
        """Signs in with the request's header unless `sign_in` is False."""
        token = server.admin if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if sign_in else {}
        headers.update(more.pop("headers", {}))
        address = f"ws://127.0.0.1:{server.port}{path}"
        with connect(
            address, additional_headers=headers, compression=None, max_size=16 << 20, **more
        ) as socket:
            yield cls(socket)

    def send(self, **message):
        self.socket.send(json.dumps(message))

    def next(self, timeout=10):
        """The next message; its events are kept as well."""
        message = json.loads(self.socket.recv(timeout=timeout))
        self.events += message.get("ev", [])
        self.cursor = message.get("cursor", self.cursor)
        return message

    def expect(self, name, timeout=10):
        """Messages up to the first of this name, which is returned."""
        while True:
            message = self.next(timeout)
            if message["t"] == name:
                return message

    def hello(self):
        return self.expect("hello")

    def subscribe(self, *topics, **more):
        self.send(type="sub", topics=list(topics), **more)
        return self.expect("subscribed")

    def until(self, check, timeout=10):
        """Reads on until one of the events passes; returns it."""
        seen = 0
        while True:
            for event in self.events[seen:]:
                if check(event):
                    return event
            seen = len(self.events)
            self.next(timeout)

    def task(self, task_id, state, timeout=10):
        return self.until(
            lambda event: event["k"] == "task" and event["id"] == task_id
            and event["d"]["state"] == state, timeout)  # fmt: skip

    def states(self, task_id):
        return [event["d"]["state"] for event in self.events
                if event["k"] == "task" and event["id"] == task_id]  # fmt: skip

    def closed(self, timeout=15):
        """The code of the close that follows."""
        try:
            while True:
                self.next(timeout)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


class Stream:
    """Server-sent events of one request."""

    def __init__(self, server, path="/events", token=None, headers=()):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        token = server.admin if token is None else token
        self.connection.request(
            "GET", path, headers={"Authorization": f"Bearer {token}", **dict(headers)})
        self.answer = self.connection.getresponse()
        self.last_id = None

    def next(self):
        """The next event as (name, data); comments are passed over. None at the end."""
        name, data = None, None
        while True:
            line = self.answer.fp.readline() if not self.answer.chunked else self.answer.readline()
            if not line:
                return None
            line = line.decode().rstrip("\n")
            field, _, value = line.partition(": ")
            if field == "id":
                self.last_id = value
            elif field == "event":
                name = value
            elif field == "data":
                data = json.loads(value)
            elif line == "" and data is not None:
                return name, data

    def until(self, check):
        while True:
            event = self.next()
            assert event is not None, "the stream ended"
            if check(event[1]):
                return event[1]

    def task(self, task_id, state):
        return self.until(lambda data: data["id"] == task_id and data["d"]["state"] == state)

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
