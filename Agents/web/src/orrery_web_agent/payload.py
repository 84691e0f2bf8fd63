# SPDX-License-Identifier: Apache-2.0
"""Reads task payloads strictly: every field has a kind and bounds, unknown ones are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from orrery_agent import TaskFailed

_T = TypeVar("_T")


class PayloadReader:
    """Takes fields out of an object; ``end`` refuses what is left. Faults are ``BAD_PAYLOAD``."""

    def __init__(self, value: Any, path: str = "") -> None:
        self._path = path
        if not isinstance(value, dict):
            raise bad(path or "payload", "must be an object")
        self._left: dict[str, Any] = dict(value)
        self._known: list[str] = []

    def has(self, name: str) -> bool:
        return name in self._left

    def where(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def take(self, name: str) -> Any:
        self._known.append(name)
        return self._left.pop(name, None)

    def text(self, name: str, default: str | None = None, *, most: int = 1 << 20) -> str | None:
        value = self._kind(name, str, "a string")
        if value is not None and len(value) > most:
            raise bad(self.where(name), f"must have at most {most} characters")
        return default if value is None else value

    def flag(self, name: str, default: bool) -> bool:
        value = self._kind(name, bool, "true or false")
        return default if value is None else value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        value = self._kind(name, int, "a whole number")
        if value is None:
            return default
        if not low <= value <= high:
            raise bad(self.where(name), f"must be {low} to {high}")
        return value

    def optional_whole(self, name: str, low: int, high: int) -> int | None:
        if self._left.get(name) is None:
            self.take(name)
            return None
        return self.whole(name, low, low, high)

    def items(self, name: str, most: int) -> list[Any] | None:
        value = self._kind(name, list, "a list")
        if value is not None and len(value) > most:
            raise bad(self.where(name), f"must have at most {most} elements")
        return value

    def strings(self, name: str, most: int) -> Mapping[str, str]:
        value: dict[str, Any] = self._kind(name, dict, "an object of strings") or {}
        if len(value) > most:
            raise bad(self.where(name), f"must have at most {most} fields")
        for key, one in value.items():
            if not isinstance(one, str):
                raise bad(f"{self.where(name)}.{key}", "must be a string")
        return value

    def end(self) -> None:
        for name in self._left:
            known = ", ".join(sorted(set(self._known)))
            raise bad(self.where(name[:100]), f"unknown field; known are {known}")

    def _kind(self, name: str, kind: type[_T], text: str) -> _T | None:
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise bad(self.where(name), f"must be {text}")
        return value


def bad(path: str, text: str) -> TaskFailed:
    """The failure for a payload that is not as it must be: trying again cannot help."""
    return TaskFailed("BAD_PAYLOAD", f"{path}: {text}", retryable=False)
