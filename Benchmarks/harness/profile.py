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
    peer_share: float
    sockets: int
    socket_seconds: float
    socket_patience: float
    fanout_sockets: int
    fanout_rates: tuple[int, ...]
    fanout_seconds: float
    get_pairs: int
    get_seconds: float
    edge_pairs: int
    edge_seconds: float
    slow_connections: int


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
    peer_share=1.0,
    sockets=10_000,
    socket_seconds=30,
    socket_patience=120,
    fanout_sockets=1_000,
    fanout_rates=(150, 300, 600, 1_200, 2_400),
    fanout_seconds=4,
    get_pairs=3,
    get_seconds=2,
    edge_pairs=5,
    edge_seconds=5,
    slow_connections=1_000,
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
    peer_share=0.1,
    sockets=200,
    socket_seconds=2,
    socket_patience=60,
    fanout_sockets=20,
    fanout_rates=(100, 200),
    fanout_seconds=1,
    get_pairs=1,
    get_seconds=1,
    edge_pairs=1,
    edge_seconds=1,
    slow_connections=90,
)
