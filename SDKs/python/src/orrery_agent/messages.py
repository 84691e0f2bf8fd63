# SPDX-License-Identifier: Apache-2.0
"""The protocol's messages: dispatches as they come, reports as they go."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from . import limits
from .errors import MessageError, ResultError, TaskFailed

Json = Any
"""Any JSON value; the standard library's ``json`` reads and writes it."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One attempt of a task, as the control plane hands it out. ``timeout`` is milliseconds."""

    task_id: str
    attempt: int
    lease_token: str
    type: str
    payload: Json
    priority: int = 5
    timeout: int | None = None
    deadline: datetime | None = None
    callback_url: str | None = None
    progress_url: str | None = None
    traceparent: str | None = None

    @staticmethod
    def parse(value: Json) -> Dispatch:
        """Raises ``MessageError`` with the field that is wrong."""
        if not isinstance(value, dict):
            raise MessageError("a dispatch is a JSON object")
        deadline = _optional(value, "deadline", str)
        return Dispatch(
            task_id=_required(value, "taskId", str),
            attempt=_required(value, "attempt", int),
            lease_token=_required(value, "leaseToken", str),
            type=_required(value, "type", str),
            payload=value.get("payload", {}),
            priority=_optional(value, "priority", int) or 0,
            timeout=_optional(value, "timeout", int),
            deadline=None if deadline is None else parse_time(deadline),
            callback_url=_optional(value, "callbackUrl", str),
            progress_url=_optional(value, "progressUrl", str),
            traceparent=_optional(value, "traceparent", str),
        )

    @property
    def key(self) -> tuple[str, int]:
        """What tells this attempt from every other one."""
        return (self.task_id, self.attempt)


_Scalar = TypeVar("_Scalar", str, int)


def _optional(
    value: Mapping[str, Json], name: str, kind: type[_Scalar]
) -> _Scalar | None:
    found = value.get(name)
    if found is None:
        return None
    if not isinstance(found, kind) or isinstance(found, bool):
        raise MessageError(f"{name} is not of the protocol's kind")
    return found


def _required(value: Mapping[str, Json], name: str, kind: type[_Scalar]) -> _Scalar:
    found = _optional(value, name, kind)
    if found is None or found == "":
        raise MessageError(f"{name} is missing")
    return found


def parse_time(text: str) -> datetime:
    """An RFC 3339 time. Raises ``MessageError``."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise MessageError("a time is not RFC 3339") from None
    if time.tzinfo is None:
        raise MessageError("a time has no offset")
    return time.astimezone(UTC)


def format_time(time: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file kept with the result: 1 MiB at most."""

    name: str
    media_type: str
    content: bytes

    def wire(self) -> dict[str, str]:
        if len(self.content) > limits.ARTIFACT:
            raise ResultError(
                "ARTIFACT_TOO_LARGE",
                f"the artifact {self.name!r} has {len(self.content)} bytes; "
                f"{limits.ARTIFACT} are allowed",
            )
        text = base64.b64encode(self.content).decode("ascii")
        return {"name": self.name, "mediaType": self.media_type, "base64": text}


@dataclass(frozen=True, slots=True)
class Results:
    """What a handler returns when it has more than data. Any other value is taken as ``data``."""

    data: Json = None
    artifacts: Sequence[Artifact] = ()
    metrics: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Partial:
    """What a handler returns when it did a part only: the task completes, marked as partial."""

    results: Results | Json
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a task's log. ``level`` is debug, info, warning or error."""

    timestamp: datetime
    level: str
    message: str
    metadata: Mapping[str, Json] | None = None

    def wire(self) -> dict[str, Json]:
        line: dict[str, Json] = {
            "timestamp": format_time(self.timestamp),
            "level": self.level,
            "message": self.message,
        }
        if self.metadata:
            line["metadata"] = self.metadata
        return line


@dataclass(frozen=True, slots=True)
class Failure:
    """The ``error`` of a report. ``retry_after`` is milliseconds."""

    code: str
    message: str
    stack: str | None = None
    retryable: bool | None = None
    retry_after: int | None = None

    @staticmethod
    def of(error: TaskFailed) -> Failure:
        after = None if error.retry_after is None else max(0, round(error.retry_after * 1000))
        return Failure(error.code, error.message, None, error.retryable, after)

    def wire(self) -> dict[str, Json]:
        error: dict[str, Json] = {
            "code": limits.shorten(self.code, 128),
            "message": limits.shorten(self.message, limits.MESSAGE),
        }
        if self.stack is not None:
            error["stack"] = limits.shorten(self.stack, limits.STACK)
        if self.retryable is not None:
            error["retryable"] = self.retryable
        if self.retry_after is not None:
            error["retryAfter"] = self.retry_after
        return error


@dataclass(frozen=True, slots=True)
class Report:
    """How an attempt ended. ``duration`` is milliseconds."""

    status: Literal["success", "partial", "failure"]
    duration: int
    results: Results | None = None
    error: Failure | None = None
    logs: Sequence[LogLine] = ()

    def encode(self, dispatch: Dispatch, agent_id: str) -> bytes:
        """The callback's body. Raises ``ResultError`` if the result cannot be sent."""
        results: dict[str, Json] = {}
        if self.results is not None:
            results["data"] = self.results.data
            if self.results.artifacts:
                results["artifacts"] = [one.wire() for one in self.results.artifacts]
            if self.results.metrics:
                results["metrics"] = dict(self.results.metrics)
        if self.logs:
            results["logs"] = [line.wire() for line in self.logs]
        check_shape(results, depth=2)
        size = len(encode(results))
        if size > limits.RESULTS:
            raise ResultError(
                "RESULT_TOO_LARGE",
                f"the result has {size} bytes as JSON; {limits.RESULTS} are allowed",
            )
        body: dict[str, Json] = {
            "taskId": dispatch.task_id,
            "agentId": agent_id,
            "attempt": dispatch.attempt,
            "leaseToken": dispatch.lease_token,
            "status": self.status,
            "timestamp": format_time(datetime.now(UTC)),
            "duration": self.duration,
        }
        if results:
            body["results"] = results
        if self.error is not None:
            body["error"] = self.error.wire()
        return encode(body)


def encode(value: Json) -> bytes:
    """Strict JSON as UTF-8. Raises ``ResultError`` for what JSON does not have."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise ResultError("RESULT_NOT_JSON", f"not expressible as JSON: {error}") from error


#: What a report has besides its results.
_ENVELOPE_VALUES = 20


def check_shape(value: Json, depth: int) -> None:
    """Refuses what is nested deeper, or has more values, than the control plane reads.

    ``depth`` is how deep in the body ``value`` will stand. Raises ``ResultError``.
    """
    level: list[Json] = [value]
    count = 0
    while level:
        count += len(level)
        if count > limits.JSON_VALUES - _ENVELOPE_VALUES:
            raise ResultError(
                "RESULT_TOO_LARGE", f"the result has more than {limits.JSON_VALUES} JSON values"
            )
        containers = [one for one in level if isinstance(one, (dict, list, tuple))]
        if containers and depth > limits.JSON_DEPTH:
            raise ResultError(
                "RESULT_TOO_DEEP", f"the result is nested deeper than {limits.JSON_DEPTH}"
            )
        depth += 1
        level = []
        for one in containers:
            level.extend(one.values() if isinstance(one, dict) else one)
