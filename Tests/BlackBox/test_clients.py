# SPDX-License-Identifier: Apache-2.0
# The HTTP clients that people have: three requests each on one connection, all answered.

import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys

import pytest

from harness.relay import Relay

HERE = pathlib.Path(__file__).parent / "harness" / "clients"
WANTED = ["200", "201", "200"]


@pytest.fixture
def relay(server):
    with Relay(server.port) as relay:
        yield relay


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    return tmp_path_factory.mktemp("clients")


def need(tool, package):
    if shutil.which(tool) is None:
        pytest.skip(f"SKIPPED: {tool} is missing; on Debian: apt-get install {package}")


def statuses(*command, **more):
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=60, **more
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout.split()


def on_one_connection(relay, found):
    assert found == WANTED
    assert relay.accepted == 1, f"{relay.accepted} connections"


# Java


@pytest.fixture(scope="module")
def java(build):
    need("javac", "openjdk-17-jdk-headless")
    subprocess.run(["javac", "-d", build, HERE / "Client.java"], check=True, timeout=60)
    return ["java", "-cp", build, "Client"]


@pytest.mark.parametrize("mode", ["default", "expect"])
def test_java_which_asks_for_h2c(server, relay, java, mode):
    """Its client offers h2c with each first request of a connection, which ends with the answer."""
    assert statuses(*java, relay.url, server.admin, mode) == WANTED
    assert 1 <= relay.accepted <= 3


def test_java_without_h2c(server, relay, java):
    on_one_connection(relay, statuses(*java, relay.url, server.admin, "http1"))


def test_java_as_one_source_file(server, relay):
    need("java", "openjdk-17-jdk-headless")
    found = statuses("java", HERE / "Client.java", relay.url, server.admin, "default")
    assert found == WANTED


# curl


def curl(server, relay, *options, body=None, sending=()):
    """Three transfers in one call; `sending` are options of the one with a body."""
    need("curl", "curl")
    rights = ["-H", f"Authorization: Bearer {server.admin}", "-H", "Content-Type: application/json"]
    common = ["-sS", "-m", "15", "-o", "/dev/null", "-w", "%{http_code}\n", *rights, *options]
    post = ["--data-binary", "@-"]
    return statuses(
        *["curl", *common, f"{relay.url}/healthz"],
        *["--next", *common, *post, *sending, f"{relay.url}/api/tasks"],
        *["--next", *common, f"{relay.url}/api/stats"],
        input=body or json.dumps({"type": "curl"}),
    )


def test_curl(server, relay):
    on_one_connection(relay, curl(server, relay))


def test_curl_http2_which_asks_for_h2c(server, relay):
    assert curl(server, relay, "--http2") == WANTED
    assert 1 <= relay.accepted <= 3


def test_curl_http2_with_a_large_body(server, relay):
    body = json.dumps({"type": "curl", "payload": "x" * 1_000_000})
    assert curl(server, relay, "--http2", body=body) == WANTED


def test_curl_that_expects_a_continue(server, relay):
    body = json.dumps({"type": "curl", "payload": "x" * 1_000_000})
    options = ["-H", "Expect: 100-continue", "--expect100-timeout", "10"]
    on_one_connection(relay, curl(server, relay, sending=options, body=body))


def test_curl_in_chunks(server, relay):
    on_one_connection(relay, curl(server, relay, sending=["-H", "Transfer-Encoding: chunked"]))


def test_curl_http1_0(server, relay):
    assert curl(server, relay, "--http1.0") == WANTED
    assert relay.accepted == 3


def test_curl_is_refused_before_it_sends(server, relay):
    """What would be refused is not asked for: 401 comes instead of 100."""
    need("curl", "curl")
    found = subprocess.run(
        ["curl", "-sv", "-m", "15", "-o", "/dev/null", "--expect100-timeout", "10"]
        + ["-w", "%{http_code} %{size_upload}", "-H", "Expect: 100-continue"]
        + ["-H", "Content-Type: application/json", "--data-binary", "@-"]
        + [f"{relay.url}/api/tasks"],
        input="x" * 1_000_000,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "100 Continue" not in found.stderr, found.stderr
    assert found.stdout == "401 0", found.stdout


# Go


@pytest.fixture(scope="module")
def go(build):
    need("go", "golang-go")
    program = build / "go-client"
    home = {"HOME": str(build), "GOCACHE": str(build / "go-cache"), "GOFLAGS": "-mod=mod"}
    subprocess.run(
        ["go", "build", "-o", program, HERE / "client.go"],
        check=True,
        timeout=110,
        env={
            "PATH": "/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin",
            "GO111MODULE": "off",
            **home,
        },
    )
    return program


@pytest.mark.parametrize("mode", ["default", "chunked", "expect"])
def test_go(server, relay, go, mode):
    on_one_connection(relay, statuses(go, relay.url, server.admin, mode))


# Node


@pytest.mark.parametrize("mode", ["agent", "expect"])
def test_node(server, relay, mode):
    need("node", "nodejs")
    on_one_connection(relay, statuses("node", HERE / "client.mjs", relay.url, server.admin, mode))


def test_node_fetch(server, relay):
    """It takes two connections, to Node's own server as well: its pool opens the second early."""
    need("node", "nodejs")
    if node_version() < 18:
        pytest.skip("SKIPPED: this node has no fetch; version 18 is needed")
    found = statuses("node", HERE / "client.mjs", relay.url, server.admin, "fetch")
    assert found == WANTED and relay.accepted <= 2


def node_version():
    return int(statuses("node", "-p", "process.versions.node.split('.')[0]")[0])


# Python


@pytest.mark.parametrize(
    "mode", ["http.client", "http.client-chunked", "urllib3", "aiohttp", "aiohttp-expect"]
)
def test_python(server, relay, mode):
    package = mode.split("-")[0]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"SKIPPED: {package} is not in this environment")
    found = statuses(sys.executable, HERE / "client.py", relay.url, server.admin, mode)
    on_one_connection(relay, found)
