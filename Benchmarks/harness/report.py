# SPDX-License-Identifier: Apache-2.0
# Turns the rounds' samples into rows, prints them as a table and writes them as JSON.
from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .conditions import FDATASYNC_LIMIT_MS, OTHER_LOAD_LIMIT_CORES
from .figures import FIGURES, Figure, Sample


@dataclass
class Measured:
    """One sample with the conditions that it was taken under."""

    sample: Sample
    fdatasync_ms: float
    other_cores: float


@dataclass
class Report:
    rounds: int
    quick: bool
    measured: dict[str, list[Measured]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, sample: Sample, fdatasync_ms: float, other_cores: float) -> None:
        measured = Measured(sample, fdatasync_ms, other_cores)
        self.measured.setdefault(sample.name, []).append(measured)

    def hopeless(self, names: list[str]) -> bool:
        """Whether none of these figures was ever measured, though it was tried."""
        return all(name in self.failures and name not in self.measured for name in names)

    def median(self, name: str) -> float | None:
        samples = self.measured.get(name)
        return statistics.median(each.sample.value for each in samples) if samples else None

    def rows(self) -> list[dict[str, Any]]:
        rows = self._condition_rows()
        for name in [*FIGURES, *(name for name in self.measured if name not in FIGURES)]:
            if name in self.measured:
                rows.append(self._row(name, self.measured[name]))
            elif name in self.failures:
                rows.append(self._failed_row(name))
        rows += [self._failed_row(name) for name in self.failures if name not in FIGURES]
        rows += [
            {"name": name, "value": None, "unit": "", "conditions": f"SKIPPED: {reason}"}
            for name, reason in self.skipped.items()
        ]
        return rows

    def _condition_rows(self) -> list[dict[str, Any]]:
        everything = [each for samples in self.measured.values() for each in samples]
        if not everything:
            return []
        syncs = statistics.median(each.fdatasync_ms for each in everything)
        loads = [each.other_cores for each in everything]
        return [
            _condition_row(
                "fdatasync_p50",
                syncs,
                "ms",
                FDATASYNC_LIMIT_MS,
                "4 KiB overwrites, the data folder's file system",
            ),
            _condition_row(
                "other_load",
                statistics.median(loads),
                "cores",
                OTHER_LOAD_LIMIT_CORES,
                f"highest of a row: {max(loads):.2f}",
            ),
        ]

    def _row(self, name: str, samples: list[Measured]) -> dict[str, Any]:
        figure = FIGURES.get(name) or Figure(
            samples[0].sample.title or name, samples[0].sample.unit or "tasks/s"
        )
        values = sorted(each.sample.value for each in samples)
        value = statistics.median(values)
        row: dict[str, Any] = {"name": name, "value": _rounded(value), "unit": figure.unit}
        row["conditions"] = self._conditions(samples, values)
        if name in self.failures:
            row["conditions"] = f"FAILED in a round: {self.failures[name]}; {row['conditions']}"
        if figure.target is not None:
            row["target"] = figure.target
            row["met"] = figure.met(value) and name not in self.failures
        limits = [each.sample.limit for each in samples if each.sample.limit is not None]
        if limits:
            row["limit"] = _rounded(statistics.median(limits))
            row["ratio"] = _rounded(value if figure.unit == "ratio" else value / row["limit"])
        first = samples[0].sample
        if first.peer is not None:
            row["peer"] = first.peer
            ours = self.median(first.compare_with or "")
            if ours is not None:
                row["ratio"] = _rounded(ours / value)
        return row

    def _conditions(self, samples: list[Measured], values: list[float]) -> str:
        middle = min(samples, key=lambda each: abs(each.sample.value - statistics.median(values)))
        sync = statistics.median(each.fdatasync_ms for each in samples)
        other = statistics.median(each.other_cores for each in samples)
        parts = [middle.sample.conditions] if middle.sample.conditions else []
        if len(values) > 1:
            parts.append(f"median of {len(values)}: {_short(values[0])} … {_short(values[-1])}")
        else:
            parts.append("one round only")
        parts.append(f"fdatasync {sync:.3f} ms, other load {other:.2f} core")
        faults = validity_faults(sync, other)
        if faults:
            parts.append("INVALID: " + ", ".join(faults))
        if self.quick:
            parts.append("QUICK: a smoke run, not a measurement")
        return "; ".join(parts)

    def _failed_row(self, name: str) -> dict[str, Any]:
        figure = FIGURES.get(name)
        row: dict[str, Any] = {"name": name, "value": None, "unit": figure.unit if figure else ""}
        row["conditions"] = f"NOT MEASURED: {self.failures[name]}"
        if figure is not None and figure.target is not None:
            row["target"] = figure.target
            row["met"] = False
        return row


def validity_faults(fdatasync_ms: float, other_cores: float) -> list[str]:
    faults = []
    if fdatasync_ms > FDATASYNC_LIMIT_MS:
        faults.append(f"fdatasync p50 {fdatasync_ms:.3f} > {FDATASYNC_LIMIT_MS} ms")
    if other_cores > OTHER_LOAD_LIMIT_CORES:
        faults.append(f"other load {other_cores:.2f} > {OTHER_LOAD_LIMIT_CORES} core")
    return faults


def _condition_row(
    name: str, value: float, unit: str, limit: float, conditions: str
) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "value": round(value, 4), "unit": unit}
    return {**row, "conditions": conditions, "target": limit, "met": value <= limit}


def _rounded(value: float) -> float:
    if abs(value) >= 1000:
        return float(round(value))
    return float(f"{value:.4g}")


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def write_json(rows: list[dict[str, Any]], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".json.tmp")
    fresh.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    fresh.replace(path)


def table(rows: list[dict[str, Any]]) -> str:
    """The rows for people: what, value, target, verdict, ratio; then each row's conditions."""
    lines = [_cells("what", "value", "unit", "target", "met", "ratio")]
    lines.append("-" * len(lines[0]))
    for row in rows:
        lines.append(_table_line(row))
    lines += ["", "Conditions"]
    lines += [f"  {row['name']}: {row['conditions']}" for row in rows if row["conditions"]]
    return "\n".join(lines)


def _table_line(row: dict[str, Any]) -> str:
    name = row["name"]
    figure = FIGURES.get(name)
    title = figure.title if figure else _titles.get(name, name)
    if "peer" in row:
        title = f"{row['peer']}: {row['name'].rsplit('_', 1)[-1]}"
    value = "–" if row["value"] is None else _short(row["value"])
    met = {True: "yes", False: "NO", None: ""}[row.get("met")]
    ratio = f"{row['ratio']:.2f}×" if "ratio" in row else ""
    return _cells(title, value, row["unit"], _target(row, figure), met, ratio)


_titles = {
    "fdatasync_p50": "condition: fdatasync p50",
    "other_load": "condition: other load",
}


def _target(row: dict[str, Any], figure: Figure | None) -> str:
    if "target" not in row:
        return ""
    sign = "≤" if figure is None else "<" if figure.at_most else "≥"
    return f"{sign} {row['target']:,g}"


def _cells(what: str, value: str, unit: str, target: str, met: str, ratio: str) -> str:
    return f"{what[:54]:<54} {value:>11} {unit:<8} {target:>10} {met:>4} {ratio:>8}"
