# SPDX-License-Identifier: Apache-2.0
# Secrets are sealed at rest, need their key at start, and never show in logs or answers.

import base64
import json
import os
import shutil
import sqlite3
import stat
import uuid

import pytest

from harness import signing
from harness.api import assert_problem
from harness.pull_agent import PullAgent
from harness.push_agent import PushAgent, complete

CANARY = "CANARY-" + uuid.uuid4().hex


def put(api, name, value):
    answer = api.call("PUT", f"/api/secrets/{name}", {"value": value})
    assert answer.status == 204, repr(answer)


def names(api):
    return [secret["name"] for secret in api.good("GET", "/api/secrets", status=200)["secrets"]]


def stored(server):
    """Every byte of the data folder but the key."""
    return b"".join(
        path.read_bytes()
        for path in sorted(server.data.rglob("*"))
        if path.is_file() and path.name != "master.key"
    )


def one_sentence(said):
    """The error as people see it: short, and no stack or dump."""
    lines = [line for line in said.splitlines() if line and not line.startswith("---")]
    assert lines, "nothing said"
    assert len(lines) <= 6 and "Fatal error" not in said and "Stack dump" not in said, said
    return " ".join(lines)


def test_set_list_remove(api, kind):
    put(api, kind, "one")
    assert kind in names(api)
    text = api.get("/api/secrets").body.decode()
    assert '"value"' not in text
    put(api, kind, "two")
    assert api.delete(f"/api/secrets/{kind}").status == 204
    assert kind not in names(api)
    assert_problem(api.delete(f"/api/secrets/{kind}"), 404)


@pytest.mark.parametrize(
    "name,body,path",
    [
        ("n", {}, "value"),
        ("n", {"value": ""}, "value"),
        ("n", {"value": 5}, "value"),
        ("n", {"value": "x", "y": 1}, "y"),
    ],
)
def test_bad_secrets(api, name, body, path):
    assert_problem(api.call("PUT", f"/api/secrets/{name}", body), 422, path=path)


def test_secrets_are_sealed_at_rest(new_server):
    server = new_server()
    put(server.api, "canary", CANARY)
    agent = PullAgent.register(server, ["a"])
    assert server.terminate()[0] == 0
    content = stored(server)
    plain = base64.b64decode(agent.secret.removeprefix("whsec_"))
    for secret in (
        CANARY.encode(),
        agent.secret.encode(),
        agent.secret[6:].encode(),
        plain,
        plain.hex().encode(),
    ):
        assert secret not in content


def test_the_master_key_file(new_server):
    server = new_server()
    path = server.data / "master.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    raw = path.read_bytes()
    assert len(raw) == 32 or len(base64.b64decode(raw.strip())) == 32


def test_with_an_environment_key_no_file_is_made(new_server):
    key = base64.b64encode(os.urandom(32)).decode()
    server = new_server(env={"ORRERY_MASTER_KEY": key})
    put(server.api, "canary", CANARY)
    assert not (server.data / "master.key").exists()
    agent = PullAgent.register(server, ["a"])
    server.restart()
    assert agent.heartbeat()["acknowledged"] is True, "the agent's secret opens again"
    assert key not in server.log()


def test_a_missing_key_stops_the_start(new_server):
    server = new_server()
    put(server.api, "canary", CANARY)
    server.terminate()
    (server.data / "master.key").unlink()
    code, said = server.run_to_end()
    assert code != 0 and "master.key" in one_sentence(said)
    assert not (server.data / "master.key").exists(), "no new key over old secrets"


@pytest.mark.parametrize("how", ["file", "environment"])
def test_a_wrong_key_stops_the_start(new_server, how):
    server = new_server()
    put(server.api, "canary", CANARY)
    server.terminate()
    other = base64.b64encode(os.urandom(32)).decode()
    path = server.data / "master.key"
    original = path.read_bytes()
    if how == "file":
        path.write_bytes(base64.b64decode(other) if len(original) == 32 else other.encode())
    else:
        server.env["ORRERY_MASTER_KEY"] = other
    code, said = server.run_to_end()
    assert code != 0 and "key" in one_sentence(said).lower() and other not in said
    path.write_bytes(original)
    server.env.pop("ORRERY_MASTER_KEY", None)
    server.start()
    assert names(server.api) == ["canary"]


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        "AAAA",
        "not base64 !!",
        base64.b64encode(b"x" * 31).decode(),
        base64.b64encode(b"x" * 33).decode(),
    ],
)
def test_a_malformed_key_stops_the_start(new_server, bad):
    code, said = new_server(start=False, env={"ORRERY_MASTER_KEY": bad}).run_to_end()
    assert code != 0 and "ORRERY_MASTER_KEY" in one_sentence(said)


def test_keys_rotate(new_server):
    server = new_server()
    put(server.api, "canary", CANARY)
    with PushAgent.register(server, ["a"], complete()) as agent:
        old = (server.data / "master.key").read_bytes()
        server.api.good("POST", "/api/keys/rotate", status=200)
        new = (server.data / "master.key").read_bytes()
        assert new != old and stat.S_IMODE((server.data / "master.key").stat().st_mode) == 0o600
        server.api.wait(server.api.submit("a"))
        server.restart()
        server.api.wait(server.api.submit("a"))
        assert all(got.verified for got in agent.dispatches) and len(agent.dispatches) == 2
    server.terminate()
    (server.data / "master.key").write_bytes(old)
    assert server.run_to_end()[0] != 0, "the old key opens nothing any more"


def test_keys_of_the_environment_are_not_rotated_over_the_api(new_server):
    server = new_server(env={"ORRERY_MASTER_KEY": base64.b64encode(os.urandom(32)).decode()})
    answer = server.api.post("/api/keys/rotate")
    assert_problem(answer, 409)


def test_a_sealed_value_moved_to_another_row_does_not_open(new_server):
    """The seal binds table, column and row: swapped ciphertexts stop the start or the use."""
    server = new_server()
    first, second = (
        PullAgent.register(server, ["a"], name="a"),
        PullAgent.register(server, ["a"], name="b"),
    )
    server.terminate()
    path = server.database()
    swap_blobs(path, first.id, second.id)
    code = None
    try:
        server.start(timeout=10)
    except AssertionError:
        code = server.process.poll()
    if code is None:
        body = b'{"status":"active","running":[]}'
        for agent, secret in ((first, second.secret), (second, first.secret)):
            headers = signing.standard(secret, agent.id, body)
            answer = agent.call(f"/api/agents/{agent.id}/heartbeat", raw=body, headers=headers)
            assert answer.status != 200, "another row's secret was taken"


def swap_blobs(path, first, second):
    """Swaps every sealed column between the rows of two agents, whatever the columns are called."""
    base = sqlite3.connect(path)
    swapped = 0
    for (table,) in base.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall():
        columns = [row[1] for row in base.execute(f'PRAGMA table_info("{table}")')]
        for key in columns:
            rows = {
                value: base.execute(f'SELECT * FROM "{table}" WHERE "{key}"=?', (value,)).fetchall()
                for value in (first, second)
            }
            if any(len(found) != 1 for found in rows.values()):
                continue
            for index, column in enumerate(columns):
                one, two = rows[first][0][index], rows[second][0][index]
                if (
                    isinstance(one, bytes)
                    and isinstance(two, bytes)
                    and len(one) >= 28
                    and one != two
                ):
                    base.execute(f'UPDATE "{table}" SET "{column}"=? WHERE "{key}"=?', (two, first))
                    base.execute(
                        f'UPDATE "{table}" SET "{column}"=? WHERE "{key}"=?', (one, second)
                    )
                    swapped += 1
    base.commit()
    base.close()
    assert swapped, "no sealed column found"


def test_backups_hold_no_key(new_server):
    server = new_server()
    put(server.api, "canary", CANARY)
    key = (server.data / "master.key").read_bytes().strip()
    server.api.good("POST", "/api/backup", {}, status=200)
    made = [path for path in (server.data / "backups").rglob("*") if path.is_file()]
    assert made
    for path in made:
        content = path.read_bytes()
        assert key not in content and CANARY.encode() not in content
        assert len(key) == 32 or base64.b64decode(key) not in content


def test_canaries_never_show_in_logs_or_errors(new_server):
    """Secrets pushed through every door of the API, then looked for in all that was said."""
    server = new_server()
    api, said = server.api, []
    put(api, "canary", CANARY)
    agent = PullAgent.register(server, ["a"])
    token = api.token_for("viewer")["token"]
    for client in (api.with_token(token), api.with_token(token + "x"), api.with_token(CANARY)):
        said.append(client.get(f"/api/tasks?x={CANARY}").body)
        said.append(client.post("/api/tokens", {"name": "x", "role": "root"}).body)
    said.append(api.call("PUT", "/api/secrets/x", {"value": CANARY, "extra": CANARY}).body)
    said.append(api.call("PUT", "/api/secrets/x", raw=b'{"value":"' + CANARY.encode()).body)
    said.append(
        api.post(
            "/api/tasks",
            headers=[("idempotency-key", "k")],
            raw=json.dumps({"type": "a", "payload": CANARY, "x": 1}).encode(),
        ).body
    )
    api.submit("a", {"password": CANARY})
    dispatch = agent.take()
    said.append(agent.callback(agent.report(dispatch, "nonsense", data=CANARY)).body)
    agent.succeed(dispatch, CANARY)
    rotated = api.good("POST", f"/api/agents/{agent.id}/rotate-secret", {})["secret"]
    server.terminate()
    text = b"".join(said).decode() + "\n".join([*server.output, *server.errors])
    for secret in (CANARY, token, agent.secret, rotated, server.admin, dispatch["leaseToken"]):
        assert secret not in text


def test_a_copied_folder_without_its_key_opens_nothing(new_server, tmp_path):
    server = new_server()
    put(server.api, "canary", CANARY)
    server.terminate()
    copy = tmp_path / "copy"
    shutil.copytree(server.data, copy)
    (copy / "master.key").unlink()
    assert new_server(start=False, data=copy).run_to_end()[0] != 0
