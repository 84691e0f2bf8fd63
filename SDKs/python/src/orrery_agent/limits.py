# SPDX-License-Identifier: Apache-2.0
"""The control plane's default bounds on what an agent sends, and our own on what it receives.

Sizes are bytes.
"""

from typing import Final

RESULTS: Final = 4 << 20
ARTIFACT: Final = 1 << 20
MESSAGE: Final = 4 << 10
STACK: Final = 16 << 10
METADATA: Final = 8 << 10
JSON_DEPTH: Final = 64
JSON_VALUES: Final = 100_000
LOG_LINES_PER_REPORT: Final = 100
LOG_LINES_PER_TASK: Final = 10_000
LEASE_BATCH: Final = 1_000
WAIT_SECONDS: Final = 60

#: The most that is read of an ordinary answer of the control plane.
ANSWER: Final = 4 << 20
#: The most that one dispatch may weigh: a payload of 1 MiB and what surrounds it.
DISPATCH: Final = 2 << 20
#: Attempts that a push server remembers, to recognise a dispatch that is sent again.
REMEMBERED_ATTEMPTS: Final = 1_024


def shorten(text: str, size: int) -> str:
    """``text``, cut at a character so that its UTF-8 is no longer than ``size`` bytes."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= size:
        return raw.decode("utf-8")
    return raw[: size - 3].decode("utf-8", "ignore") + "…"
