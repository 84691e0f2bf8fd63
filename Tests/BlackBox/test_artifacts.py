# SPDX-License-Identifier: Apache-2.0
# Artifacts inside results: inline ones are kept, references wait for a store, sizes have limits.

import base64
import hashlib

import pytest

from harness.api import assert_problem
from harness.pull_agent import PullAgent


def held(server, api, kind):
    agent = PullAgent.register(server, [kind])
    task_id = api.submit(kind)
    return agent, agent.take(), task_id


def results(*artifacts, data=None):
    return {"data": data, "artifacts": list(artifacts), "logs": [], "metrics": {}}


def inline(content, name="a.txt"):
    return {"name": name, "mediaType": "text/plain", "base64": base64.b64encode(content).decode()}


def test_inline_artifact_is_kept_with_the_result(server, api, kind):
    agent, dispatch, task_id = held(server, api, kind)
    given = inline(b"hello \xff\x00")
    assert agent.callback(agent.report(dispatch, results=results(given))).status == 200
    assert api.task(task_id)["results"]["artifacts"] == [given]


def test_inline_artifact_of_one_mebibyte_is_accepted(server, api, kind):
    agent, dispatch, task_id = held(server, api, kind)
    answer = agent.callback(agent.report(dispatch, results=results(inline(b"x" * (1 << 20)))))
    assert answer.status == 200, repr(answer)
    assert api.task(task_id)["state"] == "completed"


def test_inline_artifact_above_one_mebibyte_is_refused(server, api, kind):
    agent, dispatch, task_id = held(server, api, kind)
    answer = agent.callback(agent.report(dispatch, results=results(inline(b"x" * ((1 << 20) + 1)))))
    assert answer.status in (413, 422), repr(answer)
    assert api.task(task_id)["state"] == "running"
    assert agent.succeed(dispatch).status == 200


def test_reference_is_unknown_until_a_store_exists(server, api, kind):
    agent, dispatch, task_id = held(server, api, kind)
    digest = hashlib.sha256(b"x").hexdigest()
    reference = {"name": "a", "mediaType": "text/plain", "sha256": digest, "size": 1}
    answer = agent.callback(agent.report(dispatch, results=results(reference)))
    assert_problem(answer, 422, "artifact_unknown")
    assert api.task(task_id)["state"] == "running"
    assert agent.succeed(dispatch).status == 200


@pytest.mark.parametrize(
    "bad", [{"base64": "not base64!"}, {"base64": 5}, {"name": ""}, {"name": None}]
)
def test_malformed_artifact_is_refused(server, api, kind, bad):
    agent, dispatch, task_id = held(server, api, kind)
    answer = agent.callback(agent.report(dispatch, results=results({**inline(b"x"), **bad})))
    assert answer.status in (400, 422), repr(answer)
    assert api.task(task_id)["state"] == "running"


def test_results_above_4_mebibytes_are_refused(server, api, kind):
    agent, dispatch, task_id = held(server, api, kind)
    answer = agent.callback(agent.report(dispatch, results=results(data="x" * (4 << 20))))
    assert answer.status in (413, 422), repr(answer)
    assert api.task(task_id)["state"] == "running"
    assert agent.succeed(dispatch).status == 200


def test_results_just_below_4_mebibytes_are_kept(server, api, kind):
    agent, dispatch, task_id = held(server, api, kind)
    data = "x" * ((4 << 20) - 1024)
    assert agent.callback(agent.report(dispatch, results=results(data=data))).status == 200
    assert api.task(task_id)["results"]["data"] == data
