# SPDX-License-Identifier: Apache-2.0
# How long and how much each scenario measures: the full run, and the quick one for a smoke test.
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    rounds: int
    engine_seconds: float
    singles_seconds: float
    bulk_seconds: float
    loop_tasks: int
    latency_seconds: float
    callback_seconds: float
    queued_tasks: int
    claims: int
    edge_seconds: float
    peer_share: float


FULL = Profile(
    rounds=5,
    engine_seconds=5,
    singles_seconds=5,
    bulk_seconds=5,
    loop_tasks=50_000,
    latency_seconds=10,
    callback_seconds=8,
    queued_tasks=1_000_000,
    claims=1_000,
    edge_seconds=10,
    peer_share=1.0,
)

QUICK = Profile(
    rounds=1,
    engine_seconds=1,
    singles_seconds=1,
    bulk_seconds=1,
    loop_tasks=5_000,
    latency_seconds=2,
    callback_seconds=2,
    queued_tasks=50_000,
    claims=200,
    edge_seconds=2,
    peer_share=0.1,
)
