"""`make bench`: every measurement, or those named; a table for a person and a JSON file to compare with."""

import argparse
import asyncio
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import imports, probe, ratio, report, streams

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("import", "ratio", "streams")


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"what to measure: {', '.join(PARTS)} (default: all)")
    parser.add_argument("--data-set", type=Path, default=ROOT / "examples", help="folder of import files")
    parser.add_argument("--orders", type=int, default=ratio.Plan().orders, help="orders in a round of B1 or B2")
    parser.add_argument("--rounds", type=int, default=ratio.Plan().rounds, help="rounds of each of B1 and B2")
    parser.add_argument("--lanes", type=int, default=ratio.Plan().lanes, help="orders at a time in B1 and B2")
    parser.add_argument("--streams", type=int, default=streams.Plan().streams, help="open streams in streams")
    parser.add_argument("--rate", type=float, default=streams.Plan().rate, help="orders a second in streams")
    parser.add_argument("--results", type=Path, default=ROOT / "bench" / "results", help="folder for the JSON file")
    found = parser.parse_args()
    if unknown := [part for part in found.parts if part not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    if not found.data_set.is_dir():
        parser.error(f"no such folder: {found.data_set}")
    return found


async def run(wanted: argparse.Namespace) -> bool:
    """Measure, print, keep; whether everything ended as it must."""
    parts = wanted.parts or PARTS
    results: dict[str, Any] = {}
    good = True
    with tempfile.TemporaryDirectory(prefix="doorstep-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL may run as another user than we do.
        machine = probe.look(folder)
        print("\n".join(report.machine_lines(machine)), flush=True)
        if "import" in parts:
            results["import"] = await imports.measure(wanted.data_set, folder, _say)
            print("\n" + "\n".join(imports.show(results["import"])), flush=True)
            good = good and bool(results["import"]["good"])
        if "ratio" in parts:
            plan = ratio.Plan(orders=wanted.orders, rounds=wanted.rounds, lanes=wanted.lanes)
            results["ratio"] = await ratio.measure(folder, plan, _say)
            print("\n" + "\n".join(ratio.show(results["ratio"])), flush=True)
        if "streams" in parts:
            open_streams = streams.Plan(streams=wanted.streams, rate=wanted.rate)
            results["streams"] = await streams.measure(folder, open_streams, _say)
            print("\n" + "\n".join(streams.show(results["streams"])), flush=True)
    file = report.write(wanted.results, datetime.now(UTC), machine, results)
    print(f"\nkept in {file}", flush=True)
    return good


def _say(line: str) -> None:
    print(f"  {line}", flush=True)


def main() -> None:
    """Run; leave by ``os._exit``, for a process that used the Temporal SDK can crash at its very end."""
    good = asyncio.run(run(arguments()))
    sys.stdout.flush()
    os._exit(0 if good else 1)


if __name__ == "__main__":
    main()
