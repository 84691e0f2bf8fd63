# SPDX-License-Identifier: Apache-2.0
# The engine loop in process, and beside it what one C writer thread does with the same rows.
from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from .figures import Sample
from .load_tools import build_tools
from .processes import BenchError, run_json
from .scenarios import Bench

DEFAULT_BATCH = 500


def engine(bench: Bench) -> list[Sample]:
    """The engine's own loop, then the C writer with the batch size that the engine had."""
    seconds = bench.profile.engine_seconds
    lines = _in_folder(bench, [str(_binary(bench)), "--seconds", str(seconds)], "--data")
    ours = next((line for line in lines if line.get("name") == "engine_loop"), None)
    if ours is None:
        raise BenchError(f"OrreryBench printed no engine_loop: {json.dumps(lines)[:200]}")
    batch = max(1, round(ours.get("batch", DEFAULT_BATCH)))
    limit = max(
        (_c_limit(bench, batch, mixed, seconds / 2) for mixed in (False, True)),
        key=lambda figures: float(figures["tasksPerSecond"]),
    )
    value = float(ours["value"])
    c_value = float(limit["tasksPerSecond"])
    return [
        Sample("engine_loop", value, str(ours.get("conditions", "")), limit=c_value),
        Sample(
            "engine_loop_of_limit",
            value / c_value,
            f"C writer thread {c_value:,.0f} tasks/s, batches of {batch}, the faster of a commit"
            f" for each phase and one for all three ({'this' if limit['mixed'] else 'the former'}),"
            f" SQLite {limit['sqlite']}, WAL, synchronous=FULL",
            limit=c_value,
        ),
    ]


def claim_in_process(bench: Bench, queued: int) -> Sample:
    """What a durable claim of one costs without HTTP, with that many queued."""
    command = [str(_binary(bench)), "--queued", str(queued)]
    lines = _in_folder(bench, command, "--data")
    claim = next((line for line in lines if line.get("name") == "claim_one"), None)
    if claim is None:
        raise BenchError(f"OrreryBench printed no claim_one: {json.dumps(lines)[:200]}")
    return Sample(
        "claim_at_million_in_process",
        float(claim["value"]),
        f"leases of one in process, durable, {queued:,} queued; p99 {claim['p99']:.2f} ms",
    )


def _binary(bench: Bench) -> Path:
    binary = bench.binary.parent / "OrreryBench"
    if not binary.exists():
        raise BenchError(f"{binary.name} is not built beside {bench.binary.name}")
    return binary


def _c_limit(bench: Bench, batch: int, mixed: bool, seconds: float) -> dict[str, Any]:
    build_tools(bench.folder, "engine-limit")
    migrations = bench.root / "Sources" / "StoreSQLite" / "Migrations"
    command = [str(bench.folder / "engine-limit"), "--migrations", str(migrations)]
    command += ["--batch", str(batch), "--seconds", str(seconds)]
    command += ["--mixed"] if mixed else []
    return _in_folder(bench, command, "--data")[0]


def _in_folder(bench: Bench, command: list[str], option: str) -> list[dict[str, Any]]:
    folder = bench.folder / "engine"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        return run_json([*command, option, str(folder)])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
