"""What the machine can do right now, so that figures of different days and machines can be compared; nothing of ours."""

import os
import platform
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

_FSYNCS = 100
_ROUNDS = 3
_TURNS = 300_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One look at the machine: fsync in ms, turns of a fixed Python loop per second on one core, load over a minute."""

    cores: int
    processor: str
    python: str
    fsync_p50_ms: float
    fsync_p99_ms: float
    loop_turns_per_second: int
    load_average: float


def look(folder: Path) -> Machine:
    """The machine as it is now; writes and removes one small file in *folder*. Takes about a second."""
    fsyncs = sorted(_fsyncs(folder / "fsync.probe"))
    return Machine(
        cores=os.cpu_count() or 1,
        processor=_processor(),
        python=platform.python_version(),
        fsync_p50_ms=round(statistics.median(fsyncs) * 1000, 2),
        fsync_p99_ms=round(fsyncs[int(len(fsyncs) * 0.99)] * 1000, 2),
        loop_turns_per_second=max(_loop() for _ in range(_ROUNDS)),
        load_average=load(),
    )


def load() -> float:
    """Processes that ran or wanted to, averaged over the last minute."""
    return round(os.getloadavg()[0], 2)


def _fsyncs(file: Path) -> list[float]:
    block = bytes(4096)
    seconds: list[float] = []
    try:
        with file.open("wb", buffering=0) as stream:
            for _ in range(_FSYNCS):
                began = time.perf_counter()
                stream.write(block)
                os.fsync(stream.fileno())
                seconds.append(time.perf_counter() - began)
    finally:
        file.unlink(missing_ok=True)
    return seconds


def _loop() -> int:
    began = time.perf_counter()
    table: dict[int, int] = {}
    for turn in range(_TURNS):
        table[turn & 1023] = table.get(turn & 511, 0) + turn
    return int(_TURNS / (time.perf_counter() - began))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
