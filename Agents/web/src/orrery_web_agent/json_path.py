# SPDX-License-Identifier: Apache-2.0
"""Singular JSONPath queries (RFC 9535): ``$.a['b c'][0]``, which name one place at most."""

from __future__ import annotations

import re
from typing import Any, Final

_STEP: Final = re.compile(
    r"""\.(?P<name>[^\W\d]\w*(?:-\w+)*)"""
    r"""|\[\s*(?P<index>-?(?:0|[1-9]\d{0,8}))\s*\]"""
    r"""|\[\s*'(?P<single>(?:[^'\\]|\\.)*)'\s*\]"""
    r"""|\[\s*"(?P<double>(?:[^"\\]|\\.)*)"\s*\]"""
)


class Missing:
    """What a path that names nothing gives."""


MISSING: Final = Missing()


def parse(path: str) -> list[str | int]:
    """The steps of a path. Raises ``ValueError`` with the place that is wrong."""
    if not path.startswith("$"):
        raise ValueError("a JSON path starts with $")
    steps: list[str | int] = []
    position = 1
    while position < len(path):
        found = _STEP.match(path, position)
        if found is None:
            raise ValueError(f"not understood from {path[position : position + 20]!r}")
        steps.append(_step(found))
        position = found.end()
    return steps


def _step(found: re.Match[str]) -> str | int:
    if found["index"] is not None:
        return int(found["index"])
    if found["name"] is not None:
        return found["name"]
    quoted = found["single"] if found["single"] is not None else found["double"]
    return re.sub(r"\\(.)", r"\1", quoted)


def look_up(value: Any, steps: list[str | int]) -> Any:
    """What is at the place, or ``MISSING``."""
    for step in steps:
        if isinstance(step, str):
            if not isinstance(value, dict) or step not in value:
                return MISSING
            value = value[step]
        else:
            if not isinstance(value, list) or not -len(value) <= step < len(value):
                return MISSING
            value = value[step]
    return value
