# SPDX-License-Identifier: Apache-2.0
"""API checks against a real server."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from website import Website, checking, website

from orrery_agent import TaskFailed
from orrery_web_agent.json_path import MISSING, look_up, parse

_DOCUMENT = {"user": {"name": "Ada", "tags": ["a", "b"], "a b": 1.0}, "ok": True, "none": None}


def api(site: Website) -> str:
    async def reply(request: web.Request) -> web.Response:
        body = await request.text()
        headers = {"x-echo": request.headers.get("x-in", ""), "x-method": request.method}
        return web.json_response({**_DOCUMENT, "body": body}, headers=headers)

    site.pages["/api"] = reply
    return site.url + "/api"


_HOLDING: list[dict[str, Any]] = [
    {"on": "status", "equals": 200},
    {"on": "status", "in": [200, 201]},
    {"on": "status", "lessThan": 300},
    {"on": "header", "name": "Content-Type", "contains": "json"},
    {"on": "header", "name": "x-echo", "equals": "hello"},
    {"on": "header", "name": "x-method", "matches": "^PO?ST$"},
    {"on": "header", "name": "x-none", "exists": False},
    {"on": "json", "path": "$.user.name", "equals": "Ada"},
    {"on": "json", "path": "$.user.tags[-1]", "equals": "b"},
    {"on": "json", "path": "$.user['a b']", "equals": 1},
    {"on": "json", "path": "$.user.tags", "hasLength": 2},
    {"on": "json", "path": "$.user.tags", "contains": "a"},
    {"on": "json", "path": "$.user", "contains": "name"},
    {"on": "json", "path": "$.ok", "notEquals": 1},
    {"on": "json", "path": "$.none", "exists": True},
    {"on": "json", "path": "$.none", "equals": None},
    {"on": "json", "path": "$.body", "equals": '{"q": "é"}'},
    {"on": "body", "contains": "Ada"},
    {"on": "time", "lessThan": 5_000},
]


async def test_assertions_that_hold() -> None:
    async with website() as site, checking() as check:
        url = api(site)
        result = await check(
            method="post", url=url, headers={"X-In": "hello"}, json={"q": "é"},
            includeBody=10, assertions=_HOLDING,
        )
        assert [one["passed"] for one in result["assertions"]] == [True] * len(_HOLDING)
        assert result["passed"] is True and result["status"] == 200
        assert result["method"] == "POST" and result["bytes"] > 50
        assert result["body"] == '{"user": {' and result["bodyTruncated"] is True
        assert result["assertions"][4] == {
            "on": "header", "name": "x-echo", "operator": "equals", "expected": "hello",
            "passed": True, "actual": "hello",
        }


_FAILING: list[tuple[dict[str, Any], Any]] = [
    ({"on": "status", "equals": 404}, 200),
    ({"on": "header", "name": "x-none", "equals": "x"}, None),
    ({"on": "json", "path": "$.ok", "equals": 1}, True),
    ({"on": "json", "path": "$.user.tags[2]", "notEquals": 1}, None),
    ({"on": "json", "path": "$.user.name", "lessThan": 3}, "Ada"),
    ({"on": "json", "path": "$.user.name", "matches": "^B"}, "Ada"),
    ({"on": "time", "greaterThan": 60_000}, None),
]


async def test_assertions_that_do_not_hold() -> None:
    async with website() as site, checking() as check:
        result = await check(url=api(site), assertions=[one for one, _ in _FAILING])
        assert result["passed"] is False
        for report, (_, actual) in zip(result["assertions"], _FAILING, strict=True):
            assert report["passed"] is False
            assert report["on"] == "time" or report["actual"] == actual
        assert result["assertions"][1]["message"] == "there is no such header"
        with pytest.raises(TaskFailed, match="1 of 1 assertions failed; .*: status") as fault:
            await check(url=api(site), assertions=[_FAILING[0][0]], failTask=True)
        assert fault.value.code == "ASSERTION_FAILED" and not fault.value.retryable


async def test_any_status_is_an_answer() -> None:
    async with website() as site, checking() as check:
        result = await check(
            url=site.url + "/none",
            assertions=[{"on": "status", "equals": 404}, {"on": "json", "exists": True}],
        )
        assert [one["passed"] for one in result["assertions"]] == [True, False]
        assert result["assertions"][1]["message"] == "the body is not JSON"


async def test_redirects_are_followed_when_asked() -> None:
    async with website() as site, checking() as check:
        site.redirect("/to", "/api", 303)
        api(site)
        assert (await check(url=site.url + "/to"))["status"] == 303
        result = await check(url=site.url + "/to", method="POST", body="x", maxRedirects=2)
        assert (result["status"], result["method"], result["redirects"]) == (200, "GET", 1)


async def test_a_pattern_that_would_run_for_ever_is_stopped() -> None:
    async with website() as site, checking() as check:
        site.pages["/"] = (b"a" * 5_000 + b"!", "text/plain")
        result = await check(
            url=site.url + "/", assertions=[{"on": "body", "matches": "^(a|a?)+$"}]
        )
        assert result["passed"] is False


async def test_requests_without_an_answer_fail() -> None:
    async with website() as site, checking() as check:
        url = site.url
    async with checking() as check:
        with pytest.raises(TaskFailed) as failure:
            await check(url=url)
        assert failure.value.code == "CONNECT_FAILED" and failure.value.retryable


_URL = {"url": "http://a/"}
_BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "url: a URL is a string"),
    ({"url": "a"}, "url: a URL starts with"),
    ({**_URL, "method": "TRACE"}, "method: must be one of DELETE, "),
    ({**_URL, "headers": {"host": "b"}}, "headers.host: this header is not for a payload"),
    ({**_URL, "headers": {"a": "b\r\nc: d"}}, "headers.a: not a header"),
    ({**_URL, "headers": {"a": 1}}, "headers.a: must be a string"),
    ({**_URL, "body": "", "json": 1}, "body: only one of"),
    ({**_URL, "assert": []}, "assert: unknown field"),
    ({**_URL, "assertions": [{}]}, r"assertions\[0\].on: must be one of"),
    ({**_URL, "assertions": [{"on": "status"}]}, r"assertions\[0\]: exactly one is needed"),
    ({**_URL, "assertions": [{"on": "status", "is": 1}]}, r"assertions\[0\].is: unknown field"),
    ({**_URL, "assertions": [{"on": "header", "exists": True}]}, r"\[0\].name: the header's name"),
    ({**_URL, "assertions": [{"on": "json", "path": "a", "equals": 1}]}, r"path: a JSON path"),
    ({**_URL, "assertions": [{"on": "time", "lessThan": "1"}]}, r"lessThan: must be a number"),
    ({**_URL, "assertions": [{"on": "time", "lessThan": True}]}, r"lessThan: must be a number"),
    ({**_URL, "assertions": [{"on": "body", "matches": "("}]}, r"matches: not a regular exp"),
]


@pytest.mark.parametrize(("payload", "message"), _BAD)
async def test_bad_payloads(payload: dict[str, Any], message: str) -> None:
    async with checking() as check:
        with pytest.raises(TaskFailed, match=message) as failure:
            await check(**payload)
        assert failure.value.code == "BAD_PAYLOAD" and not failure.value.retryable


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$", []),
        ("$.a.b-c", ["a", "b-c"]),
        ("$[0][-1]", [0, -1]),
        ("$['a\\'b'][\"c d\"]", ["a'b", "c d"]),
        ("$.é", ["é"]),
    ],
)
def test_json_paths(path: str, steps: list[str | int]) -> None:
    assert parse(path) == steps


@pytest.mark.parametrize("path", ["", "a", "$.", "$..a", "$[*]", "$[01]", "$[", "$.a b", "$['a]"])
def test_json_paths_that_are_refused(path: str) -> None:
    with pytest.raises(ValueError):
        parse(path)


def test_missing_places() -> None:
    for path in ("$.x", "$.user[0]", "$.user.tags[2]", "$.user.tags[-3]", "$.ok.x"):
        assert look_up(_DOCUMENT, parse(path)) is MISSING
