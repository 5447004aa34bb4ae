"""CPU seconds of the processes under measurement, children included, from one moment to another."""

import contextlib
from collections.abc import Mapping
from typing import Any

import psutil

Seconds = Mapping[str, float]


def cpu_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """Name -> CPU seconds used so far by the process and everything it started; a process that is gone counts nothing."""
    return {name: _of_tree(pid) for name, pid in pids.items()}


def since(before: Seconds, after: Seconds) -> dict[str, float]:
    """What was used between two looks; a process that was replaced in between counts from its own start."""
    return {
        name: after[name] - (before.get(name, 0.0) if after[name] >= before.get(name, 0.0) else 0.0) for name in after
    }


def per_order_ms(used: Seconds, orders: int) -> dict[str, float]:
    """CPU milliseconds per order by process, and their sum as ``all``."""
    shares = {name: round(seconds * 1000 / max(1, orders), 1) for name, seconds in used.items()}
    return {**shares, "all": round(sum(used.values()) * 1000 / max(1, orders), 1)}


def _of_tree(pid: int) -> float:
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    total = 0.0
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += _seconds(process.cpu_times())
    return total


def _seconds(times: Any) -> float:
    # What children that have ended used is their parent's: sessions of PostgreSQL come and go.
    ended = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return float(times.user + times.system + ended)
