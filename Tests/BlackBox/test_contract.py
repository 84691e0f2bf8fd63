# SPDX-License-Identifier: Apache-2.0
# API/openapi.json against the real server: all checks of schemathesis, and every example is true.

import json
import os
import pathlib
import re
import secrets
import subprocess

import pytest

from harness.server import REPO

FOLDER = pathlib.Path(__file__).parent / "contract"
DOCUMENT = REPO / "API" / "openapi.json"
SCHEMATHESIS = REPO / ".build" / "venv-contract" / "bin" / "schemathesis"
SCHEMATHESIS = pathlib.Path(os.environ.get("ORRERY_SCHEMATHESIS", SCHEMATHESIS))
PASSED = re.compile(r"^ +(\d+) generated, (\d+) passed", re.MULTILINE)
QUICK = [("examples,coverage", 1, 1), ("fuzzing", 40, 1), ("stateful", 100, 1), ("stateful", 100, 2)]
LONG = [(phase, 1000, seed) for seed in (11, 12, 13) for phase in ("fuzzing", "stateful")]


def attack(make_server, phases, examples, seed):
    """Runs schemathesis with every check on a server of its own; what it found."""
    if not SCHEMATHESIS.exists():
        pytest.skip("SKIPPED: no schemathesis; Scripts/bootstrap --test installs it")
    secret = secrets.token_hex(20)
    signer = {"id": "signer", "type": "http", "capabilities": ["contract", "pdf"]}
    signer |= {"concurrency": 10_000, "secretName": "SIGNER"}
    server = make_server(config={"agents": [signer]}, env={"SIGNER": secret})
    admin = server.api.get("/api/tokens").json["tokens"][0]
    environment = {
        **os.environ,
        "PYTHONPATH": str(FOLDER.parent),
        "ORRERY_CONTRACT_TOKEN": server.admin,
        "ORRERY_CONTRACT_TOKEN_ID": admin["id"],
        "ORRERY_CONTRACT_AGENT": signer["id"],
        "ORRERY_CONTRACT_SECRET": secret,
    }
    command = [SCHEMATHESIS, "--config-file", FOLDER / "schemathesis.toml", "run", DOCUMENT]
    command += ["--url", server.url, "--checks", "all", "--phases", phases]
    command += ["--max-examples", str(examples), "--seed", str(seed)]
    done = subprocess.run(
        list(map(str, command)), cwd=FOLDER, env=environment, capture_output=True, text=True
    )
    assert server.alive, done.stdout
    return done


@pytest.mark.timeout(600)
@pytest.mark.parametrize("phases,examples,seed", QUICK)
def test_no_check_fails(make_server, phases, examples, seed):
    check(attack(make_server, phases, examples, seed))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("phases,examples,seed", LONG)
def test_no_check_fails_for_long(make_server, phases, examples, seed):
    check(attack(make_server, phases, examples, seed))


def check(done):
    counted = PASSED.search(done.stdout)
    assert done.returncode == 0 and counted, done.stdout[-20_000:] + done.stderr[-2_000:]
    generated, passed = map(int, counted.groups())
    assert generated == passed > 50, done.stdout[-2_000:]


# The document itself


def document():
    return json.loads(DOCUMENT.read_text())


def operations():
    for path, item in document()["paths"].items():
        for method, operation in item.items():
            yield pytest.param(operation, id=f"{method.upper()} {path}")


@pytest.mark.no_binary
@pytest.mark.parametrize("operation", list(operations()))
def test_everything_is_described(operation):
    answers = operation["responses"]
    assert operation["operationId"] and operation["summary"] and operation["tags"]
    assert "security" in operation
    # Engine.IO has refusals of its own.
    assert operation["operationId"].startswith("socketIO") or {"400", "405"} <= set(answers)
    for parameter in map(resolved, operation.get("parameters", [])):
        assert parameter["description"] and "example" in parameter, parameter["name"]
    for status, answer in ((status, resolved(answer)) for status, answer in answers.items()):
        assert status in ("101", "204") or answer["content"], status
        assert status == "101" or "x-request-id" in answer["headers"], status


@pytest.mark.no_binary
@pytest.mark.parametrize("operation", list(operations()))
def test_every_example_is_valid(operation):
    jsonschema = pytest.importorskip("jsonschema")
    bodies = [operation["requestBody"]] if "requestBody" in operation else []
    bodies += [resolved(answer) for answer in operation["responses"].values()]
    for body in bodies:
        for media, content in body.get("content", {}).items():
            assert content["examples"], f"{media} has no example"
            schema = {**content["schema"], "components": document()["components"]}
            for example in content["examples"].values():
                jsonschema.Draft202012Validator(schema).validate(example["value"])


def resolved(node):
    while "$ref" in node:
        node, reference = document(), node["$ref"]
        for name in reference.removeprefix("#/").split("/"):
            node = node[name]
    return node
