# SPDX-License-Identifier: Apache-2.0
# /metrics: the text format, the names that dashboards rely on, and a checker that others wrote.

import shutil
import subprocess

import pytest

from harness.api import assert_problem
from harness.pull_agent import PullAgent
from prometheus_client.parser import text_string_to_metric_families

PROMISED = {
    "task_queue_depth", "task_duration_seconds", "task_completions", "task_retries",
    "agent_health", "agent_uptime_ratio", "agent_response_seconds", "agent_tasks",
    "callback_latency_seconds", "store_seconds",
}  # fmt: skip


def families(api):
    answer = api.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {family.name: family for family in text_string_to_metric_families(answer.body.decode())}


def value(family, suffix="", **labels):
    found = [
        sample.value
        for sample in family.samples
        if sample.name == family.name + suffix
        and all(sample.labels.get(key) == text for key, text in labels.items())
    ]
    return sum(found)


def test_a_task_shows_up(server, api, kind):
    agent = PullAgent.register(server, [kind])
    before = families(api)
    assert set(before) >= PROMISED
    api.submit(kind)
    assert value(families(api)["task_queue_depth"], type=kind) == 1
    agent.succeed(agent.take())
    after = families(api)
    assert value(after["task_queue_depth"], type=kind) == 0
    assert value(after["task_duration_seconds"], "_count", type=kind, status="success") == 1
    assert value(after["agent_tasks"], "_total", agentId=agent.id, status="success") == 1
    done = value(after["task_completions"], "_total", status="success")
    assert done >= value(before["task_completions"], "_total", status="success") + 1
    callbacks = value(after["callback_latency_seconds"], "_count")
    assert callbacks >= value(before["callback_latency_seconds"], "_count") + 1


def test_it_wants_a_token(api):
    assert_problem(api.with_token(None).get("/metrics"), 401, "unauthorized")


def test_a_checker_finds_nothing(api, kind):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian package prometheus) is not installed")
    api.submit(kind)
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=api.get("/metrics").body,
        capture_output=True, timeout=30,
    )  # fmt: skip
    # The label `agentId` is promised under this name, which the checker would write agent_id.
    complaints = [
        line
        for line in (checked.stdout + checked.stderr).decode().splitlines()
        if not line.endswith("label names should be written in 'snake_case' not 'camelCase'")
    ]
    assert not complaints and checked.returncode in (0, 3), complaints
