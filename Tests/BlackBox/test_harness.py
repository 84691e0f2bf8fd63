# SPDX-License-Identifier: Apache-2.0
# The harness itself, without a server: agents listen, verify, and misbehave as they are told.

import json
import types

import pytest

from harness import push_agent as push
from harness import signing
from harness.http import Connection
from harness.server import free_port

pytestmark = pytest.mark.no_binary

BODY = json.dumps({"taskId": "T", "attempt": 1, "leaseToken": "L"}).encode()


@pytest.fixture
def agent():
    server = types.SimpleNamespace(port=free_port())
    with push.PushAgent(server) as agent:
        agent.id, agent.secret = "a", "secret of the agent"
        yield agent


def dispatch(agent, headers=None, timeout=3):
    signed = signing.standard(agent.secret, agent.id, BODY) if headers is None else headers
    return Connection("127.0.0.1", agent.port, timeout).send("POST", "/dispatch", signed, BODY)


def test_it_verifies_what_arrives(agent):
    assert dispatch(agent).json == {"accepted": True}
    assert dispatch(agent, [("x-agent-id", "a")]).status == 202
    assert [got.verified for got in agent.dispatches] == [True, False]
    assert agent.dispatches[0]["taskId"] == "T"


def test_it_answers_in_the_body(agent):
    agent.behave = push.sync(data={"n": 1})
    got = dispatch(agent).json
    assert (
        got["status"] == "success" and got["results"]["data"] == {"n": 1} and got["agentId"] == "a"
    )


def test_it_behaves_in_turn(agent):
    agent.behave = push.in_turn(push.answer(500), push.answer(404), push.accept())
    assert [dispatch(agent).status for _ in range(4)] == [500, 404, 202, 202]


def test_it_resets(agent):
    agent.behave = push.die
    with pytest.raises(ConnectionError):
        dispatch(agent)
    assert len(agent.dispatches) == 1


def test_it_hangs_until_released(agent):
    agent.behave = push.hang
    with pytest.raises(TimeoutError):
        dispatch(agent, timeout=0.3)


def test_it_sends_raw_bytes(agent):
    agent.behave = push.raw(
        lambda: iter([b"HTTP/1.1 299 Odd\r\n", b"content-length: 2\r\n\r\n", b"{}"])
    )
    assert dispatch(agent).status == 299
