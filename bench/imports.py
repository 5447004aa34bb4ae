"""The import of a data set through the HTTP API of a whole stack, until every order has ended."""

import asyncio
import importlib.util
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from bench import database, histories, probe, usage
from bench.database import Counters
from bench.report import shares
from cli import rows, stack
from cli.client import Client
from cli.importing import Import, Report
from cli.rows import Kind, Survey
from cli.up import running_stack
from contracts import names
from db.session import Sessions, create_sessions, dispose
from devstack.processes import Say
from devstack.stack import Stack, StackOptions
from runtime import engine, settings

_LOOK_EVERY = 0.25
_TELL_EVERY = 10.0
_STUCK_AFTER = 90.0
_CONCURRENCY = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Everything that is counted, at one time."""

    at: float
    cpu: Mapping[str, float]
    counters: Counters


async def measure(data_set: Path, folder: Path, say: Say) -> dict[str, Any]:
    """Orders per second end to end, and what one costs; the world takes no time over anything (speed 0)."""
    options = StackOptions(data=folder / "import", speed=0.0, env={"DOORSTEP_LOG_LEVEL": "WARNING"})
    async with running_stack(options, say) as running:
        sessions = create_sessions(running.info["database_url"], pool_size=2)
        try:
            return await _measure(data_set, running, sessions, say)
        finally:
            await dispose(sessions)


async def _measure(data_set: Path, running: Stack, sessions: Sessions, say: Say) -> dict[str, Any]:
    files = sorted(data_set.glob("*.jsonl"))
    counted = rows.survey(files)
    async with Client(stack.from_mapping(running.info), connections=_CONCURRENCY) as client:

        async def send(wanted: Callable[[Kind], bool], bad: int) -> Report:
            counts = Counter({place: lines for place, lines in counted.counts.items() if wanted(place[1])})
            return await Import(client, concurrency=_CONCURRENCY).run(files, Survey(counts=counts, bad=bad))

        catalogue = await send(lambda kind: kind is not Kind.ORDER, counted.bad)
        say(f"catalogue and stock: {catalogue.seconds:.1f} s, {catalogue.failed} lines failed")
        before = await _moment(running, sessions)
        sent = await send(lambda kind: kind is Kind.ORDER, 0)
    say(f"sent {sent.created[Kind.ORDER]} orders in {sent.seconds:.1f} s, {sent.failed} lines failed")
    ended_at = await _until_ended(sessions, say)
    after = await _moment(running, sessions)
    load = probe.load()
    standing = await database.standing(sessions)
    seconds = ended_at - before.at
    engine_client = await engine.connect_now(settings.load(running.environment))
    workflow_ids = [names.order_workflow_id(order_id) for order_id in await database.order_ids(sessions)]
    findings = await _findings(running)
    return {
        "data_set": data_set.name,
        "orders": standing.orders,
        "states": standing.states,
        "open": standing.open,
        "failures": [f"{line.place}: {line.reason}" for line in (catalogue.failures + sent.failures)[:20]],
        "catalogue_seconds": round(catalogue.seconds, 1),
        "sent_per_second": round(sent.created[Kind.ORDER] / sent.seconds, 2),
        "seconds": round(seconds, 1),
        "orders_per_second": round(standing.orders / seconds, 2),
        **_costs(before, after, standing.orders),
        "histories": asdict(await histories.lengths(engine_client, workflow_ids)),
        "load_average": load,
        "findings": findings,
        "good": standing.open == 0 and catalogue.failed + sent.failed == 0 and not findings,
    }


async def _findings(running: Stack) -> list[str] | None:
    """What the checker of the tests finds wrong with the stack; None where the tests are not there."""
    if importlib.util.find_spec("tests.invariants") is None:
        return None
    from tests.fixtures.shop import Shop
    from tests.invariants import check

    async with Shop(lambda: running.info, running.data) as shop:
        try:
            return [str(finding) for finding in await check(shop)]
        except AssertionError as unsettled:
            return [str(unsettled)]


async def _moment(running: Stack, sessions: Sessions) -> Moment:
    await asyncio.sleep(1.0)  # Sessions tell the database of their transactions up to a second late.
    counters = await database.counters(sessions)
    own = psutil.Process().cpu_times()
    cpu = usage.cpu_seconds(running.info["pids"]) | {"client": own.user + own.system}
    return Moment(at=time.monotonic(), cpu=cpu, counters=counters)


def _costs(before: Moment, after: Moment, orders: int) -> dict[str, Any]:
    counted = {
        name: round((value - asdict(before.counters)[name]) / max(1, orders), 1)
        for name, value in asdict(after.counters).items()
    }
    return {
        "cpu_ms_per_order": usage.per_order_ms(usage.since(before.cpu, after.cpu), orders),
        "per_order": counted,
    }


async def _until_ended(sessions: Sessions, say: Say) -> float:
    """When the last order ended; gives up when for a long time none did."""
    left, changed_at, told_at = -1, time.monotonic(), time.monotonic()
    while True:
        standing = await database.standing(sessions)
        now = time.monotonic()
        if standing.open != left:
            left, changed_at = standing.open, now
        if left == 0 or now - changed_at > _STUCK_AFTER:
            return changed_at
        if now - told_at > _TELL_EVERY:
            told_at = now
            say(f"{left} orders open")
        await asyncio.sleep(_LOOK_EVERY)


def show(result: Mapping[str, Any]) -> list[str]:
    """The figures for a person."""
    lengths, per_order = result["histories"], result["per_order"]
    return [
        f"import of {result['data_set']}: {result['orders']} orders in {result['seconds']} s ="
        f" {result['orders_per_second']} orders/s from the first POST to the last end"
        f" (taken at {result['sent_per_second']}/s), load average {result['load_average']}",
        f"states: {shares(result['states'])}; open: {result['open']}; failed lines: {len(result['failures'])}",
        f"CPU ms per order: {shares(result['cpu_ms_per_order'])}",
        f"per order: {lengths['events_p50']} events (p50; max {lengths['events_max']}), {lengths['bytes_p50']} bytes of"
        f" history (max {lengths['bytes_max']}), {per_order['transactions']} transactions,"
        f" {per_order['rows_written']} rows written, {per_order['wal_bytes']:.0f} bytes of WAL",
        "invariants: " + ("not checked" if result["findings"] is None else f"{len(result['findings'])} findings"),
        *(result["findings"] or [])[:20],
        *result["failures"],
    ]
