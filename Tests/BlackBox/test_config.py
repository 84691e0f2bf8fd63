# SPDX-License-Identifier: Apache-2.0
# config/agents.json: entries of each kind, defaults, precedence, and errors that stop the start.

import json
import uuid

import pytest

from harness.api import assert_problem
from harness.pull_agent import PullAgent
from harness.push_agent import PushAgent, accept, complete
from harness.wait import eventually, holds

SECRET = "plain text secret of 32 characters"


def entry(id, **fields):
    return {"id": id, "type": "http", "capabilities": [id], **fields}


def config(*agents, **more):
    return {"agents": list(agents), **more}


def started(new_server, given, **options):
    return new_server(config=given, **options)


def refused(new_server, given, *words, **options):
    """The start stops; what it says names the key's path and the given words."""
    code, said = new_server(start=False, config=given, **options).run_to_end()
    assert code != 0
    for word in words:
        assert word in said, f"{word!r} is not in:\n{said}"
    assert "Fatal error" not in said
    return said


def test_a_push_entry(new_server):
    server = new_server(start=False)
    with PushAgent(server, complete({"ok": 1})) as agent:
        agent.id, agent.secret = "pusher", SECRET
        server.env["PUSHER_SECRET"] = SECRET
        server.write_config(
            config(
                entry(
                    "pusher",
                    endpoint=agent.url + "/dispatch",
                    concurrency=3,
                    secretName="PUSHER_SECRET",
                    labels={"zone": "eu"},
                )
            )
        )
        server.start()
        task = server.api.wait(server.api.submit("pusher", selector={"zone": "eu"}))
        assert task["state"] == "completed" and task["agentId"] == "pusher"
        assert agent.dispatches[0].verified and not agent.faults
        known = server.api.agent("pusher")
        assert known["concurrency"] == 3 and known["labels"] == {"zone": "eu"}


@pytest.mark.parametrize("scheme", ["standard", "compat"])
def test_a_pull_entry_with_a_plain_secret(new_server, scheme):
    server = started(new_server, config(entry("puller", secretName="S")), env={"S": SECRET})
    agent = PullAgent(server, "puller", SECRET)
    task_id = server.api.submit("puller")
    dispatch = agent.take()
    agent.scheme = scheme
    assert agent.succeed(dispatch, 1).status == 200
    assert server.api.task(task_id)["state"] == "completed"


def test_the_shared_secret_needs_an_agent_id_in_the_body(new_server):
    given = config(
        entry("one"),
        entry("two"),
        callbacks={"authentication": {"type": "hmac-sha256", "secretKey": "CALLBACK_SECRET"}},
    )
    server = started(new_server, given, env={"CALLBACK_SECRET": SECRET})
    agent = PullAgent(server, "one", SECRET)
    task_id = server.api.submit("one")
    dispatch = agent.take()
    report = agent.report(dispatch)
    assert agent.callback({k: v for k, v in report.items() if k != "agentId"}).status == 401
    assert agent.callback({**report, "agentId": "two"}).status == 401
    assert server.api.task(task_id)["state"] == "running"
    assert agent.callback(report).status == 200


def test_a_named_secret_as_protocol_secret(new_server):
    server = new_server(config=config())
    assert server.api.call("PUT", "/api/secrets/AGENT_KEY", {"value": SECRET}).status == 204
    server.write_config(config(entry("puller", secretName="AGENT_KEY")))
    server.restart()
    assert PullAgent(server, "puller", SECRET).heartbeat()["acknowledged"] is True


def test_without_a_secret_one_is_made_and_rotate_shows_it(new_server):
    server = started(new_server, config(entry("puller")))
    secret = server.api.good("POST", "/api/agents/puller/rotate-secret", {})["secret"]
    assert secret.startswith("whsec_")
    agent = PullAgent(server, "puller", secret)
    assert agent.heartbeat()["acknowledged"] is True
    server.restart()
    assert agent.heartbeat()["acknowledged"] is True


def test_a_missing_secret_stops_the_start(new_server):
    refused(new_server, config(entry("puller", secretName="NOT_SET")), "NOT_SET", "puller")


def test_queue_defaults(new_server):
    server = started(
        new_server, config(queue={"type": "sqlite", "maxRetries": 1, "retryDelay": 70})
    )
    task = server.api.task(server.api.submit("a"))
    assert task["retry"]["maxAttempts"] == 2 and task["retry"]["base"] == 70
    task = server.api.task(server.api.submit("a", retry={"maxAttempts": 7}))
    assert task["retry"]["maxAttempts"] == 7 and task["retry"]["base"] == 70


def test_max_retries_is_one_less_than_attempts(new_server):
    server = started(new_server, config(queue={"maxRetries": 2, "retryDelay": 30}))
    agent = PullAgent.register(server, ["a"])
    task_id = server.api.submit("a", retry={"jitter": 0, "backoff": "fixed"})
    for action in ("retry", "retry", "escalate"):
        assert agent.fail(agent.take()).json["nextAction"] == action
    assert server.api.task(task_id)["attempt"] == 3


def test_the_timeout_of_an_entry_is_the_default_of_its_tasks(new_server):
    server = started(
        new_server, config(entry("p", secretName="S", timeout=7000)), env={"S": SECRET}
    )
    agent = PullAgent(server, "p", SECRET)
    server.api.submit("p")
    assert agent.take()["timeout"] == 7000
    server.api.submit("p", timeout=9000)
    assert agent.take()["timeout"] == 9000


def test_callback_url(new_server):
    url = "https://orrery.example.com/hooks/api/agent-callback"
    server = started(
        new_server, config(entry("p", secretName="S"), callbacks={"url": url}), env={"S": SECRET}
    )
    task_id = server.api.submit("p")
    dispatch = PullAgent(server, "p", SECRET).take()
    assert dispatch["callbackUrl"] == url
    assert dispatch["progressUrl"] == f"https://orrery.example.com/api/tasks/{task_id}/progress"


def test_public_url(new_server):
    server = new_server(args=["--public-url", "https://public.example.com"])
    agent = PullAgent.register(server, ["p"])
    task_id = server.api.submit("p")
    dispatch = agent.take()
    assert dispatch["callbackUrl"] == "https://public.example.com/api/agent-callback"
    assert dispatch["progressUrl"] == f"https://public.example.com/api/tasks/{task_id}/progress"


def test_limits_of_types(new_server):
    server = started(new_server, config(limits={"types": {"scrape": {"concurrency": 2}}}))
    assert server.api.good("GET", "/api/types/scrape")["concurrency"] == 2
    agent = PullAgent.register(server, ["scrape"], concurrency=10)
    server.api.bulk([{"type": "scrape"}] * 5)
    assert len(eventually(lambda: agent.lease(10, 1))) + len(agent.lease(10, 1)) == 2


def test_changing_an_entry_by_api_is_refused(new_server):
    server = started(new_server, config(entry("p", secretName="S")), env={"S": SECRET})
    assert_problem(server.api.patch("/api/agents/p", {"concurrency": 9}), 409, "managed_by_config")
    assert_problem(server.api.delete("/api/agents/p"), 409, "managed_by_config")
    assert server.api.agent("p")["managedBy"] == "config"


def test_the_file_wins_at_each_start(new_server):
    server = started(new_server, config(entry("p", concurrency=2)))
    assert server.api.agent("p")["concurrency"] == 2
    server.write_config(config(entry("p", concurrency=6)))
    server.restart()
    assert server.api.agent("p")["concurrency"] == 6 and len(server.api.agents()) == 1


def test_entries_gone_are_drained_and_disabled(new_server):
    server = started(new_server, config(entry("p", secretName="S")), env={"S": SECRET})
    agent = PullAgent(server, "p", SECRET)
    held = server.api.submit("p")
    dispatch = agent.take()
    server.write_config(config())
    server.restart()
    waiting = server.api.submit("p")
    assert server.api.agent("p")["state"] in ("draining", "disabled")
    assert agent.succeed(dispatch).status == 200, "what it holds it may finish"
    assert server.api.task(held)["state"] == "completed"
    eventually(lambda: server.api.agent("p")["state"] == "disabled", 5)
    answer = agent.lease_call(1, 0)
    assert answer.status in (401, 403, 404) or answer.json == {"dispatches": []}
    assert server.api.task(waiting)["state"] == "queued"
    server.write_config(config(entry("p", secretName="S")))
    server.restart()
    assert server.api.agent("p")["state"] == "active" and agent.take()["taskId"] == waiting


@pytest.mark.parametrize(
    "given,words",
    [
        ({"agents": [], "agnets": []}, ["agnets"]),
        ({"agents": {}}, ["agents"]),
        (
            config({"id": "a", "type": "http", "capabilites": []}),
            ["agents[0]", "capabilites", "capabilities"],
        ),
        (config({"type": "http", "capabilities": ["a"]}), ["agents[0]", "id"]),
        (config({"id": "a b", "type": "http", "capabilities": ["a"]}), ["agents[0].id"]),
        (config(entry("a"), entry("a")), ["agents[1]", "a"]),
        (config(entry("a", type="robot")), ["agents[0].type"]),
        (config(entry("a", concurrency=0)), ["agents[0].concurrency"]),
        (config(entry("a", concurrency="4")), ["agents[0].concurrency"]),
        (config(entry("a", timeout=-1)), ["agents[0].timeout"]),
        (config(entry("a", endpoint="nonsense")), ["agents[0].endpoint"]),
        (
            config(entry("a", endpoint="https://93.184.216.34/", launch={"command": ["x"]})),
            ["agents[0]"],
        ),
        (config(entry("a", launch={"command": []})), ["agents[0].launch.command"]),
        (config(entry("a", launch={"cmd": ["x"]})), ["agents[0].launch", "cmd"]),
        (config(entry("a", authentication={"type": "magic"})), ["agents[0].authentication.type"]),
        (config(queue={"type": "sqlite", "retries": 1}), ["queue", "retries", "maxRetries"]),
        (config(queue={"type": "postgres"}), ["queue.type"]),
        (config(queue={"type": "redis"}), ["queue.type"]),
        (config(queue={"maxRetries": -1}), ["queue.maxRetries"]),
        (config(queue={"retryDelay": "5s"}), ["queue.retryDelay"]),
        (config(callbacks={"timeout": 0}), ["callbacks.timeout"]),
        (config(callbacks={"url": "nonsense"}), ["callbacks.url"]),
        (
            config(callbacks={"authentication": {"type": "rsa", "secretKey": "X"}}),
            ["callbacks.authentication.type"],
        ),
        (config(network={"allow": ["x"]}), ["network.allow"]),
        (config(network={"deny": []}), ["network", "deny"]),
        (config(limits={"types": {"a b": {"concurrency": 1}}}), ["limits.types"]),
        (config(limits={"types": {"a": {"concurrency": -1}}}), ["limits.types.a.concurrency"]),
    ],
    ids=lambda value: json.dumps(value)[:50],
)
def test_bad_keys_stop_the_start(new_server, given, words):
    refused(new_server, given, *words)


@pytest.mark.parametrize(
    "agent,word",
    [(entry("a", type="wasm"), "WebAssembly"), (entry("a", type="cloud", provider="aws"), "cloud")],
)
def test_kinds_not_built_yet_are_refused_with_a_sentence(new_server, agent, word):
    said = refused(new_server, config(agent), word, "agents[0]")
    assert "not built" in said


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"agents":[],}', '{"agents":[],"agents":[]}', "\ufeff{}"]
)
def test_a_file_that_is_no_json(new_server, text):
    refused(new_server, text, "agents.json")


def test_a_missing_file(new_server, tmp_path):
    server = new_server(start=False)
    server.config_path = tmp_path / "absent.json"
    code, said = server.run_to_end()
    assert code != 0 and "absent.json" in said


def test_flags_win_over_environment_over_file(new_server, kind):
    name = "x" + uuid.uuid4().hex[:6]
    given = config(callbacks={"url": "https://file.example.com/api/agent-callback"})
    server = started(new_server, given)
    agent = PullAgent.register(server, [name])
    server.api.submit(name)
    assert agent.take()["callbackUrl"].startswith("https://file.example.com/")
    server.config_path = None
    server.env["ORRERY_PUBLIC_URL"] = "https://env.example.com"
    server.restart()
    server.api.submit(name)
    assert agent.take()["callbackUrl"].startswith("https://env.example.com/")
    server.args = ["--public-url", "https://flag.example.com"]
    server.restart()
    server.api.submit(name)
    assert agent.take()["callbackUrl"].startswith("https://flag.example.com/")


def test_a_kept_connector_option_harms_nothing(new_server):
    given = config(
        entry(
            "a",
            engine="x",
            region="eu",
            runtime="r",
            options={"a": [1]},
            viewport={"w": 1},
            secretName="S",
        )
    )
    server = started(new_server, given, env={"S": SECRET})
    assert PullAgent(server, "a", SECRET).heartbeat()["acknowledged"] is True


def test_an_entry_replaces_no_agent_of_the_api(new_server):
    server = new_server()
    with PushAgent.register(server, ["b"], accept()) as agent:
        server.write_config(config(entry("a")))
        server.restart()
        assert {known["id"] for known in server.api.agents()} == {"a", agent.id}
        holds(lambda: server.api.agent(agent.id)["managedBy"] != "config", 0.1)


@pytest.mark.parametrize("endpoint", ["http://10.0.0.1:9/", "http://127.0.0.1:{port}/api/tasks"])
def test_endpoints_of_the_file_obey_the_address_rules_too(new_server, endpoint):
    """Refused at the start with its path, or never dispatched to and no failure counted."""
    server = new_server(start=False)
    given = entry("a", endpoint=endpoint.format(port=server.port))
    server.write_config(config(given))
    try:
        server.start()
    except AssertionError:
        assert server.process.poll() > 0 and "agents[0].endpoint" in server.log()
        return
    task_id = server.api.submit("a")
    eventually(lambda: server.api.task(task_id)["attempt"] >= 1)
    eventually(lambda: server.api.task(task_id)["state"] == "queued")
    task = server.api.task(task_id)
    assert task["failures"] == 0 and task["waitingFor"] == "agents_unhealthy"
