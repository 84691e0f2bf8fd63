# SPDX-License-Identifier: Apache-2.0
# Where the control plane may connect to: the address rules for endpoints, health and cancel URLs.

import socket
import threading

import pytest

from harness.api import assert_problem
from harness.push_agent import PushAgent, answer, complete
from harness.wait import eventually, holds

# Never allowed by default, whatever the spelling.
FORBIDDEN = [
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.0.1/",
    "http://100.64.0.1/",
    "http://192.0.0.1/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://0.0.0.0/",
    "http://0/",
    "http://0.1.2.3/",
    "http://[::]/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[::ffff:a00:1]/",
    "http://[::10.0.0.1]/",
    "http://[64:ff9b::10.0.0.1]/",
    "http://[64:ff9b::a00:1]/",
    "http://[64:ff9b:1::a00:1]/",
    "http://[2002:a00:1::]/",
    "http://[2001:0:a00:1::]/",
    "http://167772161/",
    "http://0xa000001/",
    "http://012.0.0.1/",
    "http://10.1/",
    "http://0x0a.0.0.1/",
    "http://0xc0a80101/",
    "http://3232235777/",
    "http://0300.0250.1.1/",
    "http://192.168.257/",
]
# Schemes and forms that are no web address at all.
MALFORMED = [
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "unix:///tmp/x",
    "http+unix://%2Ftmp%2Fx/",
    "https+unix://%2Ftmp%2Fx/",
    "//example.com/",
    "example.com",
    "http://user:pass@example.com/",
    "http://user@example.com/",
    "http://",
    "http:///x",
    "http://[::1/",
    "http://exa mple.com/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:x/",
    "http://[fe80::1%25eth0]/",
    "",
    " http://example.com/",
    "http://example.com/\n",
]
LOOPBACK = [
    "http://127.0.0.1:{p}/",
    "http://localhost:{p}/",
    "http://127.1:{p}/",
    "http://2130706433:{p}/",
    "http://0x7f.0.0.1:{p}/",
    "http://[::1]:{p}/",
    "http://[::ffff:127.0.0.1]:{p}/",
]
FIELDS = ("endpoint", "healthUrl", "cancelEndpoint")


def register(api, kind, **urls):
    body = {"name": kind, "type": "http", "capabilities": [kind], **urls}
    if "endpoint" not in urls:
        body["endpoint"] = "https://93.184.216.34/dispatch"
    return api.post("/api/agents", body)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("url", FORBIDDEN)
def test_forbidden_addresses(api, kind, field, url):
    answer = register(api, kind, **{field: url})
    assert_problem(answer, 422, path=field)
    assert answer.json["code"] in ("address_not_allowed", "invalid_field")
    assert kind not in str(api.agents())


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("url", MALFORMED)
def test_malformed_addresses(api, kind, field, url):
    assert_problem(register(api, kind, **{field: url}), 422, path=field)
    assert kind not in str(api.agents())


@pytest.mark.parametrize("url", LOOPBACK)
def test_our_own_port_is_never_an_endpoint(server, api, kind, url):
    assert_problem(register(api, kind, endpoint=url.format(p=server.port)), 422, path="endpoint")


def test_loopback_endpoints_while_listening_on_loopback(server, api, kind):
    with PushAgent.register(server, [kind], complete()):
        assert api.wait(api.submit(kind))["state"] == "completed"


def test_no_loopback_endpoints_while_listening_beyond(new_server, kind):
    server = new_server(host="0.0.0.0", args=["--insecure-http"])
    with PushAgent(server) as agent:
        answer = register(server.api, kind, endpoint=agent.url + "/dispatch")
        assert_problem(answer, 422, "address_not_allowed", path="endpoint")


def test_allow_net_permits_loopback_again(new_server, kind):
    server = new_server(host="0.0.0.0", args=["--insecure-http", "--allow-net", "127.0.0.1/32"])
    with PushAgent.register(server, [kind], complete()) as agent:
        assert server.api.wait(server.api.submit(kind))["state"] == "completed"
        assert agent.dispatches[0].verified


def test_beyond_loopback_needs_insecure_http(new_server):
    code, said = new_server(start=False, host="0.0.0.0").run_to_end()
    assert code != 0 and "--insecure-http" in said


@pytest.mark.parametrize("how", ["flag", "environment", "file"])
def test_allow_net_opens_a_private_range(new_server, kind, how):
    options = {
        "flag": {"args": ["--allow-net", "10.20.0.0/16"]},
        "environment": {"env": {"ORRERY_ALLOW_NET": "10.20.0.0/16"}},
        "file": {"config": {"agents": [], "network": {"allow": ["10.20.0.0/16"]}}},
    }[how]
    server = new_server(**options)
    assert register(server.api, kind, endpoint="http://10.20.1.1:9/").status == 201
    assert_problem(register(server.api, kind + "-2", endpoint="http://10.21.1.1:9/"), 422)


def test_allow_net_does_not_permit_our_own_port(new_server, kind):
    server = new_server(args=["--allow-net", "127.0.0.0/8"])
    answer = register(server.api, kind, endpoint=f"http://127.0.0.1:{server.port}/api/tasks")
    assert_problem(answer, 422)
    answer = register(server.api, kind, endpoint=f"http://127.0.0.2:{server.port}/api/tasks")
    assert answer.status in (201, 422)


@pytest.mark.parametrize("bad", ["10.0.0.0/33", "x/8", "10.0.0.0/-1", "::/129", "10.0.0.0/x"])
def test_a_bad_allow_net_stops_the_start(new_server, bad):
    code, said = new_server(start=False, args=["--allow-net", bad]).run_to_end()
    assert code != 0 and "allow-net" in said


def test_a_redirect_to_a_listener_never_connects(server, api, kind, fast):
    """No TCP connection reaches the target of a redirect, not even an allowed one."""
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(2)
        port, caught = trap.getsockname()[1], []

        def listen():
            try:
                caught.append(trap.accept())
            except TimeoutError:
                pass

        thread = threading.Thread(target=listen)
        thread.start()
        behave = answer(307, {}, [("location", f"http://127.0.0.1:{port}/")])
        with PushAgent.register(server, [kind], behave) as agent:
            api.submit(kind, retry={**fast, "maxAttempts": 1})
            agent.received()
            thread.join(5)
        assert caught == []


def test_names_are_checked_when_they_resolve(server, api, kind):
    """`localhost` resolves to loopback: fine here, and still never to our own port."""
    with PushAgent(server, complete()) as agent:
        made = register(api, kind, endpoint=f"http://localhost:{agent.port}/dispatch")
        assert made.status == 201, repr(made)
        agent.id, agent.secret = made.json["id"], made.json["secret"]
        task_id = api.submit(kind)
        eventually(lambda: agent.dispatches, 8, what="localhost is reached")
        assert api.wait(task_id)["state"] == "completed"


def test_errors_do_not_tell_what_the_other_side_said(server, api, kind, fast):
    with PushAgent.register(server, [kind], answer(418, {"secret": "INTERNAL-WORDS"})):
        task = api.wait(api.submit(kind, retry={**fast, "maxAttempts": 1}))
        assert "INTERNAL-WORDS" not in str(task["error"])
        holds(lambda: "INTERNAL-WORDS" not in server.log(), 0.2)
