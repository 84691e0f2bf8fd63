# SPDX-License-Identifier: Apache-2.0
# The command line against a running server: every command, tables and --json, exit codes.

import json
import pathlib
import re
import threading

import pytest

from harness.cli import CommandLine
from harness.pull_agent import PullAgent
from harness.push_agent import PushAgent, accept, complete
from harness.wait import eventually


@pytest.fixture
def cli(server):
    return CommandLine(server)


def test_help_names_every_command(cli):
    said = cli.good("--help").output
    for command in (
        "serve",
        "submit",
        "tasks",
        "agents",
        "types",
        "tokens",
        "secrets",
        "keys",
        "stats",
        "backup",
        "doctor",
    ):
        assert re.search(rf"^\s+{command}\b", said, re.M), command
    for command in ("serve", "submit", "tasks", "agents", "types", "tokens", "secrets", "keys"):
        assert "USAGE" in cli.good(command, "--help").output


def test_serve_help_names_its_flags(cli):
    said = cli.good("serve", "--help").output
    for flag in (
        "--host",
        "--port",
        "--data",
        "--config",
        "--database",
        "--allow-net",
        "--public-url",
        "--no-compat-signatures",
    ):
        assert flag in said, flag
    assert "3000" in said


@pytest.mark.parametrize(
    "shell,word", [("bash", "_orrery"), ("zsh", "#compdef"), ("fish", "complete -c")]
)
def test_completions(cli, shell, word):
    assert word in cli.good("--generate-completion-script", shell).output


# submit


def test_submit_prints_the_id(cli, api, kind):
    done = cli.good("submit", kind, "--payload", '{"a": 1}', "--priority", "high")
    task_id = re.search(r"[0-9A-HJKMNP-TV-Z]{26}", done.output).group()
    task = api.task(task_id)
    assert task["type"] == kind and task["payload"] == {"a": 1} and task["priority"] == 7


def test_submit_json(cli, api, kind):
    got = cli.json("submit", kind)
    assert api.task(got["taskId"])["payload"] == {}


def test_submit_wait_ends_with_the_task(server, cli, kind):
    with PushAgent.register(server, [kind], complete({"n": 1})):
        got = cli.json("submit", kind, "--wait")
    assert got["state"] == "completed" and got["results"]["data"] == {"n": 1}


def test_submit_wait_of_a_failure_is_no_zero(server, cli, kind):
    agent = PullAgent.register(server, [kind])
    with agent.work(lambda agent, dispatch: agent.fail(dispatch, retryable=False)):
        done = cli.run("submit", kind, "--wait")
    assert done.code != 0


def test_submit_is_idempotent_by_key(cli, api, kind):
    first = cli.json("submit", kind, "--idempotency-key", kind)
    again = cli.json("submit", kind, "--idempotency-key", kind)
    assert first["taskId"] == again["taskId"] and len(api.tasks(f"type={kind}")) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["submit"],
        ["submit", "a b"],
        ["submit", "t", "--payload", "{"],
        ["submit", "t", "--priority", "99"],
        ["nonsense"],
        ["tasks", "get"],
        ["tasks", "get", "not-an-id"],
        ["tasks", "get", "01JD0000000000000000000009"],
        ["tasks", "cancel", "01JD0000000000000000000009"],
        ["tasks", "list", "--state", "done"],
        ["agents", "remove", "nobody"],
        ["types", "limit"],
    ],
)
def test_errors_are_no_zero_and_say_why(cli, arguments):
    done = cli.run(*arguments)
    assert done.code != 0 and done.errors.strip() and "Fatal error" not in done.errors
    assert len(done.errors.splitlines()) < 40


def test_exit_codes_differ_by_kind_of_error(server, cli):
    missing = cli.run("tasks", "get", "01JD0000000000000000000009").code
    denied = CommandLine(server, token="orr_wrong").run("tasks", "list").code
    away = cli.run("tasks", "list", env={"ORRERY_URL": "http://127.0.0.1:1"}).code
    assert len({missing, denied, away}) == 3 and 0 not in (missing, denied, away)


def test_errors_in_json_are_problems(cli):
    done = cli.run("tasks", "get", "01JD0000000000000000000009", "--json")
    assert done.code != 0 and "not_found" in done.output + done.errors


def test_a_token_never_shows(server):
    token = "orr_" + "s" * 40
    done = CommandLine(server, token=token).run("tasks", "list")
    assert done.code != 0 and token not in done.output + done.errors


# tasks


def test_tasks_list(cli, api, kind):
    ids = api.bulk([{"type": kind}] * 3).json["taskIds"]
    table = cli.good("tasks", "list", "--type", kind)
    assert all(task_id in table.output for task_id in ids) and len(table.lines) >= 4
    got = cli.json("tasks", "list", "--type", kind)
    tasks = got["tasks"] if isinstance(got, dict) else got
    assert {task["id"] for task in tasks} == set(ids)
    assert cli.json("tasks", "list", "--type", kind, "--state", "completed") in (
        [],
        {"tasks": []},
        {"tasks": [], "nextCursor": None},
    )


def test_tasks_get_and_logs(server, cli, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind, {"a": 1})
    dispatch = agent.take()
    agent.progress(
        dispatch,
        progress=50,
        logs=[{"timestamp": "2026-01-01T00:00:00.000Z", "level": "info", "message": "half way"}],
    )
    agent.succeed(dispatch, {"r": 2})
    assert task_id in cli.good("tasks", "get", task_id).output
    got = cli.json("tasks", "get", task_id)
    assert got["payload"] == {"a": 1} and got["results"]["data"] == {"r": 2}
    assert "half way" in cli.good("tasks", "logs", task_id).output


def test_tasks_cancel_retry_acknowledge(server, cli, api, kind):
    task_id = api.submit(kind)
    cli.good("tasks", "cancel", task_id)
    assert api.task(task_id)["state"] == "cancelled"
    cli.good("tasks", "retry", task_id)
    fresh = next(task for task in api.tasks(f"type={kind}") if task["id"] != task_id)
    assert fresh["retryOf"] == task_id
    agent = PullAgent.register(server, [kind])
    agent.fail(agent.take(), retryable=False)
    assert api.task(fresh["id"])["needsAttention"] is True
    cli.good("tasks", "acknowledge", fresh["id"])
    assert not api.task(fresh["id"])["needsAttention"]


def test_tasks_watch_ends_with_the_task(server, cli, api, kind):
    with PushAgent.register(server, [kind], complete()):
        task_id = api.submit(kind)
        assert "completed" in cli.good("tasks", "watch", task_id).output


def test_terminal_escapes_are_not_passed_on(server, cli, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    dispatch = agent.take()
    agent.progress(
        dispatch,
        message="\x1b[31mred\x07\u202e",
        logs=[
            {
                "timestamp": "2026-01-01T00:00:00.000Z",
                "level": "info",
                "message": "a\x1b]0;owned\x07b\r\nc",
            }
        ],
    )
    for arguments in (
        ["tasks", "get", task_id],
        ["tasks", "logs", task_id],
        ["tasks", "list", "--type", kind],
    ):
        said = cli.good(*arguments).output
        assert "\x1b" not in said and "\x07" not in said, arguments


# agents, types


def test_agents_register_list_rotate_drain_remove(server, cli, api, kind):
    got = cli.json("agents", "register", kind, "--capability", kind, "--type", "http")
    agent = PullAgent(server, got["id"], got["secret"])
    assert agent.heartbeat()["acknowledged"] is True
    assert (
        got["id"] in cli.good("agents", "list").output
        and got["secret"] not in cli.good("agents", "list").output
    )
    rotated = cli.json("agents", "rotate", got["id"])["secret"]
    assert rotated != got["secret"]
    cli.good("agents", "drain", got["id"])
    assert api.agent(got["id"])["state"] == "draining"
    cli.good("agents", "remove", got["id"])
    assert api.get(f"/api/agents/{got['id']}").status == 404


def test_types_pause_resume_limit_list(cli, api, kind):
    cli.good("types", "pause", kind)
    assert api.good("GET", f"/api/types/{kind}")["paused"] is True
    cli.good("types", "resume", kind)
    assert api.good("GET", f"/api/types/{kind}")["paused"] is False
    cli.good("types", "limit", kind, "--concurrency", "3")
    assert api.good("GET", f"/api/types/{kind}")["concurrency"] == 3
    assert kind in cli.good("types", "list").output


# access and operations


def test_tokens(server, cli, kind):
    made = cli.json("tokens", "create", kind, "--role", "viewer")
    assert CommandLine(server, token=made["token"]).run("tasks", "list").code == 0
    assert CommandLine(server, token=made["token"]).run("submit", kind).code != 0
    assert kind in cli.good("tokens", "list").output
    cli.good("tokens", "remove", made["id"])
    assert CommandLine(server, token=made["token"]).run("tasks", "list").code != 0


def test_secrets_are_read_from_standard_input(cli, kind):
    cli.good("secrets", "set", kind, stdin="a secret value")
    assert kind in cli.good("secrets", "list").output
    assert "a secret value" not in cli.good("secrets", "list").output
    cli.good("secrets", "remove", kind)
    assert kind not in cli.good("secrets", "list").output


def test_keys_rotate(new_server):
    server = new_server()
    agent = PullAgent.register(server, ["a"])
    before = (server.data / "master.key").read_bytes()
    CommandLine(server).good("keys", "rotate")
    assert (server.data / "master.key").read_bytes() != before
    server.restart()
    assert agent.heartbeat()["acknowledged"] is True


def test_stats(cli, api, kind):
    api.submit(kind)
    assert cli.good("stats").output.strip()
    assert isinstance(cli.json("stats"), dict)


def test_backup(new_server):
    server = new_server()
    server.api.submit("a")
    said = CommandLine(server).json("backup")
    copies = list((server.data / "backups").iterdir())
    assert len(copies) == 1 and pathlib.Path(said["path"]).name == copies[0].name


def test_doctor_of_a_healthy_server(cli):
    assert cli.good("doctor").output.strip()


def test_doctor_without_a_server_says_what_to_do(server):
    done = CommandLine(server).run("doctor", env={"ORRERY_URL": "http://127.0.0.1:1"})
    assert "orrery serve" in done.output + done.errors


def test_the_token_comes_from_the_data_folder(new_server):
    """Without ORRERY_TOKEN the CLI takes the token that the server wrote into its data folder."""
    server = new_server(env={"ORRERY_ADMIN_TOKEN": "<unset>"})
    cli = CommandLine(server)
    unset = {"ORRERY_URL": "<unset>", "ORRERY_TOKEN": "<unset>"}
    where = ["--server", server.url, "--data", str(server.data)]
    assert cli.run("tasks", "list", *where, env=unset).code == 0
    assert cli.run("tasks", "list", "--server", server.url, env=unset).code != 0


def test_bulk_from_a_file(cli, api, kind, tmp_path):
    path = tmp_path / "tasks.ndjson"
    path.write_text("".join(json.dumps({"type": kind, "payload": n}) + "\n" for n in range(5)))
    done = cli.good("submit", "--bulk", str(path))
    assert len(done.lines) == 5 and len(api.tasks(f"type={kind}")) == 5
    again = cli.run("submit", "--bulk", "-", stdin='{"type":""}\n')
    assert again.code != 0 and "[0].type" in again.errors


def test_beyond_loopback_without_tls_is_refused(cli):
    done = cli.run("tasks", "list", env={"ORRERY_URL": "http://93.184.216.34:3000"}, timeout=10)
    assert done.code != 0 and "--insecure-http" in done.errors


def test_url_with_a_token_in_it_is_refused(server, cli):
    done = cli.run(
        "tasks", "list", "--server", f"http://user:{server.admin}@127.0.0.1:{server.port}"
    )
    assert done.code != 0 and server.admin not in done.output + done.errors


def test_live_wait_shows_progress(server, cli, api, kind):
    with PushAgent.register(server, [kind], accept()) as agent:
        got = []
        thread = threading.Thread(target=lambda: got.append(cli.run("submit", kind, "--wait")))
        thread.start()
        dispatch = agent.received()[0]
        agent.progress(dispatch.json, progress=42, message="nearly")
        eventually(lambda: api.task(dispatch["taskId"])["progress"] == 42)
        agent.succeed(dispatch.json)
        thread.join(20)
    assert got and got[0].code == 0 and dispatch["taskId"] in got[0].output + got[0].errors


@pytest.mark.parametrize("how", ["submit --wait", "tasks watch", "submit --bulk --wait"])
def test_who_waits_for_a_task_outlasts_a_restart(new_server, kind, tmp_path, how):
    server = new_server()
    agent = PullAgent.register(server, [kind])
    cli, got = CommandLine(server), []
    if how == "tasks watch":
        arguments = ["tasks", "watch", server.api.submit(kind)]
    elif how == "submit --wait":
        arguments = ["submit", kind, "--wait"]
    else:
        (tmp_path / "bulk.jsonl").write_text(json.dumps({"type": kind}) + "\n")
        arguments = ["submit", "--bulk", str(tmp_path / "bulk.jsonl"), "--wait"]
    thread = threading.Thread(target=lambda: got.append(cli.run(*arguments)))
    thread.start()
    taken = agent.take()
    server.terminate()
    # As long as a start takes that repairs something; a single call gives up sooner.
    thread.join(3)
    assert thread.is_alive(), got
    server.start()
    agent.succeed(taken, {})
    thread.join(40)
    assert got and got[0].code == 0, got


def test_all_tasks_are_watched_across_a_restart(new_server, kind):
    server = new_server()
    agent = PullAgent.register(server, [kind])
    with CommandLine(server).started("tasks", "watch", "--json", "--type", kind) as watching:
        # Nobody says when it listens: tasks come until one is seen.
        eventually(lambda: server.api.submit(kind) and watching.seen, what="an event")
        server.restart()
        # What happened meanwhile is not told again by a new process, and it says so.
        watching.until(lambda event: event["k"] == "resync")
        taken = agent.take()
        agent.succeed(taken, {})
        ended = watching.until(
            lambda event: event["k"] == "task" and event["d"]["state"] == "completed"
        )
        assert ended["id"] == taken["taskId"]
        assert ended["d"]["status"] == "success"
        numbers = [event["v"] for event in watching.seen if event["k"] == "task"]
        assert numbers == sorted(numbers)


def test_watch_takes_an_id_or_a_filter(cli):
    assert cli.run("tasks", "watch", "X", "--type", "t").code == 2
    assert cli.run("tasks", "watch", "01JD0000000000000000000000").code == 4
