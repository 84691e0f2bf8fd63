# SPDX-License-Identifier: Apache-2.0
# What goes out besides the signature: API keys, bearer tokens, OAuth 2 client credentials.

import base64
import http.server
import json
import threading
import urllib.parse

import pytest

from harness.push_agent import PushAgent, complete
from harness.wait import eventually, pause

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
CREDENTIAL = "credential-" + "z" * 30


class TokenServer:
    """An OAuth 2 token endpoint that counts what it is asked."""

    def __init__(self, expires=3600, status=200):
        self.asked, self.expires, self.status = [], expires, status
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
                outer.asked.append((dict(self.headers.items()), urllib.parse.parse_qs(body)))
                token = {
                    "access_token": f"access-{len(outer.asked)}",
                    "token_type": "Bearer",
                    "expires_in": outer.expires,
                }
                content = json.dumps(token).encode()
                self.send_response(outer.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/token"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


def run(new_server, authentication, behave=None, env=None, tasks=1):
    """Tasks through a configured push agent; its dispatches and the server."""
    server = new_server(
        start=False,
        env={"S": SECRET, "CRED": CREDENTIAL, **(env or {})},
        args=["--allow-net", "127.0.0.1/32"],
    )
    with PushAgent(server, behave or complete()) as agent:
        agent.id, agent.secret = "p", SECRET
        server.write_config(
            {
                "agents": [
                    {
                        "id": "p",
                        "type": "http",
                        "capabilities": ["p"],
                        "endpoint": agent.url + "/dispatch",
                        "secretName": "S",
                        "authentication": authentication,
                    }
                ]
            }
        )
        server.start()
        for _ in range(tasks):
            assert server.api.wait(server.api.submit("p"), 20)["state"] == "completed"
        assert all(got.verified for got in agent.dispatches), "our signature goes out as well"
        assert (
            CREDENTIAL not in server.log()
            and CREDENTIAL not in server.api.get("/api/agents").body.decode()
        )
        return agent.dispatches


def test_bearer(new_server):
    got = run(new_server, {"type": "bearer", "keyName": "CRED"})[0]
    assert got.header("authorization") == [f"Bearer {CREDENTIAL}"]


def test_api_key(new_server):
    got = run(new_server, {"type": "api-key", "keyName": "CRED"})[0]
    assert got.header("x-api-key") == [CREDENTIAL] and got.header("authorization") == []


def test_api_key_in_another_header(new_server):
    got = run(new_server, {"type": "api-key", "keyName": "CRED", "header": "x-functions-key"})[0]
    assert got.header("x-functions-key") == [CREDENTIAL] and got.header("x-api-key") == []


def test_hmac_is_nothing_more(new_server):
    got = run(new_server, {"type": "hmac"})[0]
    assert got.header("authorization") == [] and got.header("x-api-key") == []


def test_oauth2_client_credentials_are_fetched_once(new_server):
    with TokenServer() as tokens:
        got = run(
            new_server,
            {
                "type": "oauth2",
                "tokenUrl": tokens.url,
                "clientId": "me",
                "scope": "run",
                "keyName": "CRED",
            },
            tasks=3,
        )
        assert [one.header("authorization") for one in got] == [["Bearer access-1"]] * 3
        assert len(tokens.asked) == 1
        headers, form = tokens.asked[0]
        assert form["grant_type"] == ["client_credentials"] and form.get("scope") == ["run"]
        assert client_of(headers, form) == ("me", CREDENTIAL)


def client_of(headers, form):
    """Client id and secret, from the form or from HTTP basic, as RFC 6749 §2.3.1 allows."""
    if "client_secret" in form:
        return form["client_id"][0], form["client_secret"][0]
    given = next(value for name, value in headers.items() if name.lower() == "authorization")
    name, _, secret = base64.b64decode(given.removeprefix("Basic ")).decode().partition(":")
    return urllib.parse.unquote_plus(name), urllib.parse.unquote_plus(secret)


def test_oauth2_token_that_ends_is_fetched_again(new_server):
    def slow(agent, dispatch):
        pause(1.2)
        return complete()(agent, dispatch)

    with TokenServer(expires=1) as tokens:
        got = run(
            new_server,
            {"type": "oauth2", "tokenUrl": tokens.url, "clientId": "me", "keyName": "CRED"},
            behave=slow,
            tasks=2,
        )
        assert [one.header("authorization") for one in got] == [
            ["Bearer access-1"],
            ["Bearer access-2"],
        ]


def test_a_token_server_that_fails_puts_the_task_back(new_server):
    server = new_server(
        start=False, env={"S": SECRET, "CRED": CREDENTIAL}, args=["--allow-net", "127.0.0.1/32"]
    )
    with TokenServer(status=500) as tokens, PushAgent(server, complete()) as agent:
        server.write_config(
            {
                "agents": [
                    {
                        "id": "p",
                        "type": "http",
                        "capabilities": ["p"],
                        "endpoint": agent.url + "/dispatch",
                        "secretName": "S",
                        "authentication": {
                            "type": "oauth2",
                            "tokenUrl": tokens.url,
                            "clientId": "me",
                            "keyName": "CRED",
                        },
                    }
                ]
            }
        )
        server.start()
        task_id = server.api.submit("p")
        eventually(lambda: tokens.asked, 8)
        eventually(lambda: server.api.task(task_id)["state"] == "queued", 8)
        task = server.api.task(task_id)
        assert task["failures"] == 0 and agent.dispatches == []
        assert CREDENTIAL not in server.log()


@pytest.mark.parametrize(
    "authentication,word",
    [
        ({"type": "bearer"}, "keyName"),
        ({"type": "oauth2", "keyName": "CRED", "clientId": "x"}, "tokenUrl"),
        ({"type": "oauth2", "keyName": "CRED", "tokenUrl": "https://93.184.216.34/t"}, "clientId"),
        (
            {"type": "oauth2", "keyName": "CRED", "tokenUrl": "ftp://x/t", "clientId": "x"},
            "tokenUrl",
        ),
        ({"type": "api-key", "keyName": "CRED", "header": "bad header"}, "header"),
        ({"type": "bearer", "keyName": "CRED", "extra": 1}, "extra"),
        ({"keyName": "CRED"}, "type"),
    ],
)
def test_bad_authentication_stops_the_start(new_server, authentication, word):
    given = {
        "agents": [
            {
                "id": "p",
                "type": "http",
                "capabilities": ["p"],
                "endpoint": "https://93.184.216.34/d",
                "authentication": authentication,
            }
        ]
    }
    code, said = new_server(start=False, config=given, env={"CRED": CREDENTIAL}).run_to_end()
    assert code != 0 and word in said and "agents[0].authentication" in said
    assert CREDENTIAL not in said


def test_a_named_secret_as_credential(new_server):
    server = new_server(config={"agents": []}, env={"S": SECRET})
    assert server.api.call("PUT", "/api/secrets/NAMED", {"value": CREDENTIAL}).status == 204
    with PushAgent(server, complete()) as agent:
        agent.id, agent.secret = "p", SECRET
        server.write_config(
            {
                "agents": [
                    {
                        "id": "p",
                        "type": "http",
                        "capabilities": ["p"],
                        "endpoint": agent.url + "/dispatch",
                        "secretName": "S",
                        "authentication": {"type": "bearer", "keyName": "NAMED"},
                    }
                ]
            }
        )
        server.restart()
        server.api.wait(server.api.submit("p"))
        assert agent.dispatches[0].header("authorization") == [f"Bearer {CREDENTIAL}"]
