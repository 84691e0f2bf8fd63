# SPDX-License-Identifier: Apache-2.0
"""Every signature vector of the protocol, and what vectors cannot say."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from orrery_agent import ConfigurationError, Secret, SignatureError, sign, sign_compat, verify

_FILE = Path(__file__).resolve().parents[3] / "Tests" / "Vectors" / "vectors.json"
_VECTORS: list[dict[str, Any]] = json.loads(_FILE.read_text("utf-8"))["vectors"]
_SECRET = Secret("whsec_9K3K+deU8aOkQr/4d4NmktEWpa3r59QrjCAMvE+2Q84=")


def test_all_vectors_are_there() -> None:
    assert len(_VECTORS) >= 49


@pytest.mark.parametrize("vector", _VECTORS, ids=[one["name"] for one in _VECTORS])
def test_vector(vector: dict[str, Any]) -> None:
    secrets = [Secret(text) for text in vector["secrets"]]
    body = base64.b64decode(vector["bodyBase64"])
    try:
        signed = verify(vector["headers"], body, secrets, now=vector["clock"])
    except SignatureError:
        assert not vector["accept"]
    else:
        assert vector["accept"]
        assert signed.agent_id == vector["headers"]["x-agent-id"]
        assert signed.scheme == vector["scheme"]
        _sign_again(vector, secrets, body)


def _sign_again(vector: dict[str, Any], secrets: list[Secret], body: bytes) -> None:
    """Signing what an accepted vector signs gives its signature, under one of its secrets."""
    headers = vector["headers"]
    if vector["scheme"] == "standard":
        stamp = int(headers["webhook-timestamp"])
        given = headers["webhook-signature"]
        made = [
            sign(one, "agent-1", body, message_id=headers["webhook-id"], now=stamp)
            for one in secrets
        ]
        assert any(one["webhook-signature"] in given for one in made)
    else:
        stamp = int(headers["x-agent-timestamp"])
        made = [sign_compat(one, "agent-1", body, now=stamp / 1000) for one in secrets]
        assert headers in made


def test_no_header_may_come_twice() -> None:
    headers = sign(_SECRET, "agent-1", b"{}")
    verify(headers, b"{}", [_SECRET])
    for name, value in headers.items():
        with pytest.raises(SignatureError, match="more than once"):
            verify([*headers.items(), (name.upper(), value)], b"{}", [_SECRET])


def test_unknown_agent_has_no_secret() -> None:
    for headers in (sign(_SECRET, "agent-1", b"{}"), sign_compat(_SECRET, "agent-1", b"{}")):
        with pytest.raises(SignatureError, match="does not match"):
            verify(headers, b"{}", [])


def test_compat_can_be_refused() -> None:
    headers = sign_compat(_SECRET, "agent-1", b"{}")
    verify(headers, b"{}", [_SECRET])
    with pytest.raises(SignatureError, match="not signed"):
        verify(headers, b"{}", [_SECRET], allow_compat=False)


@pytest.mark.parametrize("agent_id", ["", "a b", "é", "a" * 129, "a/b"])
def test_agent_id_is_checked(agent_id: str) -> None:
    with pytest.raises(SignatureError):
        verify(sign(_SECRET, agent_id, b"{}"), b"{}", [_SECRET])


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_!!!!", "whsec_AAAA"])
def test_bad_secrets_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        Secret(text)


def test_a_secret_does_not_print_itself() -> None:
    assert "9K3K" not in repr(_SECRET)
