# SPDX-License-Identifier: Apache-2.0
"""The push server and joining, over real sockets."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import aiohttp
import pytest
from control_plane import AGENT, SECRET, ControlPlaneDouble
from running import QUICK, make_agent, pulling, pushing

from orrery_agent import (
    Agent,
    ConfigurationError,
    Refused,
    Registration,
    Secret,
    TaskContext,
    join,
    sign,
    sign_compat,
)


async def post(url: str, body: Any, **changed: str) -> tuple[int, dict[str, Any], str | None]:
    """A signed POST, as the control plane sends it."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {**sign(Secret(SECRET), AGENT, raw), **changed}
    async with aiohttp.ClientSession() as session, session.post(
        url, data=io.BytesIO(raw), headers=headers
    ) as answer:
        value = await answer.json(content_type=None)
        return answer.status, value, answer.headers.get("retry-after")


async def test_a_dispatch_is_accepted_and_reported() -> None:
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane)
        agent.task("work")(lambda _, payload: payload["n"] + 1)
        async with pushing(agent) as url:
            dispatch = plane.dispatch("t1", payload={"n": 1})
            assert await post(url, dispatch) == (200, {"accepted": True}, None)
            await plane.until(lambda: bool(plane.callbacks))
            assert await post(url, dispatch) == (200, {"accepted": True}, None)
        assert [one["results"]["data"] for one in plane.callbacks] == [2]


async def test_what_is_not_signed_for_us_is_refused() -> None:
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane)
        agent.task("work")(lambda _, __: None)
        async with pushing(agent) as url:
            body = plane.dispatch("t1")
            raw = json.dumps(body).encode()
            other = sign(Secret("another"), AGENT, raw)["webhook-signature"]
            answers = [
                await post(url, body, **{"webhook-signature": other}),
                await post(url, body, **{"webhook-timestamp": "1"}),
                await post(url, body, **{"x-agent-id": "agent-2"}),
                await post(url, body, **sign_compat(Secret(SECRET), AGENT, raw)),
            ]
            assert {status for status, _, _ in answers} == {401}
            assert len({json.dumps(answer) for _, answer, _ in answers}) == 1
            assert (await post(url, b"[]"))[0] == 400
            assert (await post(url, b"{"))[0] == 400
            assert (await post(url, {"taskId": "t1"}))[0] == 422
            assert (await post(url, b" " * (3 << 20)))[0] == 413
        assert plane.calls == []


async def test_full_agents_say_when_to_come_again() -> None:
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane, concurrency=1)
        gate = asyncio.Event()

        @agent.task("work")
        async def work(_: TaskContext, __: Any) -> None:
            await gate.wait()

        async with pushing(agent) as url:
            await post(url, plane.dispatch("t1"))
            status, answer, after = await post(url, plane.dispatch("t2"))
            assert (status, answer["code"], after) == (429, "busy", "1")
            gate.set()
            await plane.until(lambda: bool(plane.callbacks))
            agent.stop()


async def test_cancellation_of_the_right_attempt() -> None:
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane)

        @agent.task("work")
        async def work(context: TaskContext, _: Any) -> None:
            assert await context.wait_cancelled() == "timeout"
            context.raise_if_cancelled()

        async with pushing(agent) as url:
            await post(url, plane.dispatch("t1"))
            cancel = {"taskId": "t1", "attempt": 1, "leaseToken": "other", "reason": "timeout"}
            answer = await post(url + "/cancel", cancel)
            assert answer == (200, {"accepted": True, "running": False}, None)
            cancel["leaseToken"] = "lease-t1"
            answer = await post(url + "/cancel", cancel)
            assert answer == (200, {"accepted": True, "running": True}, None)
            await plane.until(lambda: bool(plane.callbacks))
        assert plane.callbacks[0]["error"]["code"] == "TIMEOUT"


async def test_draining_refuses_work_and_finishes() -> None:
    async with ControlPlaneDouble() as plane:
        agent = make_agent(plane)
        gate = asyncio.Event()

        @agent.task("work")
        async def work(_: TaskContext, __: Any) -> str:
            await gate.wait()
            return "finished"

        async with pushing(agent) as url, aiohttp.ClientSession() as session:
            async with session.get(url + "/healthz") as answer:
                assert answer.status == 200
            await post(url, plane.dispatch("t1"))
            agent.stop()
            async with session.get(url + "/healthz") as answer:
                assert answer.status == 503
            status, _, after = await post(url, plane.dispatch("t2"))
            assert (status, after) == (503, "5")
            gate.set()
        assert [one["results"]["data"] for one in plane.callbacks] == ["finished"]


async def test_join_and_its_retries() -> None:
    async with ControlPlaneDouble() as plane:
        plane.answers["join"] = [(503, {"code": "store_away"})]
        made = await join(
            plane.url, "orr_join", name="w1", capabilities=["work"], concurrency=2, backoff=QUICK
        )
        assert made == Registration(AGENT, SECRET)
        assert plane.of("join")[1].body == {
            "name": "w1", "type": "http", "capabilities": ["work"], "concurrency": 2, "labels": {},
        }
        plane.answers["join"] = [(403, {"code": "forbidden", "detail": "role too low"})]
        with pytest.raises(Refused, match="403 forbidden: role too low"):
            await join(plane.url, "orr_join", name="w1", capabilities=[])


async def test_an_agent_joins_before_it_pulls() -> None:
    async with ControlPlaneDouble() as plane:
        agent = Agent(url=plane.url, join_token="orr_join", name="w1", wait_seconds=5)
        agent.task("work")(lambda _, __: "done")
        async with pulling(agent):
            await plane.add(plane.dispatch("t1"))
            await plane.until(lambda: bool(plane.callbacks))
        assert plane.of("join")[0].body["leaseSeconds"] == 30


async def test_settings_that_are_missing_or_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ORRERY_URL", "ORRERY_AGENT_ID", "ORRERY_AGENT_SECRET", "ORRERY_JOIN_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    agent = Agent("a")
    with pytest.raises(ConfigurationError, match="no handlers"):
        await agent.pull()
    agent.task("work")(lambda _, __: None)
    with pytest.raises(ConfigurationError, match="ORRERY_AGENT_SECRET is not set"):
        await agent.pull()
    with pytest.raises(ConfigurationError, match="two handlers"):
        agent.task("work")(lambda _, __: None)
    with pytest.raises(ConfigurationError, match="not an http or https address"):
        await make_agent_at("ftp://x").pull()
    with pytest.raises(ConfigurationError, match="concurrency"):
        Agent(concurrency=0)


def make_agent_at(url: str) -> Agent:
    agent = Agent(AGENT, SECRET, url)
    agent.task("work")(lambda _, __: None)
    return agent
