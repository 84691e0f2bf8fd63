# SPDX-License-Identifier: Apache-2.0
"""The pull loop and the reports of its attempts, over real sockets."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from control_plane import ControlPlaneDouble
from running import make_agent, pulling
from test_signing import _FILE

from orrery_agent import Artifact, Partial, Refused, Results, TaskContext, TaskFailed, limits

_SETTLEMENT: list[dict[str, Any]] = json.loads(_FILE.read_text("utf-8"))["settlement"]


async def run_one(handler: Any, **fields: Any) -> dict[str, Any]:
    """The callback of one task of type ``work`` that ``handler`` executes."""
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane)
        agent.task("work")(handler)
        async with pulling(agent):
            await plane.add(plane.dispatch("t1", **fields))
            await plane.until(lambda: bool(plane.callbacks))
        assert len(plane.callbacks) == 1
        return plane.callbacks[0]


async def test_success_of_an_async_handler() -> None:
    async def handler(context: TaskContext, payload: Any) -> Any:
        assert (context.task_id, context.attempt) == ("t1", 1)
        assert context.deadline is not None and context.deadline.year == 2099
        return {"doubled": payload["n"] * 2}

    report = await run_one(handler, payload={"n": 21})
    assert report["status"] == "success"
    assert report["results"] == {"data": {"doubled": 42}}
    assert report["taskId"] == "t1" and report["agentId"] == "agent-1"
    assert report["attempt"] == 1 and report["leaseToken"] == "lease-t1"
    assert isinstance(report["duration"], int) and "error" not in report


async def test_success_of_a_plain_function_in_a_thread() -> None:
    def handler(_: TaskContext, __: Any) -> Any:
        assert threading.current_thread() is not threading.main_thread()
        return Results("héllo", [Artifact("a.txt", "text/plain", b"hi")], {"pages": 3})

    report = await run_one(handler)
    assert report["results"] == {
        "data": "héllo",
        "artifacts": [{"name": "a.txt", "mediaType": "text/plain", "base64": "aGk="}],
        "metrics": {"pages": 3},
    }


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(("given", "sent"), [(TRACE, TRACE), ("a\r\nb: c", None), (None, None)])
async def test_the_trace_goes_to_the_handler_and_back(given: str | None, sent: str | None) -> None:
    seen: list[str | None] = []

    async def handler(context: TaskContext, _: Any) -> None:
        seen.append(context.traceparent)
        context.progress(50)
        await plane.until(lambda: bool(plane.of("progress")))

    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane)
        agent.task("work")(handler)
        async with pulling(agent):
            await plane.add(plane.dispatch("t1", traceparent=given))
            await plane.until(lambda: bool(plane.callbacks))
        assert seen == [given]
        reports = plane.of("progress") + plane.of("agent-callback")
        assert len(reports) >= 2 and {call.traceparent for call in reports} == {sent}
        assert all(call.traceparent is None for call in plane.of("lease"))


async def test_failures() -> None:
    def chosen(_: TaskContext, __: Any) -> Any:
        raise TaskFailed("SITE_DOWN", "no answer", retryable=True, retry_after=1.5)

    async def unexpected(_: TaskContext, __: Any) -> Any:
        return 1 // 0

    report = await run_one(chosen)
    assert report["status"] == "failure"
    assert report["error"] == {
        "code": "SITE_DOWN", "message": "no answer", "retryable": True, "retryAfter": 1500,
    }
    report = await run_one(unexpected)
    assert report["error"]["code"] == "AGENT_ERROR" and report["error"]["retryable"] is True
    assert report["error"]["message"].startswith("ZeroDivisionError: ")
    assert "unexpected" in report["error"]["stack"]
    report = await run_one(unexpected, kind="other")
    assert report["error"]["code"] == "UNKNOWN_TASK_TYPE"
    assert report["error"]["retryable"] is False


async def test_partial() -> None:
    report = await run_one(lambda _, __: Partial({"done": 1}, "SOME_FAILED", "1 of 2 failed"))
    assert report["status"] == "partial"
    assert report["results"] == {"data": {"done": 1}}
    assert report["error"] == {"code": "SOME_FAILED", "message": "1 of 2 failed"}


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("result", "code"),
    [
        ("x" * limits.RESULTS, "RESULT_TOO_LARGE"),
        (list(range(limits.JSON_VALUES)), "RESULT_TOO_LARGE"),
        (_deep(limits.JSON_DEPTH), "RESULT_TOO_DEEP"),
        (object(), "RESULT_NOT_JSON"),
        (float("nan"), "RESULT_NOT_JSON"),
        ("\ud800", "RESULT_NOT_JSON"),
        (Results(None, [Artifact("a", "b/c", b"x" * (limits.ARTIFACT + 1))]), "ARTIFACT_TOO_LARGE"),
    ],
    ids=["bytes", "values", "depth", "object", "nan", "surrogate", "artifact"],
)
async def test_results_that_cannot_be_sent(result: Any, code: str) -> None:
    report = await run_one(lambda _, __: result)
    assert report["status"] == "failure"
    assert report["error"]["code"] == code and report["error"]["retryable"] is False
    assert report["error"]["message"]


async def test_log_lines_that_do_not_fit_beside_the_result() -> None:
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane)

        @agent.task("work")
        def work(context: TaskContext, _: Any) -> str:
            context.log("info", "big")
            return "x" * (limits.RESULTS - 20)

        async with pulling(agent):
            await plane.add(plane.dispatch("t1"))
            await plane.until(lambda: bool(plane.callbacks))
        assert plane.callbacks[0]["status"] == "success"
        lines = [line for call in plane.of("progress") for line in call.body["logs"]]
        assert [line["message"] for line in lines] == ["big"]


async def test_the_deepest_result_that_is_read() -> None:
    report = await run_one(lambda _, __: _deep(limits.JSON_DEPTH - 2))
    assert report["status"] == "success"


async def test_progress_and_logs() -> None:
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane)

        @agent.task("work")
        async def work(context: TaskContext, _: Any) -> None:
            context.progress(40, "half way")
            await plane.until(lambda: bool(plane.of("progress")))
            context.log("info", "one", page=1, odd=object)
            with pytest.raises(ValueError, match="not a log level"):
                context.log("loud", "two")

        async with pulling(agent):
            await plane.add(plane.dispatch("t1"))
            await plane.until(lambda: bool(plane.callbacks))
        first = plane.of("progress")[0].body
        assert (first["progress"], first["message"]) == (40, "half way")
        assert (first["attempt"], first["leaseToken"]) == (1, "lease-t1")
        later = [*(call.body.get("logs", []) for call in plane.of("progress"))]
        lines = [line for lines in later for line in lines]
        lines += plane.callbacks[0]["results"].get("logs", [])
        assert [line["message"] for line in lines] == ["one"]
        assert lines[0]["level"] == "info"
        assert lines[0]["metadata"] == {"page": 1, "odd": "<class 'object'>"}


async def test_many_log_lines_go_in_reports_of_a_hundred() -> None:
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane)

        @agent.task("work")
        def work(context: TaskContext, _: Any) -> None:
            for number in range(250):
                context.log("debug", str(number))

        async with pulling(agent):
            await plane.add(plane.dispatch("t1"))
            await plane.until(lambda: bool(plane.callbacks))
        reports = [call.body.get("logs", []) for call in plane.of("progress")]
        reports.append(plane.callbacks[0]["results"]["logs"])
        assert max(map(len, reports)) <= 100
        assert [line["message"] for one in reports for line in one] == [
            str(number) for number in range(250)
        ]


async def test_concurrency_is_bounded_and_slots_are_asked_for() -> None:
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane, concurrency=3)
        gate = asyncio.Event()
        running = most = 0

        @agent.task("work")
        async def work(_: TaskContext, __: Any) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await plane.look()
            await gate.wait()
            running -= 1

        await plane.add(*(plane.dispatch(f"t{number}") for number in range(10)))
        async with pulling(agent):
            await plane.until(lambda: running == 3)
            gate.set()
            await plane.until(lambda: len(plane.callbacks) == 10)
        assert most == 3
        assert plane.of("lease")[0].body == {"max": 3, "waitSeconds": 5}
        ids = [call.message_id for call in plane.calls]
        assert len(set(ids)) == len(ids)


async def test_a_callback_is_sent_until_it_is_acknowledged() -> None:
    async with ControlPlaneDouble() as plane:
        plane.answers["agent-callback"] = [
            (503, {"code": "store_away"}), (500, {}), (429, {}), (200, {}), (507, {}),
        ]
        agent = make_agent(plane)
        agent.task("work")(lambda _, __: "done")
        async with pulling(agent):
            await plane.add(plane.dispatch("t1"))
            await plane.until(lambda: len(plane.callbacks) == 6)
        sent = plane.of("agent-callback")
        assert len(sent) == 6
        assert len({call.message_id for call in sent}) == 1
        assert all(call.body == sent[0].body for call in sent)


async def test_a_callback_survives_a_restart_of_the_control_plane() -> None:
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane)
        down = asyncio.Event()

        @agent.task("work")
        async def work(_: TaskContext, __: Any) -> str:
            await plane.close()
            down.set()
            return "done"

        async with pulling(agent):
            await plane.add(plane.dispatch("t1"))
            await down.wait()
            await plane.listen()
            await plane.until(lambda: bool(plane.callbacks))
            assert plane.callbacks[0]["results"] == {"data": "done"}
            leases = len(plane.of("lease"))
            await plane.until(lambda: len(plane.of("lease")) > leases)


@pytest.mark.parametrize("row", _SETTLEMENT)
async def test_every_settlement_answer_ends_the_attempt(row: dict[str, Any]) -> None:
    """Settling is the server's; ours is to take each of its answers as the end."""
    async with ControlPlaneDouble() as plane:
        answer = {"acknowledged": row["acknowledged"], "nextAction": row["nextAction"]}
        plane.answers["agent-callback"] = [(row["http"], answer)]
        agent = make_agent(plane, concurrency=1)
        agent.task("work")(lambda _, __: "done")
        async with pulling(agent):
            await plane.add(plane.dispatch("t1"))
            await plane.until(lambda: len(plane.of("lease")) == 2)
        assert len(plane.callbacks) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refused_result_becomes_a_failure(status: int) -> None:
    async with ControlPlaneDouble() as plane:
        plane.answers["agent-callback"] = [(status, {"code": "too_large", "detail": "results"})]
        agent = make_agent(plane)
        agent.task("work")(lambda _, __: "done")
        async with pulling(agent):
            await plane.add(plane.dispatch("t1"))
            await plane.until(lambda: len(plane.callbacks) == 2)
        assert plane.callbacks[1]["status"] == "failure"
        assert plane.callbacks[1]["error"]["code"] == "RESULT_REFUSED"
        assert "too_large" in plane.callbacks[1]["error"]["message"]


async def test_an_agent_that_is_not_known_gives_up() -> None:
    async with ControlPlaneDouble() as plane:
        plane.answers["lease"] = [(401, {"code": "unauthorized"})] * 5
        agent = make_agent(plane)
        agent.task("work")(lambda _, __: None)
        with pytest.raises(Refused, match="401 unauthorized"):
            await agent.pull()


async def test_a_broken_dispatch_is_passed_over() -> None:
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane)
        agent.task("work")(lambda _, __: "done")
        async with pulling(agent):
            await plane.add({"taskId": 7}, plane.dispatch("t1"))
            await plane.until(lambda: bool(plane.callbacks))
        assert [one["taskId"] for one in plane.callbacks] == ["t1"]
