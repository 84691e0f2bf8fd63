# SPDX-License-Identifier: Apache-2.0
# The suite's own signatures against the protocol's vectors, so that its verdicts can be trusted.

import base64
import json
import os
import pathlib
import time

import pytest

from harness import signing
from harness.server import REPO

pytestmark = pytest.mark.no_binary


def vectors():
    given = os.environ.get("ORRERY_VECTORS")
    places = (
        [pathlib.Path(given)]
        if given
        else [
            path
            for folder in ("API", "Docs", "Tests", "SDKs", "Sources")
            if (REPO / folder).is_dir()
            for path in (REPO / folder).rglob("vectors.json")
        ]
    )
    return json.loads(places[0].read_text())["vectors"] if places else []


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["name"])
def test_own_verifier_agrees(vector):
    body = base64.b64decode(vector["bodyBase64"])
    headers = list(vector["headers"].items())
    got = signing.verify(headers, body, vector["secrets"], vector["clock"])
    assert got is vector["accept"], vector["why"]


@pytest.mark.parametrize("scheme", ["standard", "compat"])
@pytest.mark.parametrize(
    "secret", ["plain secret", "whsec_" + base64.b64encode(b"k" * 32).decode()]
)
def test_own_signatures_verify(scheme, secret):
    headers = getattr(signing, scheme)(secret, "agent-1", b'{"a":1}')
    assert signing.verify(headers, b'{"a":1}', [secret], time.time())
    assert not signing.verify(headers, b'{"a":2}', [secret], time.time())
    assert not signing.verify(headers, b'{"a":1}', ["another secret"], time.time())
