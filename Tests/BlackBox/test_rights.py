# SPDX-License-Identifier: Apache-2.0
# Every route against every role, tokens and where they may travel.

import json
import stat

import pytest

from harness.api import assert_problem
from harness.http import Connection
from harness.server import REPO

UNKNOWN = "01JD0000000000000000000009"
ROLES = ("viewer", "operator", "admin", "join", None)
RANK = {"viewer": 1, "operator": 2, "admin": 3}
OPEN = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/openapi.json")}
SIGNED = {
    ("POST", "/api/tasks/{id}/progress"),
    ("POST", "/api/agent-callback"),
    ("POST", "/api/agents/{id}/lease"),
    ("POST", "/api/agents/{id}/heartbeat"),
}
VIEWER = {
    ("GET", "/api/tasks"),
    ("GET", "/api/tasks/{id}"),
    ("GET", "/api/tasks/{id}/logs"),
    ("GET", "/api/tasks/{id}/wait"),
    ("GET", "/api/agents"),
    ("GET", "/api/agents/{id}"),
    ("GET", "/api/types"),
    ("GET", "/api/types/{type}"),
    ("GET", "/api/stats"),
    ("GET", "/metrics"),
}
OPERATOR = {
    ("POST", "/api/tasks"),
    ("POST", "/api/tasks/bulk"),
    ("POST", "/api/tasks/{id}/cancel"),
    ("POST", "/api/tasks/{id}/retry"),
    ("POST", "/api/tasks/{id}/acknowledge"),
    ("POST", "/api/agents"),
    ("PATCH", "/api/agents/{id}"),
    ("DELETE", "/api/agents/{id}"),
    ("POST", "/api/agents/{id}/rotate-secret"),
    ("PATCH", "/api/types/{type}"),
}
ADMIN = {
    ("GET", "/api/tokens"),
    ("POST", "/api/tokens"),
    ("DELETE", "/api/tokens/{id}"),
    ("GET", "/api/secrets"),
    ("PUT", "/api/secrets/{name}"),
    ("DELETE", "/api/secrets/{name}"),
    ("POST", "/api/keys/rotate"),
    ("POST", "/api/backup"),
}
JOIN = {("POST", "/api/agents/join")}
# Connections that stay; who may open them is tested with what they say.
LIVE = {("GET", "/ws"), ("GET", "/events"), ("GET", "/socket.io/"), ("POST", "/socket.io/")}
NEEDS = {
    **{route: "viewer" for route in VIEWER},
    **{route: "operator" for route in OPERATOR},
    **{route: "admin" for route in ADMIN},
}


@pytest.fixture(scope="module")
def roles(make_server):
    """A server and one client per role."""
    server = make_server()
    clients = {
        role: server.api.with_token(server.api.token_for(role)["token"])
        for role in ("viewer", "operator", "admin", "join")
    }
    return server, {**clients, None: server.api.with_token(None)}


def call(client, method, route):
    path = route.replace("{id}", UNKNOWN).replace("{type}", "t").replace("{name}", "none")
    if path.endswith("/wait"):
        path += "?timeoutSeconds=0"
    body = {} if method in ("POST", "PUT", "PATCH") else None
    return client.call(method, path, body)


def test_the_table_names_every_route_of_the_document():
    document = json.loads((REPO / "API" / "openapi.json").read_text())
    routes = {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if method in ("get", "post", "put", "patch", "delete")
    }
    assert routes == OPEN | SIGNED | VIEWER | OPERATOR | ADMIN | JOIN | LIVE


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("method,route", sorted(NEEDS))
def test_role_matrix(roles, method, route, role):
    server, clients = roles
    answer = call(clients[role], method, route)
    if role is None:
        assert_problem(answer, 401, "unauthorized")
    elif RANK.get(role, 0) < RANK[NEEDS[method, route]]:
        assert_problem(answer, 403, "forbidden")
    else:
        assert answer.status not in (401, 403) and answer.status < 500, repr(answer)
    assert server.alive


@pytest.mark.parametrize("role,status", [("viewer", 403), (None, 401)])
def test_join_needs_its_role(roles, role, status):
    assert_problem(call(roles[1][role], "POST", "/api/agents/join"), status)


def test_join_is_all_that_a_join_token_may(roles):
    body = {"name": "j", "type": "http", "capabilities": ["x"]}
    assert roles[1]["join"].post("/api/agents/join", body).status == 201


@pytest.mark.parametrize("method,route", sorted(SIGNED))
@pytest.mark.parametrize("role", ["admin", "join", None])
def test_agent_routes_take_no_token(roles, method, route, role):
    answer = call(roles[1][role], method, route)
    assert answer.status == 401, repr(answer)


@pytest.mark.parametrize("method,route", sorted(OPEN))
def test_open_routes_take_any_token(roles, method, route):
    assert call(roles[1][None], method, route).status == 200
    assert call(roles[0].api.with_token("orr_nonsense"), method, route).status == 200


@pytest.mark.parametrize("query", ["token", "access_token", "authorization", "api_key", "bearer"])
def test_a_token_in_the_url_is_none(server, query):
    answer = server.api.with_token(None).get(f"/api/tasks?{query}={server.admin}")
    assert answer.status in (400, 401), repr(answer)
    assert server.admin not in answer.body.decode()


def headers_answer(server, headers):
    return Connection("127.0.0.1", server.port).send("GET", "/api/tasks", headers)


@pytest.mark.parametrize(
    "make",
    [
        lambda t: f"bearer  {t}x",
        lambda t: t,
        lambda t: f"Basic {t}",
        lambda t: f"Bearer {t[:-1]}",
        lambda t: f"Bearer {t}a",
        lambda t: f"Bearer {t.swapcase()}",
        lambda t: "Bearer ",
        lambda t: "Bearer",
        lambda t: f"Bearer {t} {t}",
        lambda t: f"Token {t}",
        lambda t: "Bearer é",
        lambda t: f'Bearer "{t}"',
    ],
)
def test_malformed_authorization(server, make):
    answer = headers_answer(server, [("authorization", make(server.admin))])
    assert answer.status == 401, repr(answer)
    assert server.admin not in answer.body.decode()


def test_two_authorization_headers(server):
    bearer = ("authorization", f"Bearer {server.admin}")
    assert headers_answer(server, [bearer, ("authorization", "Bearer x")]).status in (400, 401)


def test_a_token_is_made_listed_and_revoked(api):
    made = api.token_for("operator", "ci-bot")
    assert made["token"].startswith("orr_") and made["role"] == "operator" and made["id"]
    page = api.good("GET", "/api/tokens", status=200)
    entry = next(token for token in page["tokens"] if token["id"] == made["id"])
    assert entry["name"] == "ci-bot" and entry["role"] == "operator"
    assert made["token"] not in json.dumps(page)
    client = api.with_token(made["token"])
    assert client.get("/api/tasks").status == 200
    assert api.delete(f"/api/tokens/{made['id']}").status == 204
    assert client.get("/api/tasks").status == 401
    assert_problem(api.delete(f"/api/tokens/{made['id']}"), 404)


@pytest.mark.parametrize(
    "body,path",
    [
        ({"name": "x"}, "role"),
        ({"role": "viewer"}, "name"),
        ({"name": "x", "role": "root"}, "role"),
        ({"name": "", "role": "viewer"}, "name"),
        ({"name": "x", "role": "viewer", "z": 1}, "z"),
        ({"name": "x", "role": "viewer", "token": "mine"}, "token"),
    ],
)
def test_bad_tokens(api, body, path):
    assert_problem(api.post("/api/tokens", body), 422, path=path)


def test_tokens_survive_a_restart_and_revocations_too(new_server):
    server = new_server()
    kept, gone = server.api.token_for("viewer", "kept"), server.api.token_for("viewer", "gone")
    server.api.delete(f"/api/tokens/{gone['id']}")
    server.restart()
    assert server.api.with_token(kept["token"]).get("/api/tasks").status == 200
    assert server.api.with_token(gone["token"]).get("/api/tasks").status == 401


def test_tokens_are_stored_hashed(new_server):
    server = new_server()
    token = server.api.token_for("viewer")["token"]
    assert server.terminate()[0] == 0
    stored = b"".join(path.read_bytes() for path in server.data.rglob("*") if path.is_file())
    assert token.encode() not in stored and token[4:].encode() not in stored
    assert server.admin.encode() not in stored


def test_without_an_environment_token_one_is_written_to_a_file(new_server):
    server = new_server(env={"ORRERY_ADMIN_TOKEN": "<unset>"})
    path = server.data / "admin-token"
    token = path.read_text().strip()
    assert token.startswith("orr_") and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert server.api.with_token(token).get("/api/tokens").status == 200
    assert token not in server.log(), "standard output is no terminal here"
    server.restart()
    assert path.read_text().strip() == token
    assert server.api.with_token(token).get("/api/tokens").status == 200


@pytest.mark.parametrize(
    "bad",
    ["short", "x" * 31, "x" * 20 + "\t" + "x" * 20, "é" * 40],
    ids=["short", "31", "tab", "not-ascii"],
)
def test_a_bad_admin_token_stops_the_start(new_server, bad):
    code, said = new_server(start=False, env={"ORRERY_ADMIN_TOKEN": bad}).run_to_end()
    assert code != 0 and "ORRERY_ADMIN_TOKEN" in said and bad not in said


def test_the_same_admin_token_at_every_start(new_server):
    server = new_server()
    for _ in range(2):
        server.restart()
        assert server.api.get("/api/tokens").status == 200
