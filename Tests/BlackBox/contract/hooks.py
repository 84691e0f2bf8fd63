# SPDX-License-Identifier: Apache-2.0
# What schemathesis cannot know from the document: signatures, things that exist, rules beyond schemas.

import collections
import json
import os
import re

import requests
import requests.auth
import schemathesis
from hypothesis import strategies as st
from schemathesis.openapi.checks import UnsupportedMethodResponse

from harness import signing
from harness.server import REPO

ADMIN = os.environ["ORRERY_CONTRACT_TOKEN"]
ADMIN_ID = os.environ["ORRERY_CONTRACT_TOKEN_ID"]
AGENT = os.environ["ORRERY_CONTRACT_AGENT"]
SECRET = os.environ["ORRERY_CONTRACT_SECRET"]
SIGNED = "Agent protocol"
DOCUMENT = json.loads((REPO / "API" / "openapi.json").read_text())
ULID = DOCUMENT["components"]["schemas"]["TaskID"]["pattern"]
NOBODYS = "01JD0000000000000000000009"
URL = DOCUMENT["components"]["schemas"]["NewAgent"]["properties"]["endpoint"]["pattern"]


# Signing in


class Token(requests.auth.AuthBase):
    """Sends the admin's token."""

    def __call__(self, request):
        request.headers["Authorization"] = f"Bearer {ADMIN}"
        request.register_hook("response", leave_socket)
        return request


def leave_socket(response, **_):
    """A connection that became a WebSocket serves no other request."""
    if response.status_code == 101:
        response.raw.connection.close()


class Signature(requests.auth.AuthBase):
    """Signs the bytes that are really sent."""

    def __call__(self, request):
        body = request.body or b""
        raw = body if isinstance(body, bytes) else body.encode()
        for name in signing.SINGLE:
            request.headers.pop(name, None)
        for name, value in signing.standard(SECRET, AGENT, raw):
            request.headers[name] = value
        return request


schemathesis.auth.set_from_requests(Signature()).apply_to(tag=SIGNED)
schemathesis.auth.set_from_requests(Token()).skip_for(tag=SIGNED)


# Values that a JSON schema cannot describe

DIGITS = st.integers


@st.composite
def times(draw):
    """RFC 3339 from 1970 to 9998, so that every offset stays within what the server keeps."""
    year, month, day = draw(DIGITS(1971, 9998)), draw(DIGITS(1, 12)), draw(DIGITS(1, 28))
    clock = "{:02}:{:02}:{:02}".format(*(draw(DIGITS(0, most)) for most in (23, 59, 59)))
    fraction = draw(st.sampled_from(["", ".5", ".123", ".999999999"]))
    zone = draw(st.sampled_from(["Z", "z", "+00:00", "-11:30", "+14:00"]))
    return f"{year:04}-{month:02}-{day:02}T{clock}{fraction}{zone}"


schemathesis.openapi.format("date-time", times())
LINES = '{"type":"lines"}\n\n  {"type":"lines","payload":[1]}\r\n'


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    return value if isinstance(value, bytes) else str(value).encode()


# What exists by now

tasks = collections.deque(maxlen=50)
dispatches = collections.deque(maxlen=50)
keys = {}


@schemathesis.hook
def after_call(context, case, response):
    if response.status_code not in (200, 201) or case.meta is None:
        return
    name = case.operation.definition.raw.get("operationId")
    if name in ("submitTask", "retryTask"):
        tasks.append(response.json()["taskId"])
    elif name == "leaseTasks":
        dispatches.extend(response.json()["dispatches"])


@schemathesis.hook
def before_call(context, case, kwargs):
    protect(case)
    shorten(case)
    stay_here(case)
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if isinstance(case.body, (dict, list, str)):
        case.body = plain(case.body)
    rule = RULES.get(case.operation.definition.raw.get("operationId"))
    if rule:
        rule(case)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Engine.IO wants 400 and the number 2 for every method that it does not know, not 405."""
    is_method = isinstance(failure, UnsupportedMethodResponse) and case.path == "/socket.io/"
    return not (is_method and response.status_code == 400 and response.json()["code"] == 2)


def protect(case):
    """The run's own token and agent stay; the tests have others of the same kind."""
    given = case.path_parameters.get("id") if isinstance(case.path_parameters, dict) else None
    name = case.operation.definition.raw.get("operationId")
    if name == "removeToken" and given == ADMIN_ID:
        case.path_parameters["id"] = "tok_0000000000000000"
    if name == "rotateAgentSecret" and given == AGENT:
        case.path_parameters["id"] = "nobody"


# Rules beyond schemas


def shorten(case):
    """Waits of a second do what waits of a minute do."""
    query, body = case.query, case.body
    if case.operation.path.endswith("/wait") and isinstance(query, dict):
        if str(query.get("timeoutSeconds", "30")) in map(str, range(2, 61)):
            query["timeoutSeconds"] = 1
    if isinstance(body, dict) and isinstance(body.get("waitSeconds"), (int, float)):
        body["waitSeconds"] = min(body["waitSeconds"], 1)


def plain(value):
    """Lengths count bytes, not characters; whole numbers are written without a fraction."""
    if isinstance(value, dict):
        return {plain(name): plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    if isinstance(value, str) and any(len(value) <= most < len(value.encode()) for most in BYTES):
        return "x" * len(value)
    return value


BYTES = (128, 255, 4096, 65536)


def topics_that_speak(case):
    """The counters come at once, so that a stream need not be waited for; filters are well formed."""
    given = case.query.get("topic", [])
    given = [re.sub(r"\?.*", "?state=failed&label=a:b", topic, flags=re.S) for topic in given]
    case.query["topic"] = [*given[:63], "overview"]


SOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
CONNECT = f'40{{"token":"{ADMIN}"}}'


def new_session(case):
    """A session of Engine.IO; nothing waits for it."""
    base = f"{case.operation.base_url.rstrip('/')}/socket.io/?EIO=4&transport=polling"
    opened = requests.get(base, timeout=20).text
    return base, json.loads(opened.removeprefix("0"))["sid"]


def engine_poll(case):
    """A WebSocket has its headers; a poll is of a session for which an answer waits."""
    query = case.query
    if query["transport"] == "websocket":
        query.pop("sid", None)
        case.headers.update(SOCKET)
    elif "sid" in query:
        base, query["sid"] = new_session(case)
        requests.post(f"{base}&sid={query['sid']}", CONNECT, timeout=20)


def engine_post(case):
    """Packets go to a session that is there, and are packets."""
    case.query["sid"] = new_session(case)[1]
    case.body = CONNECT


def pages(case):
    """A cursor is the id of a task on this server."""
    if "cursor" in (case.query or {}) and tasks:
        case.query["cursor"] = tasks[-1]


def task_rules(case):
    """Times in order; header and body agree on the idempotency key, which is used for one task."""
    if isinstance(case.body, str):
        case.body = LINES
    header = (case.headers or {}).get("Idempotency-Key")
    for body in case.body if isinstance(case.body, list) else [case.body]:
        if not isinstance(body, dict):
            continue
        if body.get("deadline") is not None:
            body["deadline"] = "9999-01-01T00:00:00Z"
        key = header or body.get("idempotencyKey")
        if key is None:
            continue
        body.pop("idempotencyKey", None)
        key = own_key(key, body)
        if header:
            case.headers["Idempotency-Key"] = key
        else:
            body["idempotencyKey"] = key


def own_key(key, body):
    """The key, or one like it if another task has it."""
    while keys.setdefault(key, repr(body)) != repr(body):
        key = (key + "+")[-128:] if len(key) < 128 else f"{len(keys)}" + key[8:]
    return key


def stay_here(case):
    """Addresses at which nothing listens in the place of those that may lead out of this machine."""
    for name in ("endpoint", "cancelEndpoint", "healthUrl") if isinstance(case.body, dict) else ():
        url = case.body.get(name)
        if isinstance(url, str) and len(url) <= 2048 and re.fullmatch(URL, url):
            case.body[name] = f"http://127.0.0.1:9/{name}"


def of_this_agent(case):
    """The agent of the path is the one that signs."""
    case.path_parameters["id"] = AGENT


def take_task(case):
    """Gives this agent an attempt to report on."""
    base = case.operation.base_url.rstrip("/")
    requests.post(f"{base}/api/tasks", json={"type": "contract"}, auth=Token(), timeout=20)
    lease = f"{base}/api/agents/{AGENT}/lease"
    answer = requests.post(lease, json={"waitSeconds": 1}, auth=Signature(), timeout=20)
    dispatches.extend(answer.json().get("dispatches", []))


def held(case):
    """Reports of attempts that this agent holds; path and body agree."""
    if not isinstance(case.body, dict):
        return
    if not dispatches:
        take_task(case)
    known = {"agentId": AGENT, **(dispatches[0] if dispatches else {})}
    if "id" not in case.path_parameters and dispatches:
        dispatches.popleft()
    if "id" in case.path_parameters:
        known_task(case)
        known.setdefault("taskId", case.path_parameters["id"])
        case.path_parameters["id"] = known["taskId"]
    for name in ("agentId", "taskId", "attempt", "leaseToken"):
        if case.body.get(name) is not None and name in known:
            case.body[name] = known[name]


def known_task(case):
    """Every other task is one that exists. An id of something else, which a guessed link took, is
    none of a task.
    """
    given = case.path_parameters["id"]
    is_other = not re.fullmatch(ULID, given)
    is_even = case.meta.phase.name.value != "stateful" and given[-1] in "02468ACEGJMPRTWY"
    if tasks and (is_other or is_even):
        case.path_parameters["id"] = tasks[-1]
    elif is_other:
        case.path_parameters["id"] = NOBODYS


RULES = {
    "watchByEvents": topics_that_speak,
    "socketIOPoll": engine_poll,
    "socketIOPost": engine_post,
    "listTasks": pages,
    "submitTask": task_rules,
    "submitTasks": task_rules,
    "leaseTasks": of_this_agent,
    "heartbeat": of_this_agent,
    "reportProgress": held,
    "agentCallback": held,
    "getTask": known_task,
    "getTaskLogs": known_task,
    "waitForTask": known_task,
    "cancelTask": known_task,
    "retryTask": known_task,
    "acknowledgeTask": known_task,
}
