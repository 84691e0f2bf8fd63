# SPDX-License-Identifier: Apache-2.0
# The server's log: JSON lines with ids, one line per event whatever is in it, and no secrets.

import json
import re

import pytest

from harness.push_agent import PushAgent, answer, complete
from harness.wait import eventually

CANARY = "orr_CanaryThatMustNotBeSeen0123456789abcdef"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
LEVELS = {"trace", "debug", "info", "notice", "warning", "error", "critical"}


def lines(server):
    """Every line of standard error, parsed and checked."""
    found = [json.loads(line) for line in list(server.errors)]
    for line in found:
        assert list(line)[:3] == ["time", "level", "message"]
        assert TIME.fullmatch(line["time"]) and line["level"] in LEVELS
    return found


@pytest.fixture
def logging(new_server):
    return new_server(args=["--log-format", "json", "--log-level", "debug"])


def access(server, **fields):
    def look():
        return [
            line for line in lines(server)
            if line["message"] == "request"
            and all(line.get(key) == value for key, value in fields.items())
        ]  # fmt: skip

    return eventually(look, what=f"an access line with {fields}")


def test_each_request_has_a_line(logging, kind):
    made = logging.api.call(
        "POST", "/api/tasks", {"type": kind},
        headers=[("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")],
    )  # fmt: skip
    (line,) = access(logging, requestId=made.headers["x-request-id"])
    assert line["route"] == "POST /api/tasks" and line["status"] == 201
    assert line["traceId"] == TRACE and line["ms"] >= 0 and "code" not in line
    logging.api.call("GET", "/api/tasks/none")
    (line,) = access(logging, route="GET /api/tasks/{id}")
    assert line["status"] == 400 and line["code"] == "invalid_id" and "traceId" not in line


def test_lines_of_a_task_name_task_agent_and_trace(logging, kind):
    with PushAgent.register(logging, [kind], answer(503)) as agent:
        task = logging.api.call(
            "POST", "/api/tasks", {"type": kind},
            headers=[("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")],
        ).json["taskId"]  # fmt: skip
        (line,) = eventually(
            lambda: [one for one in lines(logging) if one.get("taskId") == task][:1],
            what="a line about the task",
        )
        assert line["agentId"] == agent.id and line["attempt"] == 1
        assert line["traceId"] == TRACE and line["level"] == "notice"


def test_what_strangers_send_begins_no_line_and_shows_no_secret(logging, kind):
    nasty = f"/{kind}%0A%1B[31m{{\"level\":\"critical\"}}?token={CANARY}"
    link = logging.connection()
    link.send("GET", nasty, [("authorization", f"Bearer {CANARY}")])
    link.send("POST", "/api/agent-callback", [("x-agent-id", "a\x85b")], b"{}")
    with PushAgent.register(logging, [kind], complete({"canary": CANARY})):
        body = {"type": kind, "payload": {"token": CANARY, "x": "a\nb\u2028c"}}
        logging.api.wait(logging.api.call("POST", "/api/tasks", body).json["taskId"])
    access(logging, route="none")
    assert logging.terminate()[0] == 0
    lines(logging)
    said = "\n".join(logging.errors + logging.output)
    for secret in (CANARY, logging.admin, "\x1b", "\u2028"):
        assert secret not in said


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_output_of_a_managed_agent_stays_in_its_lines(new_server, form):
    program = r"printf 'one\033[2J\rtwo %s\n' " + CANARY + "; exec sleep 60"
    server = new_server(
        args=["--log-format", form],
        config={
            "agents": [
                {
                    "id": "noisy",
                    "type": "http",
                    "capabilities": ["noise"],
                    "launch": {"command": ["/bin/sh", "-c", program]},
                }
            ]
        },
    )
    line = eventually(
        lambda: next((one for one in list(server.errors) if "two" in one), None),
        what="the agent's line",
    )
    assert "one" in line and "noisy" in line and "agentId" in line
    assert "\x1b" not in line and "\r" not in line and CANARY not in line
    assert "orr_***" in line


def test_text_is_the_default(new_server):
    server = new_server(args=["--log-level", "debug"])
    server.api.call("GET", "/healthz")
    pattern = r"\S+Z debug orrery: request requestId=[0-9a-f]{16} ms=\S+ "
    line = eventually(
        lambda: next((one for one in list(server.errors) if "/healthz" in one), None),
        what="an access line",
    )
    assert re.match(pattern + r'route="GET /healthz" status=200$', line), line


@pytest.mark.parametrize("given", ["xml", "JSONL", ""])
def test_an_unknown_format_stops_the_start(new_server, given):
    code, said = new_server(start=False, args=["--log-format", given]).run_to_end()
    assert code != 0 and "--log-format" in said and "text, json" in said
