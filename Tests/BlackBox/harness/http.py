# SPDX-License-Identifier: Apache-2.0
# A plain HTTP/1.1 client that sends headers and bodies exactly as given, duplicates included.

import dataclasses
import http.client
import json
import select
import socket
import threading
import time


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes
    milliseconds: float

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:600]!r}>"


class Connection:
    """One keep-alive connection per thread to one origin."""

    def __init__(self, host, port, timeout=65):
        self.host, self.port, self.timeout = host, port, timeout
        self._local = threading.local()

    def send(self, method, path, headers=(), body=b"", timeout=None):
        """One request, sent once: a request that may have been applied is never repeated."""
        try:
            return self._send(method, path, headers, body, timeout)
        except BaseException:
            self.close()
            raise

    def _send(self, method, path, headers, body, timeout):
        connection = self._open(timeout)
        start = time.perf_counter()
        has_host = any(name.lower() == "host" for name, _ in headers)
        connection.putrequest(method, path, skip_host=has_host, skip_accept_encoding=True)
        for name, value in headers:
            raw = value.encode() if isinstance(value, str) else value
            connection.putheader(name, raw)
        if body or method != "GET":
            connection.putheader("content-length", str(len(body)))
        try:
            connection.endheaders(body or None)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before the body was through: the answer is there to be read
        response = connection.getresponse()
        content = response.read()
        elapsed = (time.perf_counter() - start) * 1000
        names = {name.lower(): value for name, value in response.getheaders()}
        if response.will_close:
            self.close()
        return Answer(response.status, names, content, elapsed)

    def _open(self, timeout):
        connection = getattr(self._local, "connection", None)
        if connection is None or connection.sock is None or _is_closed(connection.sock):
            connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._local.connection = connection
        connection.sock.settimeout(timeout or self.timeout)
        return connection

    def close(self):
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None


def _is_closed(sock):
    """Whether an idle connection has something to read, which can only be its end."""
    return bool(select.select([sock], [], [], 0)[0])


def raw_exchange(host, port, chunks, timeout=10, limit=1 << 20):
    """Sends bytes as they are; returns (all received, seconds until the peer closed or None)."""
    start = time.monotonic()
    received, closed = b"", None
    with socket.create_connection((host, port), timeout=timeout) as sock:
        try:
            for chunk in chunks:
                sock.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
        sock.settimeout(timeout)
        while len(received) < limit:
            try:
                piece = sock.recv(65536)
            except (TimeoutError, ConnectionResetError) as error:
                closed = (
                    time.monotonic() - start if isinstance(error, ConnectionResetError) else None
                )
                break
            if not piece:
                closed = time.monotonic() - start
                break
            received += piece
    return received, closed
