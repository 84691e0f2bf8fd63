# SPDX-License-Identifier: Apache-2.0
"""Makes a scrape's result fit what a result may weigh, by shortening the longest texts first."""

from __future__ import annotations

import json
from typing import Any, Final

#: What the control plane takes is 4 MiB and 100,000 values; the rest is for what surrounds it.
MOST_BYTES: Final = (4 << 20) - (128 << 10)
MOST_LINKS: Final = 40_000


def cut(text: str, size: int) -> str:
    """``text``, cut so that its UTF-8 has at most ``size`` bytes, at a word's end if near."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= size:
        return text
    short = raw[: max(size, 0)].decode("utf-8", "ignore")
    space = max(short.rfind(" "), short.rfind("\n"))
    return short[:space] if space > len(short) * 0.9 else short


def fit(pages: list[dict[str, Any]], most_bytes: int = MOST_BYTES) -> None:
    """Shortens texts, then lists of links, then drops metadata,
    until all pages together fit. Marks what it did."""
    _cap_links(pages, _cap([len(page.get("links", ())) for page in pages], MOST_LINKS))
    over = _size(pages) - most_bytes
    if over > 0:
        sizes = [_size(page.get("text", "")) for page in pages]
        cap = _cap(sizes, max(0, sum(sizes) - over))
        for page, size in zip(pages, sizes, strict=True):
            if size > cap:
                _shorten(page, cap)
    while _size(pages) > most_bytes:
        longest = max((len(page.get("links", ())) for page in pages), default=0)
        if longest == 0:
            _drop_metadata(pages)
            break
        _cap_links(pages, longest // 2)


def _shorten(page: dict[str, Any], cap: int) -> None:
    """To ``cap`` bytes of JSON. Escapes make that less text than bytes, so it is done by turns."""
    text = str(page["text"])
    budget = cap
    while _size(text) > cap and budget > 0:
        text = cut(text, budget)
        budget = int(budget * 0.9) - 2
    page["text"] = text if _size(text) <= cap else ""
    page["textTruncated"] = True


def _drop_metadata(pages: list[dict[str, Any]]) -> None:
    for page in pages:
        if page.pop("metadata", None):
            page["metadataDropped"] = True


def _cap_links(pages: list[dict[str, Any]], cap: int) -> None:
    for page in pages:
        if len(page.get("links", ())) > cap:
            page["links"] = page["links"][:cap]
            page["linksTruncated"] = True


def _cap(sizes: list[int], total: int) -> int:
    """The highest bound under which the sizes add up to ``total`` at most."""
    left, rest = total, len(sizes)
    for size in sorted(sizes):
        if size * rest > left:
            return left // rest
        left -= size
        rest -= 1
    return max(sizes, default=0)


def _size(value: Any) -> int:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "replace"))
