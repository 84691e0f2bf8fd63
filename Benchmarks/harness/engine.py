# SPDX-License-Identifier: Apache-2.0
# The engine loop in process, and beside it what one C writer thread does with the same rows.
from __future__ import annotations

import json
import shutil
from typing import Any

from .figures import Sample
from .load_tools import build_tools
from .processes import BenchError, run_json
from .scenarios import Bench

DEFAULT_BATCH = 500


def engine(bench: Bench) -> list[Sample]:
    """The engine's own loop, then the C writer with the batch size that the engine had."""
    binary = bench.binary.parent / "OrreryBench"
    if not binary.exists():
        raise BenchError(f"{binary.name} is not built beside {bench.binary.name}")
    seconds = bench.profile.engine_seconds
    lines = _in_folder(bench, [str(binary), "--seconds", str(seconds)], "--data")
    ours = next((line for line in lines if line.get("name") == "engine_loop"), None)
    if ours is None:
        raise BenchError(f"OrreryBench printed no engine_loop: {json.dumps(lines)[:200]}")
    batch = max(1, round(ours.get("batch", DEFAULT_BATCH)))
    mixed = bool(ours.get("mixed", False))
    limit = c_limit(bench, batch, mixed, seconds)
    value = float(ours["value"])
    c_value = float(limit["tasksPerSecond"])
    conditions = str(ours.get("conditions", ""))
    return [
        Sample("engine_loop", value, conditions, limit=c_value),
        Sample(
            "engine_loop_of_limit",
            value / c_value,
            f"C writer thread {c_value:,.0f} tasks/s, batches of {batch},"
            f" {'phases mixed in a commit' if mixed else 'a commit for each phase'};"
            f" SQLite {limit['sqlite']}, WAL, synchronous=FULL",
            limit=c_value,
        ),
    ]


def c_limit(bench: Bench, batch: int, mixed: bool, seconds: float) -> dict[str, Any]:
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
