# SPDX-License-Identifier: Apache-2.0
# HTTP/1.1 by hand: requests as bytes, answers read one by one, and whether the connection goes on.

import dataclasses
import select
import socket


@dataclasses.dataclass
class Got:
    """One answer as it was on the wire; `interim` are the codes of 1xx answers before it."""

    status: int
    headers: list
    body: bytes
    interim: list

    def values(self, name):
        return [value for key, value in self.headers if key == name]

    @property
    def says_close(self):
        return "close" in ",".join(self.values("connection")).lower()

    def __repr__(self):
        return f"<{self.interim or ''}{self.status} {self.headers} {self.body[:300]!r}>"


class Broken(AssertionError):
    """The peer's bytes are no answer, or it stopped in the middle of one."""


class Wire:
    """A connection on which nothing happens that the test did not write."""

    def __init__(self, port, host="127.0.0.1", timeout=10, receive_buffer=None):
        self._socket = socket.socket(socket.AF_INET)
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(timeout)
        self._socket.connect((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest, self._ended = b"", False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def send(self, data):
        """Writes until the peer answers or hangs up; returns how many bytes it took.

        An attacker need not stop when he is answered, but a test that goes on may have its answer
        thrown away by the RST that its own bytes cause.
        """
        sent, view = 0, memoryview(data)
        while sent < len(view):
            readable, writable, _ = select.select(
                [self._socket], [self._socket], [], self._socket.gettimeout()
            )
            if readable or not writable:
                break
            try:
                sent += self._socket.send(view[sent : sent + 65536])
            except (BrokenPipeError, ConnectionResetError):
                break
        return sent

    def send_all(self, data):
        """Writes everything, answered or not; says whether the peer let it."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def pour(self, pieces, most):
        """Sends what the iterator yields, answered or not, until the peer ends it or `most` bytes.

        Returns (bytes sent, whether the peer ended it).
        """
        sent = 0
        for piece in pieces:
            if not self.send_all(piece):
                return sent, True
            sent += len(piece)
            if sent >= most:
                break
        return sent, False

    def answer(self, to="GET"):
        """The next final answer; None if the connection ends without one."""
        interim = []
        while True:
            head = self._head()
            if head is None:
                return None
            status, headers = head
            if 100 <= status < 200 and status != 101:
                interim.append(status)
                continue
            return Got(status, headers, self._body(to, status, dict(headers)), interim)

    def interim(self):
        """The code of one 1xx answer that has to come now."""
        head = self._head()
        assert head is not None and 100 <= head[0] < 200, f"1xx expected: {head}"
        return head[0]

    def end(self):
        """Waits until the peer closes; returns what came before that."""
        while self._more():
            pass
        return self._rest

    @property
    def local_port(self):
        return self._socket.getsockname()[1]

    # Reading

    def _more(self):
        if self._ended:
            return False
        try:
            piece = self._socket.recv(65536)
        except ConnectionResetError:
            piece = b""
        except TimeoutError:
            raise Broken(f"neither bytes nor an end; so far {self._rest[:400]!r}") from None
        self._rest += piece
        self._ended = not piece
        return bool(piece)

    def _head(self):
        while b"\r\n\r\n" not in self._rest:
            if not self._more():
                if self._rest:
                    raise Broken(f"the end of half an answer: {self._rest[:400]!r}")
                return None
        text, self._rest = self._rest.split(b"\r\n\r\n", 1)
        first, *lines = text.decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if version != "HTTP/1.1" or not rest[:3].isdigit():
            raise Broken(f"no status line: {first[:200]!r}")
        pairs = [line.partition(":") for line in lines]
        return int(rest[:3]), [(name.lower(), value.strip()) for name, _, value in pairs]

    def _body(self, to, status, headers):
        if to == "HEAD" or status in (204, 304):
            return b""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        if "content-length" in headers:
            return self._exactly(int(headers["content-length"]))
        return self._take(len(self.end()))

    def _chunks(self):
        body = b""
        while True:
            while b"\r\n" not in self._rest:
                self._must_more()
            size, self._rest = self._rest.split(b"\r\n", 1)
            piece = self._exactly(int(size, 16) + 2)
            if len(piece) == 2:
                return body
            body += piece[:-2]

    def _exactly(self, count):
        while len(self._rest) < count:
            self._must_more()
        return self._take(count)

    def _take(self, count):
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    def _must_more(self):
        if not self._more():
            raise Broken(f"the end of half an answer: {self._rest[:400]!r}")
