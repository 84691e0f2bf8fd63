# SPDX-License-Identifier: Apache-2.0
# Both signature schemes of the agent protocol, written from its text and from nothing else.

import base64
import hashlib
import hmac
import re
import time
import uuid

SKEW_SECONDS = 300
DIGITS = re.compile(r"\A(0|[1-9][0-9]{0,14})\Z")
AGENT_ID = re.compile(r"\A[A-Za-z0-9._:-]{1,128}\Z")
SINGLE = (
    "x-agent-id",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "x-agent-timestamp",
    "x-agent-signature",
)


def standard_key(secret):
    """32 decoded bytes of a `whsec_` secret; any other secret is its UTF-8 bytes."""
    if secret.startswith("whsec_"):
        return base64.b64decode(secret[len("whsec_") :])
    return secret.encode()


def standard_signature(secret, message_id, timestamp, body):
    text = message_id.encode() + b"." + str(timestamp).encode() + b"." + body
    digest = hmac.new(standard_key(secret), text, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def compat_signature(secret, timestamp, body):
    return hmac.new(secret.encode(), str(timestamp).encode() + body, hashlib.sha256).hexdigest()


def standard(secret, agent_id, body, message_id=None, timestamp=None):
    """Headers of a request signed by the `standard` scheme, as a list of pairs."""
    message_id = message_id or "msg_" + uuid.uuid4().hex
    timestamp = int(time.time()) if timestamp is None else timestamp
    return [
        ("x-agent-id", agent_id),
        ("webhook-id", message_id),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", standard_signature(secret, message_id, timestamp, body)),
    ]


def compat(secret, agent_id, body, timestamp=None):
    """Headers of a request signed by the `compat` scheme, as a list of pairs."""
    timestamp = int(time.time() * 1000) if timestamp is None else timestamp
    return [
        ("x-agent-id", agent_id),
        ("x-agent-timestamp", str(timestamp)),
        ("x-agent-signature", compat_signature(secret, timestamp, body)),
    ]


def verify(headers, body, secrets, now):
    """Whether a request with these (name, value) pairs is well signed at `now` seconds."""
    values = {}
    for name, value in headers:
        name = name.lower()
        if name in SINGLE:
            if name in values:
                return False
            values[name] = value
    if not AGENT_ID.match(values.get("x-agent-id", "")):
        return False
    is_standard = any(name.startswith("webhook-") for name in values)
    is_compat = "x-agent-timestamp" in values or "x-agent-signature" in values
    if is_standard == is_compat:
        return False
    check = _verify_standard if is_standard else _verify_compat
    return check(values, body, secrets, now)


def _verify_standard(values, body, secrets, now):
    message_id, timestamp = values.get("webhook-id"), values.get("webhook-timestamp", "")
    if not message_id or not DIGITS.match(timestamp):
        return False
    if abs(int(timestamp) - int(now)) > SKEW_SECONDS:
        return False
    given = values.get("webhook-signature", "").split(" ")
    if len(given) > 4:
        return False
    good = [standard_signature(secret, message_id, timestamp, body) for secret in secrets]
    return any(hmac.compare_digest(a.encode(), b.encode()) for a in given for b in good)


def _verify_compat(values, body, secrets, now):
    timestamp, given = values.get("x-agent-timestamp", ""), values.get("x-agent-signature", "")
    if not DIGITS.match(timestamp):
        return False
    if abs(int(timestamp) - int(now * 1000)) > SKEW_SECONDS * 1000:
        return False
    good = [compat_signature(secret, timestamp, body) for secret in secrets]
    return any(hmac.compare_digest(given.encode(), one.encode()) for one in good)
