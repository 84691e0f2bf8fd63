# SPDX-License-Identifier: Apache-2.0
"""How long to wait before a call is made again."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubles from ``base`` to ``cap`` (seconds); each delay is drawn from its upper half.

    An answer that asks for a longer pause gets it, up to ``longest``.
    """

    base: float = 0.5
    cap: float = 30.0
    longest: float = 300.0

    def delay(self, failures: int, retry_after: float | None = None) -> float:
        """Seconds to wait after ``failures`` failures in a row (1 or more)."""
        full = min(self.cap, self.base * 2.0 ** min(failures - 1, 30))
        drawn = full * random.uniform(0.5, 1.0)
        return max(drawn, min(retry_after or 0.0, self.longest))
