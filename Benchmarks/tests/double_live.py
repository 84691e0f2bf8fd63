# SPDX-License-Identifier: Apache-2.0
# The WebSocket of the double: subscriptions, batches, and an end for those that do not read.
from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import socket
from typing import Any

FLUSH_SECONDS = 0.05
OVERVIEW_EVERY = 4
WAITING_BYTES = 16_384
PADDING = "x" * 2_000
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(opcode: int, payload: bytes) -> bytes:
    count = len(payload)
    if count < 126:
        return bytes([0x80 | opcode, count]) + payload
    if count < 1 << 16:
        return bytes([0x80 | opcode, 126]) + count.to_bytes(2, "big") + payload
    return bytes([0x80 | opcode, 127]) + count.to_bytes(8, "big") + payload


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One frame of a client, which is masked and short."""
    first, second = await reader.readexactly(2)
    if not second & 0x80:
        raise ValueError("a client's frame is not masked")
    count = second & 0x7F
    if count == 126:
        count = int.from_bytes(await reader.readexactly(2), "big")
    mask = await reader.readexactly(4)
    data = await reader.readexactly(count)
    masked = zip(data, itertools.cycle(mask), strict=False)
    return first & 0x0F, bytes(byte ^ key for byte, key in masked)


class Socket:
    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.topics: set[str] = set()
        self.waiting: dict[str, dict[str, Any]] = {}

    def send(self, value: dict[str, Any]) -> None:
        self.writer.write(frame(1, json.dumps(value, separators=(",", ":")).encode()))

    def takes(self, kind: str, identifier: str) -> bool:
        names = {"task": {"tasks", f"task:{identifier}"}, "overview": {"overview"}}
        return bool(names[kind] & self.topics)


class Live:
    """All sockets; `flush` runs for ever and sends what has changed."""

    def __init__(self) -> None:
        self.sockets: set[Socket] = set()
        self.sequence = 0

    def changed(self, kind: str, identifier: str, fields: dict[str, Any]) -> None:
        self.sequence += 1
        event = {"k": kind, "id": identifier, "v": self.sequence, "d": fields}
        for each in self.sockets:
            if each.takes(kind, identifier):
                each.waiting[identifier] = event

    async def flush(self) -> None:
        for turn in itertools.count():
            await asyncio.sleep(FLUSH_SECONDS)
            if turn % OVERVIEW_EVERY == 0:
                self.changed("overview", "overview", {"padding": PADDING})
            for each in list(self.sockets):
                self._send_waiting(each)

    def _send_waiting(self, each: Socket) -> None:
        transport = each.writer.transport
        if transport.get_write_buffer_size() > WAITING_BYTES:
            transport.abort()
        elif each.waiting:
            batch = {"t": "batch", "seq": self.sequence, "cursor": "c"}
            each.send({**batch, "ev": list(each.waiting.values())})
            each.waiting.clear()

    async def serve(
        self, key: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        head = "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        writer.write(f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        each = Socket(writer)
        self.sockets.add(each)
        each.send({"t": "hello", "protocol": 1, "session": "s", "seq": 0, "cursor": "c"})
        writer.write(frame(9, b"are you there"))
        try:
            await self._read(each, reader)
        finally:
            self.sockets.discard(each)

    async def _read(self, each: Socket, reader: asyncio.StreamReader) -> None:
        while True:
            opcode, payload = await read_frame(reader)
            if opcode == 8:
                return
            if opcode == 10 and payload != b"are you there":
                raise ValueError("a pong without its ping's text")
            if opcode != 1:
                continue
            message = json.loads(payload)
            if message["type"] != "sub":
                each.send({"t": "error", "code": "not_understood", "detail": "only sub"})
                continue
            each.topics.update(message["topics"])
            answer = {"t": "subscribed", "topics": sorted(each.topics), "cursor": "c"}
            each.send(answer)
