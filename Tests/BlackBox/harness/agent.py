# SPDX-License-Identifier: Apache-2.0
# What push and pull agents share: signed calls to the control plane and the parts of a report.

import json

from . import signing
from .http import Connection


class AgentCalls:
    """Signed calls of one agent. Bodies may be given as JSON or as raw bytes."""

    def __init__(self, server, agent_id, secret, scheme="standard"):
        self.server, self.id, self.secret, self.scheme = server, agent_id, secret, scheme
        self._connection = Connection("127.0.0.1", server.port)

    def signed(self, body, scheme=None, **more):
        sign = signing.standard if (scheme or self.scheme) == "standard" else signing.compat
        return sign(self.secret, self.id, body, **more)

    def call(self, path, body=None, raw=None, headers=None, timeout=None, scheme=None):
        """One signed POST; `headers` replaces the signature."""
        content = raw if raw is not None else json.dumps(body).encode()
        signed = headers if headers is not None else self.signed(content, scheme)
        sent = [("content-type", "application/json"), *signed]
        return self._connection.send("POST", path, sent, content, timeout)

    def callback(self, body=None, **more):
        return self.call("/api/agent-callback", body, **more)

    def progress(self, dispatch, **fields):
        body = {
            "taskId": dispatch["taskId"],
            "attempt": dispatch["attempt"],
            "leaseToken": dispatch["leaseToken"],
            **fields,
        }
        return self.call(f"/api/tasks/{dispatch['taskId']}/progress", body)

    def report(self, dispatch, status="success", data=None, error=None, **fields):
        """The callback body of one attempt."""
        body = {
            "taskId": dispatch["taskId"],
            "agentId": self.id,
            "attempt": dispatch["attempt"],
            "leaseToken": dispatch["leaseToken"],
            "status": status,
            "duration": 1,
        }
        if data is not None:
            body["results"] = {"data": data, "artifacts": [], "logs": [], "metrics": {}}
        if error is not None:
            body["error"] = error
        body.update(fields)
        return body

    def succeed(self, dispatch, data=None, **fields):
        return self.callback(self.report(dispatch, data={} if data is None else data, **fields))

    def fail(self, dispatch, code="X", retryable=True, **error):
        error = {"code": code, "message": "m", "retryable": retryable, **error}
        return self.callback(self.report(dispatch, "failure", error=error))
