# SPDX-License-Identifier: Apache-2.0
"""The program itself, against a control plane's double and a whole manual on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from bs4 import BeautifulSoup
from control_plane import AGENT, SECRET, ControlPlaneDouble
from website import LOOPBACK, STORY, website

from orrery_web_agent.fit import MOST_BYTES

_ROOT = Path(__file__).resolve().parents[3]
#: A folder with an HTML manual, such as /usr/share/doc/python3/html of Debian's python3-doc.
_MANUAL = os.environ.get("ORRERY_TEST_MANUAL")


@asynccontextmanager
async def program(
    plane: ControlPlaneDouble, *arguments: str, allowed: str = LOOPBACK
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "orrery_web_agent", *arguments,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(
                [str(_ROOT / "SDKs/python/src"), str(_ROOT / "Agents/web/src")]
            ),
            "ORRERY_URL": plane.url, "ORRERY_AGENT_ID": AGENT, "ORRERY_AGENT_SECRET": SECRET,
            "ORRERY_ALLOW_NET": allowed,
        },
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        assert await process.wait() in (0, 2)


async def test_both_task_types_through_the_program() -> None:
    async with ControlPlaneDouble() as plane, website() as site, program(plane):
        url = site.html("/", "Hello", STORY)
        check = {"url": url, "assertions": [{"on": "status", "equals": 200}]}
        await plane.add(
            plane.dispatch("t1", "scrape", payload={"urls": [url, site.url + "/none"]}),
            plane.dispatch("t2", "http-check", payload=check),
            plane.dispatch("t3", "scrape", payload={"link": url}),
        )
        await plane.until(lambda: len(plane.callbacks) == 3)
        reports = {one["taskId"]: one for one in plane.callbacks}
        scraped = reports["t1"]
        assert scraped["status"] == "partial"
        assert scraped["error"]["code"] == "SOME_PAGES_FAILED"
        assert scraped["results"]["data"]["pages"][0]["title"] == "Hello"
        assert reports["t2"]["results"]["data"]["passed"] is True
        assert reports["t3"]["error"]["code"] == "BAD_PAYLOAD"
        assert reports["t3"]["error"]["retryable"] is False
        messages = [call.body.get("message") for call in plane.of("progress")]
        assert any(one and one.endswith("of 2 pages") for one in messages)


async def test_a_bad_setting_is_one_sentence() -> None:
    async with ControlPlaneDouble() as plane:
        async with program(plane, allowed="10.0.0.1/8") as process:
            assert await process.wait() == 2


async def test_it_ends_with_the_process_that_started_it() -> None:
    async with ControlPlaneDouble() as plane:
        script = (
            "import subprocess, sys\n"
            "child = subprocess.Popen([sys.executable, '-m', 'orrery_web_agent',"
            " '--exit-with-parent'])\n"
            "print(child.pid, flush=True)\nsys.stdin.read()"
        )
        starter = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(
                    [str(_ROOT / "SDKs/python/src"), str(_ROOT / "Agents/web/src")]
                ),
                "ORRERY_URL": plane.url, "ORRERY_AGENT_ID": AGENT, "ORRERY_AGENT_SECRET": SECRET,
            },
        )
        assert starter.stdout is not None
        pid = int(await starter.stdout.readline())
        await plane.until(lambda: bool(plane.of("lease")))
        agent = os.pidfd_open(pid)
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(agent, ended.set)
        starter.kill()
        await starter.wait()
        await ended.wait()
        asyncio.get_running_loop().remove_reader(agent)
        os.close(agent)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_static("/", folder, follow_symlinks=True)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.skipif(
    not _MANUAL, reason="NOT RUN: set ORRERY_TEST_MANUAL to a folder with an HTML manual"
)
async def test_a_whole_manual() -> None:
    """Every page's title and text, against another parser's reading of the same file."""
    folder = Path(str(_MANUAL)).resolve()
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.html"))
    assert len(names) >= 100
    pages: list[dict[str, Any]] = []
    async with ControlPlaneDouble() as plane, served(folder) as url, program(plane):
        groups = [names[start : start + 25] for start in range(0, len(names), 25)]
        for number, group in enumerate(groups):
            payload = {
                "urls": [f"{url}/{name}" for name in group],
                "maxTextBytes": 3 << 20, "includeLinks": False,
            }
            await plane.add(plane.dispatch(f"t{number}", "scrape", payload=payload))
        await plane.until(lambda: len(plane.callbacks) >= len(groups), seconds=500)
        for number in range(len(groups)):
            report = next(one for one in plane.callbacks if one["taskId"] == f"t{number}")
            assert report["status"] == "success", report.get("error")
            assert len(json.dumps(report["results"])) < MOST_BYTES * 2
            pages += report["results"]["data"]["pages"]
    assert len(pages) == len(names)
    wrong = [fault for name, page in zip(names, pages, strict=True)
             for fault in _faults(folder / name, page)]
    assert wrong == []


def _faults(path: Path, page: dict[str, Any]) -> list[str]:
    soup = BeautifulSoup(path.read_bytes(), "lxml")
    title = " ".join(soup.title.get_text().split()) if soup.title else page["title"]
    faults = [] if page["title"] == title else [f"{path}: title {page['title']!r}"]
    for one in soup(["script", "style", "noscript", "template", "nav", "form"]):
        one.decompose()
    main = soup.select_one("div[role=main]")
    wanted = _words((main or soup.body or soup).get_text(" "))
    given = _words(page["text"])
    common = (wanted & given).total()
    if common < 0.85 * given.total():
        faults.append(f"{path}: {given.total() - common} of {given.total()} words are not its own")
    if main is not None and not page["textTruncated"] and common < 0.85 * wanted.total():
        faults.append(f"{path}: {wanted.total() - common} of {wanted.total()} words are missing")
    return faults


def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text))
