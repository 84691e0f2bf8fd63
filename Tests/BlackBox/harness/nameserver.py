# SPDX-License-Identifier: Apache-2.0
# A DNS server whose answers the test changes while it runs.

import ipaddress
import socket
import struct
import threading

A, CNAME, AAAA = 1, 5, 28


class NameServer:
    """`names` maps a name to addresses, to an alias (text), or to a function that gives either.

    Names that it does not know have the addresses of `default`. No answer may be kept (TTL 0).
    """

    def __init__(self, default=(), address=("127.0.0.1", 53)):
        self.names, self.default, self.asked = {}, list(default), []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        # An empty packet, as closing alone does not wake the thread.
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join(5)
        self._socket.close()

    def _run(self):
        while True:
            try:
                query, peer = self._socket.recvfrom(4096)
                if not query:
                    return
                self._socket.sendto(self._answer(query), peer)
            except OSError:
                return

    def _answer(self, query):
        labels, place = [], 12
        while size := query[place]:
            labels.append(query[place + 1 : place + 1 + size].decode("latin-1"))
            place += size + 1
        kind = struct.unpack_from(">H", query, place + 1)[0]
        question = query[12 : place + 5]
        name = ".".join(labels).lower()
        self.asked.append((name, kind))
        records = self._records(name, kind)
        head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, len(records), 0, 0)
        return head + question + b"".join(records)

    def _records(self, name, kind, owner=b"\xc0\x0c"):
        found = self.names.get(name, self.default)
        if callable(found):
            found = found(kind)
        if isinstance(found, str):
            alias = b"".join(bytes([len(p)]) + p.encode() for p in found.split(".")) + b"\0"
            return [_record(owner, CNAME, alias), *self._records(found, kind, alias)]
        addresses = [ipaddress.ip_address(text) for text in found]
        wanted = {A: 4, AAAA: 6}.get(kind)
        return [_record(owner, kind, each.packed) for each in addresses if each.version == wanted]


def _record(owner, kind, data):
    return owner + struct.pack(">HHIH", kind, 1, 0, len(data)) + data
