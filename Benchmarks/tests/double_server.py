#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# A stand-in for the server with the calls that the benchmarks use, so that they test themselves.
from __future__ import annotations

import asyncio
import base64
import collections
import hashlib
import hmac
import itertools
import json
import os
import signal
import sys
import time
from typing import Any

from double_live import Live

Headers = dict[str, str]


def sign(secret: str, identifier: str, stamp: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{identifier}.{stamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


async def read_message(reader: asyncio.StreamReader) -> tuple[str, Headers, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {}
    for line in head[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return head[0], headers, body


class Double:
    """Keeps everything in memory. Nothing is durable; only shapes and signatures are checked."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.numbers = itertools.count(1)
        self.queue: collections.deque[dict[str, Any]] = collections.deque()
        self.running: dict[str, dict[str, Any]] = {}
        self.completed = 0
        self.paused = False
        self.agents: dict[str, dict[str, Any]] = {}
        self.work = asyncio.Event()
        self.live = Live()

    def submit(self, task: dict[str, Any]) -> str:
        if set(task) - {"type", "payload"} or "type" not in task:
            raise ValueError("unknown field")
        identifier = f"01BENCH{next(self.numbers):019d}"
        self.queue.append({"id": identifier, **task})
        self.work.set()
        return identifier

    def claim(self) -> dict[str, Any] | None:
        if self.paused or not self.queue:
            return None
        task = self.queue.popleft()
        self.running[task["id"]] = task
        return {
            "taskId": task["id"],
            "attempt": 1,
            "leaseToken": "lease-" + task["id"],
            "type": task["type"],
            "payload": task["payload"],
        }

    def authentic(self, headers: Headers, body: bytes) -> bool:
        agent = self.agents.get(headers.get("x-agent-id", ""))
        if agent is None:
            return False
        identifier, stamp = headers["webhook-id"], headers["webhook-timestamp"]
        return headers["webhook-signature"] == sign(agent["secret"], identifier, stamp, body)

    async def answer(self, line: str, headers: Headers, body: bytes) -> tuple[int, Any]:
        method, path, _ = line.split(" ", 2)
        if path in ("/readyz", "/healthz", "/openapi.json"):
            return 200, {}
        if path == "/api/agent-callback" or path.endswith(("/lease", "/progress")):
            if not self.authentic(headers, body):
                return 401, {"code": "unauthorized"}
            return self.agent_call(path, json.loads(body))
        if headers.get("authorization") != f"Bearer {self.token}":
            return 401, {"code": "unauthorized"}
        return self.operator_call(method, path, body)

    def agent_call(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path.endswith("/lease"):
            claimed = [self.claim() for _ in range(body["max"])]
            return 200, {"dispatches": [each for each in claimed if each]}
        if path.endswith("/progress"):
            return self.progress(path.split("/")[3], body)
        task = self.running.pop(body["taskId"], None)
        if task is None or body["leaseToken"] != "lease-" + body["taskId"]:
            return 409, {"acknowledged": False, "nextAction": "none"}
        self.completed += 1
        self.work.set()
        metadata = {"state": "completed", "attempt": body["attempt"]}
        return 200, {"acknowledged": True, "nextAction": "none", "metadata": metadata}

    def progress(self, task: str, body: dict[str, Any]) -> tuple[int, Any]:
        if task not in self.running or body["leaseToken"] != "lease-" + task:
            return 409, {"acknowledged": False}
        self.live.changed("task", task, {key: body[key] for key in ("progress", "message")})
        return 200, {"acknowledged": True, "cancelled": False}

    def operator_call(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        if path.startswith("/api/tasks?"):
            return 200, {"tasks": []}
        if path == "/api/tasks":
            return 201, {"taskId": self.submit(json.loads(body)), "state": "queued"}
        if path == "/api/tasks/bulk":
            return 201, {"taskIds": [self.submit(json.loads(line)) for line in body.splitlines()]}
        if path == "/api/agents":
            fields = json.loads(body)
            secret = "whsec_" + base64.b64encode(os.urandom(32)).decode()
            identifier = f"agent-{len(self.agents) + 1}"
            self.agents[identifier] = {**fields, "id": identifier, "secret": secret}
            if "endpoint" in fields:
                for _ in range(min(16, fields["concurrency"])):
                    asyncio.create_task(self.push(self.agents[identifier]))
            return 201, {"id": identifier, "secret": secret}
        if path.startswith("/api/types/") and method == "PATCH":
            self.paused = json.loads(body)["paused"]
            self.work.set()
            return 200, {}
        if path == "/api/stats":
            return 200, {"types": {"bench": {"completed": self.completed}}}
        return 404, {"code": "not_found"}

    async def push(self, agent: dict[str, Any]) -> None:
        """One of the agent's slots: claims and dispatches, one task after another."""
        port = int(agent["endpoint"].split(":")[2].split("/")[0])
        streams = None
        while True:
            dispatch = self.claim()
            if dispatch is None:
                self.work.clear()
                await self.work.wait()
                continue
            if streams is None:
                streams = await asyncio.open_connection("127.0.0.1", port)
            reader, writer = streams
            body = json.dumps(dispatch).encode()
            identifier, stamp = f"msg_{dispatch['taskId']}", str(int(time.time()))
            lines = [
                "POST /dispatch HTTP/1.1",
                f"content-length: {len(body)}",
                f"X-Agent-Id: {agent['id']}",
                f"Webhook-Id: {identifier}",
                f"Webhook-Timestamp: {stamp}",
                f"Webhook-Signature: v1,AAAA {sign(agent['secret'], identifier, stamp, body)}",
            ]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            status, _, answer = await read_message(reader)
            if " 200 " not in status or not json.loads(answer)["accepted"]:
                sys.exit(f"dispatch refused: {status} {answer!r}")

    def may_watch(self, headers: Headers) -> bool:
        token = headers.get("authorization") == f"Bearer {self.token}"
        return token and headers.get("upgrade") == "websocket"

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                line, headers, body = await read_message(reader)
                if line.startswith("GET /ws ") and self.may_watch(headers):
                    await self.live.serve(headers["sec-websocket-key"], reader, writer)
                    writer.close()
                    return
                status, value = await self.answer(line, headers, body)
                text = json.dumps(value).encode()
                if len(text) > 1000:  # large answers go out in chunks, as a server may do it
                    writer.write(f"HTTP/1.1 {status} X\r\ntransfer-encoding: chunked\r\n".encode())
                    half = len(text) // 2
                    parts = [text[:half], text[half:], b""]
                    chunks = [f"{len(p):x}\r\n".encode() + p + b"\r\n" for p in parts]
                    writer.write(b"\r\n" + b"".join(chunks))
                else:
                    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n"
                    writer.write(head.encode() + text)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()  # the client is gone


async def serve(port: int) -> None:
    double = Double(os.environ["ORRERY_ADMIN_TOKEN"])
    server = await asyncio.start_server(double.connection, "127.0.0.1", port, limit=1 << 24)
    flushing = asyncio.create_task(double.live.flush())
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    print(f"listening on http://127.0.0.1:{port}", flush=True)
    await stopped.wait()
    flushing.cancel()
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[sys.argv.index("--port") + 1])))
