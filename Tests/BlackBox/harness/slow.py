# SPDX-License-Identifier: Apache-2.0
"""Many slow clients in one process of its own, so that they do not slow down who measures.

    python -m harness.slow KIND PORT --count 1000 [--token T] [--seconds S] [--again]

Opens the connections, prints {"opened": N}, and drips a byte a second on each until all have been
ended by the server, S seconds have passed, or standard input ends. Prints what became of them.
`--again` opens a new connection for each that was ended.
"""

import argparse
import collections
import json
import resource
import selectors
import socket
import sys
import time

HEAD = b"%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def kinds(token):
    """Per kind: what is sent at once, and what is sent again and again (None: nothing)."""
    rights = b"Authorization: Bearer %s\r\nContent-Type: application/json\r\n" % token
    submit = HEAD % (b"POST", b"/api/tasks") + rights
    document = HEAD % (b"GET", b"/openapi.json") + b"\r\n"
    return {
        "heads": (HEAD % (b"GET", b"/healthz") + b"X-A: ", b"b"),
        "lines": (b"GET /", b"a"),
        "empty lines": (b"\r\n", b"\r\n"),
        "bodies": (submit + b"Content-Length: 1000000\r\n\r\n", b" "),
        "chunks": (submit + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        "callbacks": (
            HEAD % (b"POST", b"/api/agent-callback") + b"Content-Length: 1000000\r\n\r\n",
            b" ",
        ),
        "reads": (document * 64, None),
        "nothing": (b"", None),
    }


class Client:
    """One slow connection."""

    def __init__(self, port, first, drip, reads):
        self.drip, self.reads = drip, reads
        self.socket = socket.socket()
        if not reads:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.socket.settimeout(20)
        self.socket.connect(("127.0.0.1", port))
        self.opened, self.answer = time.monotonic(), b""
        self.socket.sendall(first)
        self.socket.setblocking(False)

    def step(self):
        """Sends the next byte; says whether the connection is still there."""
        try:
            if self.drip:
                self.socket.send(self.drip)
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def take(self):
        """Reads what came; says whether the connection is still there."""
        try:
            piece = self.socket.recv(4096)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.answer = (self.answer + piece)[:64]
        return bool(piece)


class Crowd:
    def __init__(self, options):
        self.options = options
        self.first, self.drip = kinds(options.token.encode())[options.kind]
        self.reads = options.kind != "reads"
        self.clients, self.selector = set(), selectors.EpollSelector()
        self.opened, self.lives, self.answers = 0, [], collections.Counter()
        self.refused = 0

    def open(self):
        try:
            client = Client(self.options.port, self.first, self.drip, self.reads)
        except OSError:
            self.refused += 1
            return
        self.opened += 1
        self.clients.add(client)
        # Who does not read looks for the end only.
        events = selectors.EVENT_READ if self.reads else 0
        if events:
            self.selector.register(client.socket, events, client)

    def lose(self, client):
        if client not in self.clients:
            return
        self.clients.discard(client)
        if self.reads:
            self.selector.unregister(client.socket)
        client.socket.close()
        self.lives.append(time.monotonic() - client.opened)
        self.answers[client.answer[9:12].decode("latin-1") or "none"] += 1
        if self.options.again:
            self.open()

    def run(self):
        for _ in range(self.options.count):
            self.open()
        print(json.dumps({"opened": self.opened, "refused": self.refused}), flush=True)
        self.selector.register(sys.stdin.fileno(), selectors.EVENT_READ, None)
        end = time.monotonic() + self.options.seconds
        turn = time.monotonic() + 1
        while self.clients and time.monotonic() < end:
            for key, _ in self.selector.select(max(0, turn - time.monotonic())):
                if key.data is None:
                    return  # standard input has ended
                if not key.data.take():
                    self.lose(key.data)
            if time.monotonic() >= turn:
                turn += 1
                self.drip_all()

    def drip_all(self):
        for client in list(self.clients):
            alive = client.step() if self.reads else not _is_over(client.socket)
            if not alive:
                self.lose(client)

    def report(self):
        lives = sorted(self.lives)
        return {
            "ended": len(lives),
            "left": len(self.clients),
            "refused": self.refused,
            "first": round(lives[0], 2) if lives else None,
            "last": round(lives[-1], 2) if lives else None,
            "answers": dict(self.answers),
        }


def _is_over(sock):
    """Whether the peer has reset or finished the connection, without reading what it sent.

    An end that stands behind bytes which are not read cannot be seen from here.
    """
    state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state != 1  # TCP_ESTABLISHED


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=kinds(b""))
    parser.add_argument("port", type=int)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--token", default="")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    raise_file_limit(options.count + 200)
    crowd = Crowd(options)
    crowd.run()
    print(json.dumps(crowd.report()), flush=True)


def raise_file_limit(wanted):
    """As many open files as are wanted, or as many as there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most >= wanted


if __name__ == "__main__":
    main()
