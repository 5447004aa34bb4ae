"""How figures are shown and kept: a plain table for a person, one JSON file per run; nothing is measured here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from bench.probe import Machine


def machine_lines(machine: Machine) -> list[str]:
    """The machine in two lines."""
    return [
        f"machine: {machine.cores} x {machine.processor}, Python {machine.python}, load average {machine.load_average}",
        f"probe: fsync p50 {machine.fsync_p50_ms} ms, p99 {machine.fsync_p99_ms} ms;"
        f" {machine.loop_turns_per_second / 1e6:.2f} M turns/s of a fixed Python loop on one core",
    ]


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """*rows* under *head*, columns as wide as they need."""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[place]) for row in cells) for place in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def shares(values: Mapping[str, float]) -> str:
    """Named figures on one line."""
    return ", ".join(f"{name} {value:g}" for name, value in values.items())


def write(folder: Path, at: datetime, machine: Machine, parts: Mapping[str, Any]) -> Path:
    """The file that keeps this run."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{at:%Y-%m-%dT%H%M%S}.json"
    content = {"at": at.isoformat(), "machine": asdict(machine), **parts}
    file.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    return file
