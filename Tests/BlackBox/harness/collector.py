# SPDX-License-Identifier: Apache-2.0
# An OTLP/HTTP collector that takes nothing on trust: every message is checked field by field.

import http.server
import json
import re
import threading
import time

from .wait import eventually

TRACE_ID, SPAN_ID = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{16}")
SPAN_FIELDS = {
    "traceId", "spanId", "parentSpanId", "traceState", "name", "kind", "startTimeUnixNano",
    "endTimeUnixNano", "attributes", "status",
}  # fmt: skip


class Span:
    """One span, its attributes as a dictionary."""

    def __init__(self, found, resource):
        assert set(found) <= SPAN_FIELDS, set(found) - SPAN_FIELDS
        self.trace, self.id = found["traceId"], found["spanId"]
        self.parent = found.get("parentSpanId")
        self.state = found.get("traceState")
        self.name, self.kind = found["name"], found["kind"]
        self.start, self.end = (_nanoseconds(found[key]) for key in SPAN_TIMES)
        self.attributes = _attributes(found["attributes"])
        self.status = found.get("status", {})
        self.resource = resource
        assert TRACE_ID.fullmatch(self.trace) and int(self.trace, 16)
        assert SPAN_ID.fullmatch(self.id) and int(self.id, 16)
        if self.parent is not None:
            assert SPAN_ID.fullmatch(self.parent) and int(self.parent, 16)
        assert isinstance(self.name, str) and self.name
        assert self.kind in range(1, 6)
        assert self.start <= self.end <= time.time_ns() + 10**9
        assert set(self.status) <= {"code", "message"}
        assert self.status.get("code", 0) in (0, 1, 2)

    def __repr__(self):
        return f"{self.name} {self.id} < {self.parent} in {self.trace}: {self.attributes}"


SPAN_TIMES = ("startTimeUnixNano", "endTimeUnixNano")


def _nanoseconds(text):
    assert isinstance(text, str) and text.isdigit() and len(text) == 19, text
    return int(text)


def _attributes(found):
    """Each key once, each value of exactly one kind; whole numbers are texts."""
    attributes = {}
    for one in found:
        assert set(one) == {"key", "value"} and one["key"] not in attributes
        (kind, value), = one["value"].items()
        if kind == "intValue":
            assert isinstance(value, str)
            value = int(value)
        else:
            assert isinstance(value, {"stringValue": str, "boolValue": bool}[kind])
        attributes[one["key"]] = value
    return attributes


def _spans(body):
    for one in body["resourceSpans"]:
        assert set(one) == {"resource", "scopeSpans"}
        resource = _attributes(one["resource"]["attributes"])
        for scope in one["scopeSpans"]:
            assert set(scope) == {"scope", "spans"}
            assert scope["scope"]["name"] == "orrery" and scope["scope"]["version"]
            for span in scope["spans"]:
                yield Span(span, resource)


class Collector:
    """Listens on loopback; `statuses` scripts the next answers."""

    def __init__(self):
        self.spans, self.requests, self.faults, self.statuses = [], [], [], []
        handler = type("Handler", (_Handler,), {"collector": self})
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def take(self, headers, path, raw):
        self.requests.append((path, headers))
        try:
            assert path == "/v1/traces", path
            assert headers["content-type"] == "application/json"
            found = list(_spans(json.loads(raw)))
            assert 1 <= len(found) <= 512
        except Exception as error:  # kept for the test to show
            self.faults.append(repr(error))
            return 400
        if self.statuses:
            return self.statuses.pop(0)
        self.spans.extend(found)
        return 200

    def named(self, name, **attributes):
        return [
            span for span in list(self.spans)
            if span.name == name
            and all(span.attributes.get(key) == value for key, value in attributes.items())
        ]  # fmt: skip

    def until(self, condition, what, timeout=15):
        """Waits: spans are sent every five seconds."""
        eventually(condition, timeout, what=what)
        assert not self.faults, self.faults

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    collector = None

    def log_message(self, *_):
        pass

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status = self.collector.take(headers, self.path, raw)
        self.send_response_only(status)
        self.send_header("content-type", "application/json")
        if status == 302:
            self.send_header("location", "/elsewhere")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
