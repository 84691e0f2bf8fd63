# SPDX-License-Identifier: Apache-2.0
# TLS by the server itself: what it needs to start, what it speaks, new certificates, own CAs.

import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys

import pytest

from harness.cli import CommandLine
from harness.wait import eventually
from websockets.sync.client import connect as connect_socket

REPO = pathlib.Path(__file__).resolve().parents[2]

AGENT = """
from orrery_agent import Agent

agent = Agent()


@agent.task("tls")
def work(context, payload):
    return {"by": "tls"}


agent.run()
"""


def certificate(folder, name="server", *more):
    """A certificate that signs itself, for the loopback: (certificate, key)."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
         "subjectAltName=IP:127.0.0.1,DNS:localhost", "-out", cert, "-keyout", key, *more],
        check=True, capture_output=True)  # fmt: skip
    return cert, key


@pytest.fixture
def pair(tmp_path):
    return certificate(tmp_path)


@pytest.fixture
def server(new_server, pair):
    return new_server(args=["--tls-cert", str(pair[0]), "--tls-key", str(pair[1])])


def connect(server, ca, **settings):
    context = ssl.create_default_context(cafile=str(ca))
    for name, value in settings.items():
        setattr(context, name, value)
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    return context.wrap_socket(plain, server_hostname="127.0.0.1")


def ask(connection, path="/healthz", fields=""):
    head = f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{fields}\r\n"
    connection.sendall(head.encode())
    answer = b""
    while more := connection.recv(65536):
        answer += more
    return answer


def test_it_answers_over_tls(server, pair):
    assert any(f"listening on https://127.0.0.1:{server.port}" in line for line in server.output)
    with connect(server, pair[0]) as connection:
        assert connection.version() == "TLSv1.3"
        assert ask(connection).startswith(b"HTTP/1.1 200 OK")


def test_it_speaks_http_1_only(server, pair):
    context = ssl.create_default_context(cafile=str(pair[0]))
    context.set_alpn_protocols(["h2", "http/1.1"])
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"
        assert ask(connection).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_and_plain_http_are_refused(server, pair):
    with pytest.raises((ssl.SSLError, OSError)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.wrap_socket(socket.create_connection(("127.0.0.1", server.port), timeout=10))
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"200 OK" not in plain.recv(65536)
    with connect(server, pair[0]) as connection:
        assert ask(connection).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("how", ["alone", "signal"])
def test_a_new_certificate_needs_no_restart(server, pair, tmp_path, how):
    with connect(server, pair[0]) as old:
        new = certificate(tmp_path, "new")
        pair[0].write_text("broken")
        if how == "signal":
            os.kill(server.process.pid, signal.SIGHUP)
        eventually(lambda: "in use is kept" in server.log(), 20, what="a line in the log")
        with connect(server, _copy(tmp_path, old)) as still:
            assert ask(still).startswith(b"HTTP/1.1 200 OK"), "the old one is kept"
        os.replace(new[1], pair[1])
        os.replace(new[0], pair[0])
        if how == "signal":
            os.kill(server.process.pid, signal.SIGHUP)
        eventually(lambda: _subject(server) == "new", 20, what="the new certificate")
        assert ask(old).startswith(b"HTTP/1.1 200 OK"), "open connections go on"


def _copy(folder, connection):
    path = folder / "old.pem"
    path.write_text(ssl.DER_cert_to_PEM_cert(connection.getpeercert(True)))
    return path


def _subject(server):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
        with context.wrap_socket(plain) as connection:
            name = subprocess.run(
                ["openssl", "x509", "-inform", "der", "-noout", "-subject", "-nameopt", "multiline"],
                input=connection.getpeercert(True), check=True, capture_output=True)  # fmt: skip
            return name.stdout.decode().split("=")[-1].strip()


def test_who_does_not_shake_hands_is_closed(server, pair):
    # Neither silence nor half a greeting keeps a connection for longer than the deadline.
    address = ("127.0.0.1", server.port)
    with (
        socket.create_connection(address, timeout=30) as silent,
        socket.create_connection(address, timeout=30) as slow,
    ):
        slow.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert silent.recv(1) == slow.recv(1) == b"", "the server closes them"
    assert b'limits_hit_total{limit="handshake"} 2\n' in metrics(server, pair[0])


def test_websockets_over_tls(server, pair):
    context = ssl.create_default_context(cafile=str(pair[0]))
    headers = {"Authorization": f"Bearer {server.admin}"}
    address = f"wss://127.0.0.1:{server.port}/ws"
    with connect_socket(address, ssl=context, additional_headers=headers) as watcher:
        assert json.loads(watcher.recv(timeout=10))["t"] == "hello"
        watcher.send(json.dumps({"type": "sub", "topics": ["overview"]}))
        seen = set()
        while not {"subscribed", "overview"} <= seen:
            message = json.loads(watcher.recv(timeout=10))
            seen |= {message["t"], *(event["k"] for event in message.get("ev", []))}
    watching = b'websocket_connections{kind="websocket"} 0\n'
    eventually(lambda: watching in metrics(server, pair[0]), 10, what="the end of the socket")


def metrics(server, ca):
    with connect(server, ca) as connection:
        return ask(connection, "/metrics", f"authorization: Bearer {server.admin}\r\n")


def test_event_streams_over_tls(server, pair):
    curl = subprocess.Popen(
        ["curl", "-sSN", "--max-time", "30", "--cacert", pair[0], "-H", "@-",
         f"https://127.0.0.1:{server.port}/events?topic=overview"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    try:
        curl.stdin.write(f"Authorization: Bearer {server.admin}\n".encode())
        curl.stdin.close()
        assert any(line == b"event: overview\n" for line in curl.stdout), "the stream ended"
    finally:
        curl.kill()
        curl.wait()
        curl.stdout.close()


def test_it_starts_beyond_loopback(new_server, pair):
    server = new_server(host="0.0.0.0", args=["--tls-cert", str(pair[0]), "--tls-key", str(pair[1])])
    with connect(server, pair[0]) as connection:
        assert ask(connection).startswith(b"HTTP/1.1 200 OK")


def test_bad_settings_stop_the_start(new_server, pair, tmp_path):
    cert, key = map(str, pair)
    other = str(certificate(tmp_path, "other")[1])
    clients = tmp_path / "clients.json"
    clients.write_text(json.dumps({"agents": [], "tls": {"clientCA": "ca.pem"}}))
    for args, word in [
        (["--tls-cert", cert], "--tls-key"),
        (["--tls-key", key], "--tls-cert"),
        (["--tls-cert", str(tmp_path / "none.pem"), "--tls-key", key], "none.pem"),
        (["--tls-cert", cert, "--tls-key", cert], "passphrase"),
        (["--tls-cert", key, "--tls-key", key], "certificate"),
        (["--tls-cert", cert, "--tls-key", other], "not the key"),
        (["--config", str(clients)], "reserved"),
    ]:
        code, said = new_server(start=False, args=args).run_to_end()
        assert code != 0 and word in said, (args, said)
        assert "Traceback" not in said and "Fatal" not in said


def test_the_command_line_trusts_own_authorities(server, pair):
    address = f"https://127.0.0.1:{server.port}"
    line = CommandLine(server, ORRERY_URL=address)
    refused = line.run("agents", "list")
    assert refused.code != 0 and "certificate" in refused.errors
    assert line.run("agents", "list", "--ca-file", pair[0]).code == 0
    assert line.run("agents", "list", env={"ORRERY_CA_FILE": str(pair[0])}).code == 0
    missing = line.run("agents", "list", "--ca-file", pair[0].parent / "none.pem")
    assert missing.code != 0 and "none.pem" in missing.errors


def test_managed_agents_trust_the_server(new_server, pair, tmp_path):
    pytest.importorskip("aiohttp")
    script = tmp_path / "agent.py"
    script.write_text(AGENT)
    entry = {
        "id": "tls",
        "type": "http",
        "capabilities": ["tls"],
        "launch": {
            "command": [sys.executable, str(script)],
            "env": {"PYTHONPATH": str(REPO / "SDKs/python/src")},
        },
    }
    server = new_server(
        config={"agents": [entry]}, args=["--tls-cert", str(pair[0]), "--tls-key", str(pair[1])]
    )
    address = f"https://127.0.0.1:{server.port}"
    line = CommandLine(server, ORRERY_URL=address, ORRERY_CA_FILE=str(pair[0]))
    done = line.run("submit", "tls", "--wait", "--json")
    assert done.code == 0 and '"by"' in done.output, done
