# SPDX-License-Identifier: Apache-2.0
"""From a page's bytes to title, main text, links, metadata and language. Runs in a worker."""

from __future__ import annotations

import logging
import re
from collections import Counter
from typing import Any, Final
from urllib.parse import urldefrag, urljoin, urlsplit

import lxml.etree
import lxml.html
import py3langid
import trafilatura

from .blocks import block_text, normal, own_text, without_boilerplate
from .decoding import decode
from .page import Page, PageRequest

MOST_TITLE: Final = 1_000
MOST_FIELD: Final = 500
MOST_LINK: Final = 2_048
#: Larger trees are read by their structure alone; the extractor's time grows faster than they do.
MOST_ELEMENTS: Final = 20_000
#: The extractor's text is taken if it holds this much of what is not a link, or of all there is in
#: a page of links.
ENOUGH: Final = 0.5
#: A page with a smaller part of its words outside links is a page of links.
PROSE: Final = 0.2
DETECTED_CHARACTERS: Final = 4_000
MOST_LANGUAGE_TAG: Final = 35

_MAIN: Final = ("//main", "//*[@role='main']", "//article")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_META: Final = {
    "description": ("description", "og:description", "twitter:description", "dc.description"),
    "author": ("author", "article:author", "dc.creator", "twitter:creator"),
    "siteName": ("og:site_name", "application-name"),
    "published": ("article:published_time", "date", "dc.date", "datepublished"),
    "modified": ("article:modified_time", "last-modified", "og:updated_time", "datemodified"),
    "keywords": ("keywords", "news_keywords"),
    "image": ("og:image", "twitter:image"),
    "type": ("og:type",),
    "generator": ("generator",),
}

logging.getLogger("trafilatura").setLevel(logging.CRITICAL)


def extract(request: PageRequest) -> Page:
    """Extracts a page; broken HTML gives what can be read of it."""
    text, charset = decode(request.raw, request.charset)
    page = Page(charset=charset)
    tree = _parse(text)
    if tree is None:
        return page
    page.title = _title(tree)
    page.metadata = _metadata(tree, request.url)
    base = _base(tree, request.url)
    found = _links(tree, base)
    page.link_count = len(found)
    if request.links:
        page.links = found[: request.most_links]
    page.text, page.method = main_text(tree)
    page.declared_language = _declared_language(tree)
    page.language = _language(page.text) or page.declared_language
    return page


def _parse(text: str) -> Any:
    """The tree, or none if there is nothing to read."""
    clean = text.replace("\x00", "\ufffd").encode("utf-8", "replace")
    parser = lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        return lxml.html.document_fromstring(clean, parser=parser, ensure_head_body=True)
    except (lxml.etree.ParserError, lxml.etree.XMLSyntaxError):
        return None


def main_text(tree: Any) -> tuple[str, str]:
    """The page's main text and how it was found: ``declared``, ``extractor`` or ``structure``.

    A page that says which part is its main one is taken at its word. For any other the extractor
    decides; where it finds too little (an index, a table of contents), all of the page is taken.
    """
    declared = _declared_main(tree)
    region = without_boilerplate(tree.body if declared is None else declared)
    whole = block_text(region)
    if declared is not None and whole:
        return whole, "declared"
    if not whole or sum(1 for _ in tree.iter()) > MOST_ELEMENTS:
        return whole, "structure" if whole else "empty"
    found = _by_extractor(tree)
    prose = block_text(without_boilerplate(region, and_links=True))
    index = len(prose.split()) < PROSE * len(whole.split())
    if _coverage(found, whole if index else prose) >= ENOUGH:
        return found, "extractor"
    return whole, "structure"


def _by_extractor(tree: Any) -> str:
    try:
        found = trafilatura.extract(
            tree, fast=True, favor_recall=True, include_comments=False, include_tables=True
        )
    except (RecursionError, ValueError, lxml.etree.LxmlError):
        return ""
    return str(found or "").strip()


def _declared_main(tree: Any) -> Any:
    """The one element that the page itself calls its main part."""
    for path in _MAIN:
        found = tree.xpath(path)
        if len(found) == 1:
            return found[0]
        if found:
            return None
    return None


def _coverage(found: str, whole: str) -> float:
    """How much of the words of ``whole`` are in ``found``, 0 to 1."""
    wanted, given = Counter(whole.split()), Counter(found.split())
    return (wanted & given).total() / max(1, wanted.total())


def _title(tree: Any) -> str:
    for path in ("//head//title", "//title[not(ancestor::svg)]"):
        for one in tree.xpath(path):
            title = own_text(one)
            if title:
                return title[:MOST_TITLE]
    for one in tree.xpath("//meta[@property='og:title']/@content"):
        if normal(one):
            return normal(one)[:MOST_TITLE]
    for one in tree.xpath("//h1"):
        if own_text(one):
            return own_text(one)[:MOST_TITLE]
    return ""


def _metadata(tree: Any, url: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for one in tree.iter("meta"):
        name = (one.get("property") or one.get("name") or one.get("itemprop") or "").lower()
        content = normal(one.get("content") or "")
        if name and content:
            given.setdefault(name, content[:MOST_FIELD])
    found: dict[str, str] = {}
    for field_name, names in _META.items():
        value = next((given[name] for name in names if name in given), None)
        if value is not None:
            found[field_name] = value
    for one in tree.xpath("//link[@rel='canonical']/@href"):
        canonical = _absolute(url, one)
        if canonical is not None:
            found.setdefault("canonical", canonical)
    return found


def _base(tree: Any, url: str) -> str:
    for one in tree.xpath("//base/@href"):
        return _absolute(url, one) or url
    return url


def _absolute(base: str, reference: str) -> str | None:
    """The http or https address that a reference means, without its fragment."""
    try:
        url = urldefrag(urljoin(base, reference.strip())).url
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return None
    return url if usable and len(url) <= MOST_LINK else None


def _links(tree: Any, base: str) -> list[str]:
    """Every address that the page links to, once, in the page's order; no places in itself."""
    found: dict[str, None] = {}
    references = (one.get("href", "") for one in tree.iter("a", "area"))
    for reference in dict.fromkeys(one.partition("#")[0] for one in references):
        url = _absolute(base, reference) if reference else None
        if url is not None:
            found.setdefault(url)
    return list(found)


def _declared_language(tree: Any) -> str | None:
    candidates = [tree.get("lang"), tree.get("xml:lang")]
    candidates += [tree.body.get("lang") if tree.body is not None else None]
    candidates += tree.xpath(
        "//meta[translate(@http-equiv, 'CL', 'cl')='content-language']/@content"
    )
    for one in candidates:
        tag = (one or "").strip()[:MOST_LANGUAGE_TAG]
        if _LANGUAGE.fullmatch(tag):
            return tag
    return None


def _language(text: str) -> str | None:
    """The language of a text that is long enough to tell."""
    sample = text[:DETECTED_CHARACTERS]
    if sum(one.isalpha() for one in sample) < 60:
        return None
    return str(py3langid.classify(sample)[0])
