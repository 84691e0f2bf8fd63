# SPDX-License-Identifier: Apache-2.0
# A network of the tests' own in which every address of the world is this machine, and every attempt
# to connect is seen, answered or not. Needs root; nothing of it is visible outside.

import contextlib
import ctypes
import dataclasses
import ipaddress
import os
import shutil
import socket
import struct
import subprocess
import threading

from .nameserver import NameServer
from .wait import eventually

NEW_NETWORK = 0x40000000
#: What the island calls the public internet; anything else may never be connected to.
PUBLIC = ("93.184.216.34", "2606:2800:220:1::1")
HOSTS = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"
RESOLVER = "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n"
SWITCH = "hosts: files dns\n"
_libc = ctypes.CDLL(None, use_errno=True)


def why_not():
    """Why there can be no island here; None if there can."""
    if os.geteuid() != 0:
        return "a network of its own needs root"
    missing = [tool for tool in ("ip", "unshare", "mount") if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} is missing; on Debian: apt-get install iproute2 util-linux"
    done = subprocess.run(["unshare", "-n", "-m", "true"], capture_output=True, text=True)
    return f"no namespaces here: {done.stderr.strip()}" if done.returncode else None


@dataclasses.dataclass(frozen=True)
class Attempt:
    """A SYN: somebody began to connect."""

    address: str
    port: int


class Island:
    """While it is entered, what this thread and those started by it do happens in there."""

    def __init__(self, folder):
        self.folder = folder
        self._back = contextlib.ExitStack()

    def __enter__(self):
        with self._back:
            self._enter()
            self._back = self._back.pop_all()
        return self

    def __exit__(self, *_):
        self._back.close()

    def _enter(self):
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self._back.callback(os.close, home)
        _call(_libc.unshare(NEW_NETWORK))
        self._back.callback(lambda: _call(_libc.setns(home, NEW_NETWORK)))
        for command in (
            "ip link set lo up",
            f"ip addr add {PUBLIC[0]}/32 dev lo",
            f"ip -6 addr add {PUBLIC[1]}/128 dev lo",
            "ip route add local 0.0.0.0/0 dev lo",
            "ip -6 route add local ::/0 dev lo",
        ):
            subprocess.run(command.split(), check=True, capture_output=True)
        self.watch = Watch()
        self._back.callback(self.watch.close)
        self.names = NameServer(default=["127.0.0.1"])
        self._back.callback(self.names.close)

    def prefix(self):
        """What a command is started with so that it asks the island's own name server."""
        files = {"resolv.conf": RESOLVER, "hosts": HOSTS, "nsswitch.conf": SWITCH}
        script = "set -e; "
        for name, text in files.items():
            (self.folder / name).write_text(text)
            script += f"mount --bind '{self.folder / name}' /etc/{name}; "
        return ["unshare", "-m", "sh", "-c", script + 'exec "$@"', "sh"]


class Watch:
    """Sees every packet of the island and keeps who was connected to."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._socket.bind(("lo", 0))
        self._socket.settimeout(0.2)
        self._seen, self._over = set(), threading.Event()
        #: Ports of loopback where the tests and agents find the servers under test.
        self.own = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        self._over.set()
        self._thread.join(5)
        self._socket.close()

    def _run(self):
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                attempt = _attempt(self._socket.recv(256))
                if attempt:
                    self._seen.add(attempt)

    def begun(self):
        """Attempts so far to anything but our own ports of loopback and the public addresses.

        A connection of the test's own goes first, so that all before it has been seen.
        """
        with socket.create_server(("127.0.0.1", 0)) as mark:
            port = mark.getsockname()[1]
            socket.create_connection(("127.0.0.1", port)).close()
            marker = Attempt("127.0.0.1", port)
            eventually(lambda: marker in self._seen, 5, what="the watch sees")
        own = {Attempt("127.0.0.1", port) for port in self.own}
        seen = self._seen - own - {marker}
        self._seen.discard(marker)
        return {each for each in seen if each.address not in PUBLIC}

    def forget(self):
        self._seen.clear()

    def saw(self, address, port):
        return Attempt(address, port) in self._seen


def _attempt(frame):
    """The attempt that an Ethernet frame is, if it is one."""
    kind, packet = frame[12:14], frame[14:]
    if kind == b"\x08\x00" and packet[9] == socket.IPPROTO_TCP:
        address, segment = packet[16:20], packet[(packet[0] & 15) * 4 :]
    elif kind == b"\x86\xdd" and packet[6] == socket.IPPROTO_TCP:
        address, segment = packet[24:40], packet[40:]
    else:
        return None
    if segment[13] & 0x12 != 0x02:  # SYN without ACK
        return None
    port = struct.unpack_from(">H", segment, 2)[0]
    return Attempt(str(ipaddress.ip_address(address)), port)


def _call(result):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
