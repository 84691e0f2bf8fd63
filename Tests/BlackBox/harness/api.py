# SPDX-License-Identifier: Apache-2.0
# The operator's side: every call of the operator's API, with the answer as it came.

import json

from .http import Connection

ENDED = ("completed", "failed", "cancelled")
PROBLEM_KEYS = ("type", "title", "status", "detail", "code", "requestId")


class Api:
    """Calls with one bearer token (None sends none)."""

    def __init__(self, server, token):
        self.server, self.token = server, token
        self._connection = Connection("127.0.0.1", server.port)

    def with_token(self, token):
        return Api(self.server, token)

    def call(self, method, path, body=None, raw=None, headers=(), timeout=None):
        """One request; `body` is sent as JSON, `raw` as the bytes it is."""
        sent = [("host", f"127.0.0.1:{self.server.port}")]
        if self.token is not None:
            sent.append(("authorization", f"Bearer {self.token}"))
        content = b""
        given = {name.lower() for name, _ in headers}
        if raw is not None or body is not None:
            content = raw if raw is not None else json.dumps(body).encode()
            if "content-type" not in given:
                sent.append(("content-type", "application/json"))
        return self._connection.send(method, path, [*sent, *headers], content, timeout)

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.call("POST", path, body, **more)

    def patch(self, path, body=None, **more):
        return self.call("PATCH", path, body, **more)

    def delete(self, path, **more):
        return self.call("DELETE", path, **more)

    def good(self, method, path, body=None, status=None, **more):
        """A call that must succeed; its JSON."""
        answer = self.call(method, path, body, **more)
        wanted = (status,) if status else range(200, 300)
        assert answer.status in wanted, f"{method} {path} {body!r} → {answer!r}"
        return answer.json if answer.body else None

    # Tasks

    def submit(self, type, payload=None, **fields):
        """Submits one task; returns its id."""
        body = {"type": type, "payload": {} if payload is None else payload, **fields}
        return self.good("POST", "/api/tasks", body, status=201)["taskId"]

    def bulk(self, tasks, ndjson=False, **more):
        if not ndjson:
            return self.post("/api/tasks/bulk", tasks, **more)
        lines = "".join(json.dumps(task) + "\n" for task in tasks).encode()
        return self.post(
            "/api/tasks/bulk", raw=lines, headers=[("content-type", "application/x-ndjson")], **more
        )

    def task(self, task_id):
        return self.good("GET", f"/api/tasks/{task_id}", status=200)

    def tasks(self, query=""):
        """All pages of a listing."""
        found, cursor = [], None
        while True:
            parts = [part for part in (query, "limit=200", cursor and f"cursor={cursor}") if part]
            page = self.good("GET", "/api/tasks?" + "&".join(parts), status=200)
            found += page["tasks"]
            cursor = page.get("nextCursor")
            if not cursor:
                return found

    def logs(self, task_id):
        page = self.good("GET", f"/api/tasks/{task_id}/logs", status=200)
        return page if isinstance(page, list) else page["logs"]

    def wait(self, task_id, seconds=15):
        """Waits on the server until the task has ended; fails if it has not by then."""
        path = f"/api/tasks/{task_id}/wait?timeoutSeconds={seconds}"
        task = self.good("GET", path, status=200, timeout=seconds + 20)
        assert task["state"] in ENDED, f"not ended after {seconds} s: {task}"
        return task

    def cancel(self, task_id):
        return self.post(f"/api/tasks/{task_id}/cancel")

    def retry(self, task_id):
        return self.post(f"/api/tasks/{task_id}/retry")

    # Agents

    def register(self, name, capabilities, **fields):
        body = {"name": name, "type": "http", "capabilities": capabilities, **fields}
        return self.good("POST", "/api/agents", body, status=201)

    def agents(self):
        page = self.good("GET", "/api/agents", status=200)
        return page if isinstance(page, list) else page["agents"]

    def agent(self, agent_id):
        return self.good("GET", f"/api/agents/{agent_id}", status=200)

    def token_for(self, role, name=None):
        body = {"name": name or f"t-{role}", "role": role}
        return self.good("POST", "/api/tokens", body, status=201)


def assert_problem(answer, status, code=None, path=None):
    """A problem answer as the contract has it; `path` is a name within the problem's path."""
    assert answer.status == status, f"{status} expected: {answer!r}"
    kind = answer.headers.get("content-type", "")
    assert kind.split(";")[0] == "application/problem+json", f"{kind!r}: {answer!r}"
    problem = answer.json
    missing = [key for key in PROBLEM_KEYS if key not in problem]
    assert not missing, f"problem lacks {missing}: {answer!r}"
    assert problem["status"] == status, repr(answer)
    assert problem["code"] and problem["detail"], repr(answer)
    if code is not None:
        assert problem["code"] == code, f"code {code!r} expected: {answer!r}"
    if path is not None:
        assert path in str(problem.get("path", "")), f"path with {path!r} expected: {answer!r}"
    return problem


def nothing_stored(server):
    """Whether no task has been stored since the last time this was asked of this server."""
    known = server.__dict__.setdefault("known_tasks", set())
    found = {task["id"] for task in server.api.tasks()}
    fresh = found - known
    known |= found
    return not fresh
