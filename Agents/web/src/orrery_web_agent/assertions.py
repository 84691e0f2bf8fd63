# SPDX-License-Identifier: Apache-2.0
"""What an API check can assert of a response, read from the payload and judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import regex

from .json_path import MISSING, look_up, parse
from .payload import PayloadReader, bad

MOST_ASSERTIONS: Final = 100
MOST_ACTUAL: Final = 500
MATCH_SECONDS: Final = 0.5
SOURCES: Final = ("status", "header", "json", "body", "time")


@dataclass(frozen=True, slots=True)
class Response:
    """What assertions look at. ``ms`` is the time to the body's end."""

    status: int
    headers: Mapping[str, str]
    text: str
    ms: int


@dataclass(frozen=True, slots=True)
class Assertion:
    """One claim: what it is on, how it compares, and with what."""

    on: str
    name: str | None
    operator: str
    expected: Any
    steps: tuple[str | int, ...] = ()

    def judge(self, response: Response, document: Any) -> dict[str, Any]:
        """The claim with ``passed`` and ``actual``. ``document`` is the body as JSON."""
        actual = self._actual(response, document)
        report: dict[str, Any] = {"on": self.on}
        if self.name is not None:
            report["path" if self.on == "json" else "name"] = self.name
        report |= {"operator": self.operator, "expected": self.expected}
        try:
            passed = _OPERATORS[self.operator].holds(actual, self.expected)
            if actual is MISSING and self.operator != "exists":
                report["message"] = f"there is no such {self.on}"
        except TimeoutError:
            passed = False
            report["message"] = f"the pattern took longer than {MATCH_SECONDS} s"
        report["passed"] = passed
        report["actual"] = None if actual is MISSING else _shortened(actual)
        return report

    def _actual(self, response: Response, document: Any) -> Any:
        match self.on:
            case "status":
                return response.status
            case "time":
                return response.ms
            case "body":
                return response.text
            case "header":
                return response.headers.get(self.name or "", MISSING)
            case _:
                return MISSING if document is MISSING else look_up(document, list(self.steps))


@dataclass(frozen=True, slots=True)
class _Operator:
    expects: tuple[type, ...]
    text: str
    holds: Callable[[Any, Any], bool]


def _same(actual: Any, expected: Any) -> bool:
    """JSON's equality: 1 equals 1.0, but true does not equal 1."""
    if isinstance(actual, bool) or isinstance(expected, bool):
        return actual is expected
    if isinstance(actual, dict) and isinstance(expected, dict):
        return actual.keys() == expected.keys() and all(
            _same(actual[key], expected[key]) for key in actual
        )
    if isinstance(actual, list) and isinstance(expected, list):
        return len(actual) == len(expected) and all(map(_same, actual, expected))
    return bool(actual == expected)


def _contains(actual: Any, expected: Any) -> bool:
    if isinstance(actual, str):
        return isinstance(expected, str) and expected in actual
    if isinstance(actual, list):
        return any(_same(one, expected) for one in actual)
    return isinstance(actual, dict) and isinstance(expected, str) and expected in actual


def _matches(actual: Any, expected: Any) -> bool:
    found = isinstance(actual, str) and regex.search(
        expected, actual, timeout=MATCH_SECONDS, concurrent=True
    )
    return bool(found)


def _compared(holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def judge(actual: Any, expected: Any) -> bool:
        number = isinstance(actual, (int, float)) and not isinstance(actual, bool)
        return number and holds(actual, expected)

    return judge


def _length(actual: Any, expected: Any) -> bool:
    return isinstance(actual, (str, list, dict)) and len(actual) == expected


_ANY: Final = (object,)
_OPERATORS: Final[Mapping[str, _Operator]] = {
    "equals": _Operator(_ANY, "any value", _same),
    "notEquals": _Operator(
        _ANY, "any value", lambda actual, other: actual is not MISSING and not _same(actual, other)
    ),
    "in": _Operator((list,), "a list", lambda actual, few: any(_same(actual, one) for one in few)),
    "contains": _Operator(_ANY, "any value", _contains),
    "matches": _Operator((str,), "a regular expression", _matches),
    "exists": _Operator((bool,), "true or false", lambda one, wanted: (one is MISSING) != wanted),
    "lessThan": _Operator((int, float), "a number", _compared(lambda one, two: one < two)),
    "greaterThan": _Operator((int, float), "a number", _compared(lambda one, two: one > two)),
    "hasLength": _Operator((int,), "a whole number", _length),
}


def read_assertions(reader: PayloadReader) -> list[Assertion]:
    """The payload's ``assertions``. Raises ``TaskFailed`` with the one that is wrong."""
    given = reader.items("assertions", MOST_ASSERTIONS) or []
    return [
        _read(PayloadReader(one, f"assertions[{index}]")) for index, one in enumerate(given)
    ]


def _read(reader: PayloadReader) -> Assertion:
    on = reader.text("on")
    if on not in SOURCES:
        raise bad(reader.where("on"), f"must be one of {', '.join(SOURCES)}")
    name, steps = _place(reader, on)
    present = [one for one in _OPERATORS if reader.has(one)]
    values = {one: reader.take(one) for one in _OPERATORS}
    reader.end()
    if len(present) != 1:
        known = ", ".join(_OPERATORS)
        raise bad(reader.where("on").removesuffix(".on"), f"exactly one is needed of {known}")
    operator = present[0]
    expected = values[operator]
    kind = _OPERATORS[operator]
    misled = isinstance(expected, bool) and bool not in kind.expects and kind.expects != _ANY
    if not isinstance(expected, kind.expects) or misled:
        raise bad(reader.where(operator), f"must be {kind.text}")
    if operator == "matches":
        try:
            regex.compile(expected)
        except regex.error as error:
            raise bad(reader.where(operator), f"not a regular expression: {error}") from None
    return Assertion(on, name, operator, expected, steps)


def _place(reader: PayloadReader, on: str) -> tuple[str | None, tuple[str | int, ...]]:
    if on == "header":
        name = reader.text("name", most=200)
        if not name:
            raise bad(reader.where("name"), "the header's name is needed")
        return name, ()
    if on == "json":
        path = reader.text("path", "$", most=1_000) or "$"
        try:
            return path, tuple(parse(path))
        except ValueError as error:
            raise bad(reader.where("path"), str(error)) from None
    return None, ()


def judge_all(assertions: list[Assertion], response: Response) -> list[dict[str, Any]]:
    """Each assertion with its outcome, in order."""
    document: Any = MISSING
    if any(one.on == "json" for one in assertions):
        try:
            document = json.loads(response.text)
        except (ValueError, RecursionError):
            document = MISSING
    reports = [one.judge(response, document) for one in assertions]
    if document is MISSING:
        for report in reports:
            if report["on"] == "json":
                report["message"] = "the body is not JSON"
    return reports


def _shortened(value: Any) -> Any:
    """The value, or the start of it as text if it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value if len(text) <= MOST_ACTUAL else text[:MOST_ACTUAL] + "…"
