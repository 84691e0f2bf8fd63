# SPDX-License-Identifier: Apache-2.0
"""A page on its way into a worker, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A page to extract. ``url`` is where it came from, after redirects."""

    raw: bytes
    url: str
    charset: str | None
    links: bool = True
    most_links: int = 200


@dataclass(slots=True)
class Page:
    """What was found. ``method`` says how the text was, see ``extraction``."""

    title: str = ""
    text: str = ""
    method: str = "empty"
    charset: str = "utf-8"
    language: str | None = None
    declared_language: str | None = None
    links: list[str] = field(default_factory=list)
    link_count: int = 0
    metadata: dict[str, str] = field(default_factory=dict)
