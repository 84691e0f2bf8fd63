# SPDX-License-Identifier: Apache-2.0
"""Scraping awkward pages from a real server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from website import STORY, scraping, website

from orrery_agent import Partial, TaskFailed
from orrery_web_agent import crawler, fit
from orrery_web_agent.politeness import Manners


async def one(scrape: Any, url: str, **options: Any) -> dict[str, Any]:
    result = await scrape(url=url, **options)
    assert result["summary"]["pages"] == 1
    page: dict[str, Any] = result["pages"][0]
    return page


def pages_of(result: Partial) -> Any:
    data: Any = result.results
    return data["pages"]


async def test_a_page() -> None:
    async with website() as site, scraping() as scrape:
        url = site.html(
            "/a/page",
            "  A   fox &amp; a dog ",
            f"<nav><a href='/menu'>Menu</a></nav><h1>Fox</h1>{STORY}"
            "<a href='../b#part'>B</a> <a href='../b'>B again</a> <a href='mailto:x@y.z'>Mail</a>"
            "<script>var hidden = 'secret';</script>",
            "<meta name='description' content='About foxes'><meta name=author content='A. Uthor'>"
            "<meta property='og:site_name' content='Foxes'><link rel=canonical href='/canon'>",
        )
        page = await one(scrape, url)
        assert page["title"] == "A fox & a dog"
        assert "quick brown fox" in page["text"] and "secret" not in page["text"]
        assert page["links"] == [f"{site.url}/menu", f"{site.url}/b"]
        assert page["linkCount"] == 2 and page["linksTruncated"] is False
        assert page["metadata"] == {
            "description": "About foxes", "author": "A. Uthor", "siteName": "Foxes",
            "canonical": f"{site.url}/canon",
        }
        assert page["language"] == "en" and page["status"] == 200
        assert page["words"] == len(page["text"].split()) > 100
        assert page["ms"] >= page["fetchMs"] >= 0 and page["bytes"] > 500
        assert site.agents == {"OrreryWebAgent/0.1.0"}
        assert site.requests.count("/robots.txt") == 1


async def test_options() -> None:
    async with website() as site, scraping() as scrape:
        url = site.html("/", "T", STORY + "<a href=/1>1</a><a href=/2>2</a>")
        page = await one(scrape, url, includeText=False, includeLinks=False, includeMetadata=False)
        assert not {"text", "links", "metadata"} & page.keys()
        page = await one(scrape, url, maxTextBytes=100, maxLinks=1)
        assert len(page["text"].encode()) <= 100 and page["textTruncated"] is True
        assert len(page["links"]) == 1 and page["linksTruncated"] is True
        assert page["words"] > 50


_GERMAN = "Überall dürfen große Füße über schöne Brücken gehen, wenn die Wächter ruhen. " * 6
_JAPANESE = "これは日本語の文章です。吾輩は猫である。名前はまだ無い。" * 6
_RUSSIAN = "Съешь ещё этих мягких французских булок, да выпей же чаю. " * 6


@pytest.mark.parametrize(
    ("text", "codec", "declared", "header", "language"),
    [
        (_GERMAN, "latin-1", "iso-8859-1", None, "de"),
        (_GERMAN, "cp1252", None, "windows-1252", "de"),
        (_GERMAN, "utf-8", None, None, "de"),
        (_GERMAN, "utf-8", "no-such-charset", None, "de"),
        (_GERMAN, "utf-8-sig", "iso-8859-1", None, "de"),
        (_GERMAN, "utf-16", None, None, "de"),
        (_JAPANESE, "shift_jis", "Shift_JIS", None, "ja"),
        (_JAPANESE, "euc_jp", None, "EUC-JP", "ja"),
        (_RUSSIAN, "koi8-r", "koi8-r", None, "ru"),
        (_RUSSIAN, "cp1251", None, None, "ru"),
    ],
)
async def test_charsets(
    text: str, codec: str, declared: str | None, header: str | None, language: str
) -> None:
    async with website() as site, scraping() as scrape:
        meta = f"<meta charset='{declared}'>" if declared else ""
        head = f"{meta}<title>{text[:20]}</title>"
        html = f"<html><head>{head}</head><body><p>{text}</p></body></html>"
        kind = "text/html" + (f"; charset={header}" if header else "")
        site.pages["/"] = (html.encode(codec), kind)
        page = await one(scrape, site.url + "/")
        assert page["title"] == text[:20].strip()
        assert " ".join(page["text"].split()).startswith(text[:50].strip())
        assert page["language"] == language


async def test_declared_language_of_a_short_page() -> None:
    async with website() as site, scraping() as scrape:
        html = b"<html lang='pt-BR'><title>x</title><body>oi</body></html>"
        site.pages["/"] = (html, "text/html")
        page = await one(scrape, site.url + "/")
        assert (page["language"], page["declaredLanguage"]) == ("pt-BR", "pt-BR")


async def test_gzip_and_its_bombs() -> None:
    async with website() as site, scraping() as scrape:
        url = site.gzipped("/good", f"<title>zipped</title>{STORY}".encode())
        assert (await one(scrape, url))["title"] == "zipped"
        with pytest.raises(TaskFailed) as failure:
            await scrape(url=site.gzipped("/bomb", b"<p>" + b"x" * (40 << 20)))
        assert failure.value.code in ("TOO_LARGE", "HTTP_FAILED")


async def test_redirects() -> None:
    async with website() as site, scraping() as scrape:
        site.html("/end", "End", STORY)
        site.redirect("/middle", "end", 301)
        url = site.redirect("/start", site.url + "/middle", 307)
        page = await one(scrape, url)
        assert page["url"] == url and page["finalUrl"] == site.url + "/end"
        site.redirect("/loop", "/loop")
        for path, options, code in (
            ("/loop", {}, "TOO_MANY_REDIRECTS"),
            ("/start", {"maxRedirects": 1}, "TOO_MANY_REDIRECTS"),
            ("/nowhere", {}, "BAD_REDIRECT"),
        ):
            site.redirect("/nowhere", "")
            with pytest.raises(TaskFailed) as failure:
                await scrape(url=site.url + path, **options)
            assert failure.value.code == code


async def test_robots() -> None:
    async with website() as site, scraping() as scrape:
        site.pages["/robots.txt"] = (
            b"User-agent: *\nDisallow: /\n\nUser-agent: OrreryWebAgent\nDisallow: /private\n",
            "text/plain",
        )
        open_page = site.html("/open", "Open", STORY)
        closed = site.html("/private/1", "Closed", STORY)
        hop = site.redirect("/hop", "/private/1")
        result = await scrape(urls=[open_page, closed, hop])
        assert isinstance(result, Partial) and result.code == "SOME_PAGES_FAILED"
        assert result.message == "2 ROBOTS_DENIED; 3 pages in all"
        first, second, third = pages_of(result)
        assert first["title"] == "Open"
        assert second["error"]["code"] == third["error"]["code"] == "ROBOTS_DENIED"
        assert site.requests.count("/robots.txt") == 1
        assert "/private/1" not in site.requests


async def test_robots_that_cannot_be_had() -> None:
    async with website() as site, scraping() as scrape:
        async def broken(_: web.Request) -> web.Response:
            return web.Response(status=500)

        site.pages["/robots.txt"] = broken
        with pytest.raises(TaskFailed) as failure:
            await scrape(url=site.html("/", "T", STORY))
        assert failure.value.code == "ROBOTS_UNAVAILABLE" and failure.value.retryable


async def test_faults_of_pages() -> None:
    async with website() as site, scraping() as scrape:
        slow = asyncio.Event()

        async def never(_: web.Request) -> web.Response:
            await slow.wait()
            return web.Response()

        async def drip(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"content-type": "text/html"})
            await response.prepare(request)
            await response.write(b"<title>drip</title>")
            await slow.wait()
            return response

        async def cut(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(
                headers={"content-type": "text/html", "content-length": "1000"}
            )
            await response.prepare(request)
            await response.write(b"<title>cut</title>")
            if request.transport is not None:
                request.transport.close()
            return response

        async def angry(_: web.Request) -> web.Response:
            return web.Response(status=503, headers={"retry-after": "60"})

        site.pages |= {
            "/never": never, "/drip": drip, "/cut": cut, "/angry": angry,
            "/pdf": (b"%PDF-1.4", "application/pdf"),
            "/huge": (b"<p>" + b"x " * 600_000, "text/html"),
        }
        expected = {
            "/never": ("TIMEOUT", True), "/drip": ("TIMEOUT", True), "/cut": ("HTTP_FAILED", True),
            "/angry": ("HTTP_STATUS", True), "/pdf": ("NOT_HTML", False),
            "/huge": ("TOO_LARGE", False), "/missing": ("HTTP_STATUS", False),
        }
        paths = list(expected)
        good = site.html("/good", "Good", STORY)
        result = await scrape(
            urls=[site.url + path for path in paths] + [good, "ftp://x/", "http://", "x" * 9_000],
            timeout=1_000, maxBytes=1_000_000,
        )
        assert isinstance(result, Partial)
        pages = pages_of(result)
        assert [page.get("error", {}).get("code") for page in pages] == [
            *(expected[path][0] for path in paths), None, "BAD_URL", "BAD_URL", "BAD_URL",
        ]
        assert pages[3]["status"] == 503 and pages[6]["status"] == 404
        summary: Any = result.results
        summary = summary["summary"]
        assert summary["succeeded"] == 1
        assert summary["failed"] == len(paths) + 3
        for path, (code, retryable) in expected.items():
            if code == "TIMEOUT":
                continue
            with pytest.raises(TaskFailed) as failure:
                await scrape(url=site.url + path, maxBytes=1_000_000)
            assert (failure.value.code, failure.value.retryable) == (code, retryable)
        with pytest.raises(TaskFailed) as failure:
            await scrape(url=site.url + "/angry")
        assert failure.value.retry_after == 60
        slow.set()


async def test_a_passing_fault_is_tried_once_more() -> None:
    async with website() as site, scraping() as scrape:
        answers = [503, 200]

        async def flaky(_: web.Request) -> web.Response:
            return web.Response(
                status=answers.pop(0), text=f"<title>ok</title>{STORY}", content_type="text/html"
            )

        site.pages["/"] = flaky
        assert (await one(scrape, site.url + "/"))["title"] == "ok"


@pytest.mark.parametrize(
    ("html", "title"),
    [
        (b"", ""),
        (b"   ", ""),
        (b"<title>open", "open"),
        (b"<p>text only", ""),
        (b"\x00<title>nul\x00</title>", "nul\ufffd"),
        (b"<?xml version='1.0' encoding='utf-8'?><html><title>x</title></html>", "x"),
        (b"<html><body><svg><title>icon</title></svg><h1>Head <b>line</b></h1>", "Head line"),
        (b"<title></title><meta property='og:title' content=' From  og '>", "From og"),
        (b"<div>" * 5_000 + b"deep" + b"</div>" * 5_000, ""),
        (b"<table><tr><td>a<table><p></td></p><b><i></b>x</i><title>late</title>", "late"),
        (bytes(range(256)) * 50, ""),
    ],
    ids="empty space unclosed text nul xml h1 og deep tangled noise".split(),
)
async def test_broken_html(html: bytes, title: str) -> None:
    async with website() as site, scraping() as scrape:
        site.pages["/"] = (html, "text/html")
        page = await one(scrape, site.url + "/")
        assert page["title"] == title


async def test_only_so_many_requests_to_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crawler, "OWN", Manners(0.0, 3))
    async with website() as site, scraping() as scrape:
        full = asyncio.Event()

        async def page(_: web.Request) -> web.Response:
            if site.active == 3:
                full.set()
            await full.wait()
            return web.Response(text=f"<title>t</title>{STORY}", content_type="text/html")

        for number in range(9):
            site.pages[f"/{number}"] = page
        result = await scrape(urls=[f"{site.url}/{number}" for number in range(9)])
        assert result["summary"]["succeeded"] == 9
        assert site.most_active == 3


async def test_delay_between_requests() -> None:
    async with website() as site, scraping() as scrape:
        urls = [site.html(f"/{number}", "t", STORY) for number in range(4)]
        result = await scrape(urls=urls, delay=50)
        assert result["summary"]["ms"] >= 150


_BAD_PAYLOADS: list[tuple[Any, str]] = [
    ({}, "url: exactly one"),
    ({"url": "http://a/", "urls": []}, "url: exactly one"),
    ({"urls": []}, "urls: must be a list of 1 to 2000"),
    ({"urls": "http://a/"}, "urls: must be a list of 1 to 2000"),
    ({"link": "http://a/"}, "link: unknown field; known are concurrency, delay, "),
    ({"urls": ["http://a/", 1]}, r"urls\[1\]: must be a string"),
    ({"url": 7}, "url: must be a string"),
    ({"url": "http://a/", "ulr": 1}, "ulr: unknown field; known are concurrency, delay, "),
    ({"url": "http://a/", "timeout": 0}, "timeout: must be 1000 to 120000"),
    ({"url": "http://a/", "timeout": True}, "timeout: must be a whole number"),
    ({"url": "http://a/", "includeText": 1}, "includeText: must be true or false"),
    ({"urls": ["http://a/"] * 2_001}, "urls: must be a list of 1 to 2000"),
]


@pytest.mark.parametrize(("payload", "message"), _BAD_PAYLOADS)
async def test_bad_payloads(payload: dict[str, Any], message: str) -> None:
    async with scraping() as scrape:
        with pytest.raises(TaskFailed, match=message) as failure:
            await scrape(**payload)
        assert failure.value.code == "BAD_PAYLOAD" and not failure.value.retryable


def test_fitting() -> None:
    pages: list[dict[str, Any]] = [
        {"url": str(number), "text": "word \u00e9\n" * size, "links": ["http://x/"] * 10}
        for number, size in enumerate([10, 100, 50_000, 60_000])
    ]
    before = [page["text"] for page in pages]
    fit.fit(pages, 100_000)
    assert fit._size(pages) <= 100_000
    assert [page["text"] for page in pages[:2]] == before[:2]
    assert all(page["textTruncated"] for page in pages[2:])
    assert len(pages[2]["text"]) > 20_000 and "linksTruncated" not in pages[0]
    fit.fit(pages, 1_000)
    assert fit._size(pages) <= 1_000 and pages[0]["linksTruncated"]
