# SPDX-License-Identifier: Apache-2.0
"""Text of an HTML element by its structure: a line per block, preformatted text as it is."""

from __future__ import annotations

import copy
import re
from typing import Any, Final

_SPACE: Final = re.compile(r"\s+")
_INVISIBLE: Final = frozenset(
    "script style noscript template head svg math iframe object embed canvas audio video select "
    "datalist dialog".split()
)
_BOILERPLATE: Final = frozenset("nav footer form button menu".split())
_ROLES: Final = frozenset("navigation banner contentinfo complementary search dialog".split())
_BLOCKS: Final = frozenset(
    "address article aside blockquote body caption center dd details dialog dir div dl dt "
    "fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li "
    "main menu nav ol p pre search section summary table tbody td tfoot th thead tr ul".split()
)
#: The permalink signs that documentation generators put behind headings.
_PERMALINK: Final = frozenset({"¶", "#", "§", "🔗", ""})


def normal(text: str) -> str:
    """With every run of white space as one space, and none at the ends."""
    return _SPACE.sub(" ", text).strip()


def own_text(element: Any) -> str:
    """All of an element's text in one line."""
    return normal("".join(element.itertext()))


def without_boilerplate(element: Any, *, and_links: bool = False) -> Any:
    """A copy without what is not shown and what leads elsewhere: scripts, navigation, forms."""
    kept = copy.deepcopy(element)
    kept.tail = None
    for one in list(kept.iter()):
        if one is kept or one.getparent() is None:
            continue
        if _is_boilerplate(one) or (and_links and one.tag == "a"):
            one.drop_tree()
    return kept


def _is_boilerplate(element: Any) -> bool:
    tag = element.tag
    if not isinstance(tag, str) or tag in _INVISIBLE or tag in _BOILERPLATE:
        return True
    if element.get("hidden") is not None or element.get("aria-hidden") == "true":
        return True
    if (element.get("role") or "").lower() in _ROLES:
        return True
    if tag == "aside":
        return _is_mostly_links(element)
    return tag == "a" and "headerlink" in (element.get("class") or "") and (
        own_text(element) in _PERMALINK
    )


def _is_mostly_links(element: Any) -> bool:
    """Tells asides that lead elsewhere from footnotes and boxes that belong to the text."""
    role = (element.get("role") or "").lower()
    if role == "note" or role.startswith("doc-"):
        return False
    links = sum(len(own_text(one)) for one in element.iter("a"))
    return links > 0.5 * len(own_text(element))


def block_text(element: Any) -> str:
    """The element's text with a line break between blocks; iterative, whatever the depth."""
    lines: list[str] = []
    parts: list[str] = []
    preformatted = 0

    def end_line() -> None:
        line = "".join(parts)
        parts.clear()
        line = line.strip("\n") if preformatted else normal(line)
        if line.strip():
            lines.append(line)

    for event, one in _walk(element):
        tag = one.tag
        if event == "tail":
            parts.append(one.tail or "")
            continue
        if tag in _BLOCKS or tag == "br":
            end_line()
        if event == "start":
            preformatted += tag in ("pre", "textarea")
            parts.append(one.text or "")
        else:
            preformatted -= tag in ("pre", "textarea")
    end_line()
    return "\n".join(lines)


def _walk(root: Any) -> Any:
    """``start``, ``end`` and ``tail`` of every element, in document order."""
    element = root
    yield "start", element
    while True:
        children = element[0] if len(element) else None
        if children is not None:
            element = children
            yield "start", element
            continue
        while True:
            yield "end", element
            if element is root:
                return
            yield "tail", element
            following = element.getnext()
            if following is not None:
                element = following
                yield "start", element
                break
            element = element.getparent()
