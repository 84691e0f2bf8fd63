# SPDX-License-Identifier: Apache-2.0
"""Signs requests and verifies signatures: both schemes of the agent protocol, section 2."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets as random_source
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from .errors import ConfigurationError, SignatureError

Scheme = Literal["standard", "compat"]
Headers = Mapping[str, str] | Iterable[tuple[str, str]]

AGENT_ID: Final = "x-agent-id"
STANDARD: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")
COMPAT: Final = ("x-agent-timestamp", "x-agent-signature")
PREFIX: Final = "whsec_"
#: How far a signed timestamp may be from the verifier's clock, both ends included.
WINDOW_SECONDS: Final = 300
MOST_SIGNATURES: Final = 4

_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_MESSAGE_ID: Final = re.compile(r"[\x21-\x7e]{1,256}")
_TIMESTAMP: Final = re.compile(r"0|[1-9][0-9]{0,14}")
_HEX: Final = re.compile(r"[0-9a-f]{64}")


class Secret:
    """An agent's secret and the keys that the two schemes derive from it."""

    __slots__ = ("_compat", "_standard")

    def __init__(self, text: str) -> None:
        """Raises ``ConfigurationError`` for an empty one and for a broken ``whsec_`` one."""
        if not text:
            raise ConfigurationError("the agent's secret is empty")
        self._compat = text.encode("utf-8")
        self._standard = self._compat
        if text.startswith(PREFIX):
            try:
                self._standard = base64.b64decode(text[len(PREFIX) :], validate=True)
            except (binascii.Error, ValueError):
                self._standard = b""
            if not 24 <= len(self._standard) <= 64:
                raise ConfigurationError(
                    "the agent's secret starts with whsec_ but is not base64 of its bytes"
                )

    def standard(self, message_id: str, timestamp: str, body: bytes) -> str:
        """``v1,…`` over ``{id}.{timestamp}.{body}``."""
        head = f"{message_id}.{timestamp}.".encode("utf-8", "surrogateescape")
        digest = hmac.digest(self._standard, head + body, hashlib.sha256)
        return "v1," + base64.b64encode(digest).decode("ascii")

    def compat(self, timestamp: str, body: bytes) -> str:
        """Lower-case hex over ``{timestamp}{body}``."""
        head = timestamp.encode("utf-8", "surrogateescape")
        return hmac.digest(self._compat, head + body, hashlib.sha256).hex()

    def __repr__(self) -> str:
        return "Secret(…)"


_DUMMY: Final = Secret(random_source.token_hex(32))


@dataclass(frozen=True, slots=True)
class Signed:
    """What a verified request says of itself. ``message_id`` is that of the standard scheme."""

    agent_id: str
    scheme: Scheme
    message_id: str | None


def new_message_id() -> str:
    """A fresh ``webhook-id``. A request that is sent again keeps its id."""
    return "msg_" + random_source.token_hex(16)


def sign(
    secret: Secret,
    agent_id: str,
    body: bytes,
    *,
    message_id: str | None = None,
    now: float | None = None,
) -> dict[str, str]:
    """Headers that sign ``body`` under the standard scheme. ``now`` is in seconds."""
    message_id = message_id or new_message_id()
    timestamp = str(int(time.time() if now is None else now))
    return {
        AGENT_ID: agent_id,
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": secret.standard(message_id, timestamp, body),
    }


def sign_compat(
    secret: Secret, agent_id: str, body: bytes, *, now: float | None = None
) -> dict[str, str]:
    """Headers that sign ``body`` under the compat scheme, for servers that know only that."""
    timestamp = str(int((time.time() if now is None else now) * 1000))
    return {
        AGENT_ID: agent_id,
        "x-agent-timestamp": timestamp,
        "x-agent-signature": secret.compat(timestamp, body),
    }


def verify(
    headers: Headers,
    body: bytes,
    secrets: Sequence[Secret],
    *,
    now: float | None = None,
    allow_compat: bool = True,
) -> Signed:
    """Checks a request's headers, then its timestamp, then its signature.

    ``headers`` are pairs where the framework can give them, so that a header sent twice is seen.
    ``secrets`` are all that are valid at present (none for an unknown agent: it takes as long).
    Raises ``SignatureError``.
    """
    clock = round((time.time() if now is None else now) * 1000)
    found = _read(headers)
    agent_id = _one(found, AGENT_ID)
    if not _IDENTIFIER.fullmatch(agent_id):
        raise SignatureError("x-agent-id is malformed")
    standard = any(name in found for name in STANDARD)
    compat = any(name in found for name in COMPAT)
    if standard and compat:
        raise SignatureError("signed under both schemes")
    if standard:
        return _verify_standard(found, agent_id, body, secrets, clock)
    if compat and allow_compat:
        return _verify_compat(found, agent_id, body, secrets, clock)
    raise SignatureError("not signed")


def _read(headers: Headers) -> dict[str, list[str]]:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    names = {AGENT_ID, *STANDARD, *COMPAT}
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        lower = name.lower()
        if lower in names:
            found.setdefault(lower, []).append(value)
    return found


def _one(found: Mapping[str, list[str]], name: str) -> str:
    values = found.get(name, [])
    if len(values) != 1:
        raise SignatureError(f"{name} is {'sent more than once' if values else 'missing'}")
    return values[0]


def _verify_standard(
    found: Mapping[str, list[str]],
    agent_id: str,
    body: bytes,
    secrets: Sequence[Secret],
    clock: int,
) -> Signed:
    message_id, timestamp, header = (_one(found, name) for name in STANDARD)
    if not _MESSAGE_ID.fullmatch(message_id):
        raise SignatureError("webhook-id is malformed")
    given = [one for one in header.split(" ") if one]
    if not 1 <= len(given) <= MOST_SIGNATURES:
        raise SignatureError("webhook-signature holds no signature, or too many")
    _check_time(timestamp, 1000, clock)
    expected = [key.standard(message_id, timestamp, body) for key in secrets or [_DUMMY]]
    if not (_any_equal(expected, given) and secrets):
        raise SignatureError("the signature does not match")
    return Signed(agent_id, "standard", message_id)


def _verify_compat(
    found: Mapping[str, list[str]],
    agent_id: str,
    body: bytes,
    secrets: Sequence[Secret],
    clock: int,
) -> Signed:
    timestamp, given = (_one(found, name) for name in COMPAT)
    if not _HEX.fullmatch(given):
        raise SignatureError("x-agent-signature is malformed")
    _check_time(timestamp, 1, clock)
    expected = [key.compat(timestamp, body) for key in secrets or [_DUMMY]]
    if not (_any_equal(expected, [given]) and secrets):
        raise SignatureError("the signature does not match")
    return Signed(agent_id, "compat", None)


def _check_time(timestamp: str, unit: int, clock: int) -> None:
    if not _TIMESTAMP.fullmatch(timestamp):
        raise SignatureError("the timestamp is malformed")
    if abs(int(timestamp) * unit - clock) > WINDOW_SECONDS * 1000:
        raise SignatureError("the timestamp is too far from our clock")


def _any_equal(expected: Sequence[str], given: Sequence[str]) -> bool:
    """Whether any pair matches, in a time that depends on the numbers of both only."""
    match = False
    for one in expected:
        for other in given:
            other_bytes = other.encode("utf-8", "surrogateescape")
            match |= hmac.compare_digest(one.encode("ascii"), other_bytes)
    return match
