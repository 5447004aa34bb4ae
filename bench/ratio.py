"""B2/B1: our order against the engine alone, in turns on the same stack; the world answers at once on both sides."""

import statistics
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from temporalio.client import Client

from bench import database, histories, probe, usage
from bench.child import Child, running
from bench.drive import Run, Side, drive
from bench.report import shares, table
from bench.sides import BareSide, OrderSide
from cli.up import running_stack
from contracts import names
from db.session import Sessions, create_sessions, dispose
from devstack.processes import Say
from devstack.stack import Stack, StackOptions
from runtime import engine, settings
from runtime.dispatch import Dispatcher

_QUEUES = {"bare": "bench-bare", "order": "bench-order"}
_WARM_UP = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured: *rounds* of each side, *orders* in each, *lanes* at a time."""

    orders: int = 150
    rounds: int = 3
    lanes: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What both sides run on."""

    client: Client
    sessions: Sessions
    children: Mapping[str, Child]
    sides: Mapping[str, Side]
    pids: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One turn of one side."""

    side: str
    per_second: float
    cpu_ms_per_order: Mapping[str, float]
    load_average: float
    statements_per_order: float | None = None
    transactions_per_order: float | None = None
    wal_bytes_per_order: int | None = None


async def measure(folder: Path, plan: Plan, say: Say) -> dict[str, Any]:
    """Rounds of both sides in turns, their ratio, and the length of their histories."""
    async with _open(folder, say) as bench:
        for name, side in bench.sides.items():
            await drive(side, orders=_WARM_UP, lanes=plan.lanes)
            say(f"{name}: warm")
        rounds: list[Round] = []
        ran: dict[str, list[str]] = {name: [] for name in bench.sides}
        for _ in range(plan.rounds):
            for name in bench.sides:
                one, orders = await _round(bench, name, plan)
                ran[name] += orders
                rounds.append(one)
                say(f"{name}: {one.per_second:.2f} orders/s, CPU ms per order: {shares(one.cpu_ms_per_order)}")
        lengths = {
            name: await histories.lengths(bench.client, [_workflow_id(name, order) for order in orders], most=20)
            for name, orders in ran.items()
        }
    return {"plan": asdict(plan), "rounds": [asdict(one) for one in rounds], **summary(rounds)} | {
        "histories": {name: asdict(length) for name, length in lengths.items()}
    }


def summary(rounds: list[Round]) -> dict[str, Any]:
    """The ratio of each pair of neighbours, and their median."""
    bare = [one.per_second for one in rounds if one.side == "bare"]
    order = [one.per_second for one in rounds if one.side == "order"]
    ratios = [round(ours / theirs, 3) for theirs, ours in zip(bare, order, strict=True)]
    return {
        "bare_per_second": round(statistics.median(bare), 2),
        "order_per_second": round(statistics.median(order), 2),
        "ratios": ratios,
        "ratio": round(statistics.median(ratios), 3),
        "cpu_ratio": round(_cpu(rounds, "bare") / _cpu(rounds, "order"), 3),
    }


def _cpu(rounds: list[Round], side: str) -> float:
    return statistics.median(one.cpu_ms_per_order["all"] for one in rounds if one.side == side)


def show(result: Mapping[str, Any]) -> list[str]:
    """The figures for a person."""
    rows = [
        [
            {"bare": "B1 bare", "order": "B2 order"}[one["side"]],
            f"{one['per_second']:.2f}",
            shares(one["cpu_ms_per_order"]),
            one["load_average"],
        ]
        for one in result["rounds"]
    ]
    lengths = result["histories"]
    lasts = [one for one in result["rounds"] if one["side"] == "order"]
    plan = result["plan"]
    return [
        f"B2/B1 = {result['ratio']} (pairs {', '.join(map(str, result['ratios']))}; the bar is 0.8),"
        f" {plan['orders']} orders a round, {plan['lanes']} at a time",
        f"the same by CPU time, which other work on the machine disturbs less: {result['cpu_ratio']}",
        *table(["side", "orders/s", "CPU ms per order", "load"], rows),
        *(
            f"{name}: {length['events_p50']} events, {length['bytes_p50']} bytes of history per order"
            for name, length in lengths.items()
        ),
        f"order, in the worker: {lasts[-1]['statements_per_order']} SQL statements; with the driver's:"
        f" {lasts[-1]['transactions_per_order']} transactions, {lasts[-1]['wal_bytes_per_order']} bytes of WAL per order",
    ]


@asynccontextmanager
async def _open(folder: Path, say: Say) -> AsyncIterator[Bench]:
    options = StackOptions(data=folder / "ratio", hands_off=True, env={"DOORSTEP_LOG_LEVEL": "WARNING"})
    async with AsyncExitStack() as opened:
        stack = await opened.enter_async_context(running_stack(options, say))
        for name in ("worker", "api", "world"):
            await stack.stop_child(name)
        sessions = create_sessions(stack.info["database_url"], pool_size=10)
        opened.push_async_callback(dispose, sessions)
        await database.stop_webhooks(sessions)
        client = await engine.connect_now(settings.load(stack.environment))
        children = {
            name: await opened.enter_async_context(running(name, _environment(stack, queue), folder / f"{name}.log"))
            for name, queue in _QUEUES.items()
        }
        rows = await opened.enter_async_context(database.rows(stack.info["database_url"]))
        order = OrderSide(sessions, Dispatcher(sessions, client, _QUEUES["order"]), rows)
        await order.prepare()
        yield Bench(
            client=client,
            sessions=sessions,
            children=children,
            sides={"bare": BareSide(client, children["bare"], _QUEUES["bare"]), "order": order},
            pids={name: stack.info["pids"][name] for name in ("temporal", "postgres")},
        )


def _environment(stack: Stack, queue: str) -> dict[str, str]:
    return stack.environment | {"DOORSTEP_TASK_QUEUE": queue}


async def _round(bench: Bench, name: str, plan: Plan) -> tuple[Round, list[str]]:
    await database.vacuum(bench.sessions)
    pids = {**bench.pids, "worker": bench.children[name].pid}
    driver = psutil.Process()
    before, own, rows = usage.cpu_seconds(pids), driver.cpu_times(), await database.counters(bench.sessions)
    statements = await bench.children["order"].statements()
    run: Run = await drive(bench.sides[name], orders=plan.orders, lanes=plan.lanes)
    used = usage.since(before, usage.cpu_seconds(pids))
    spent = driver.cpu_times()
    used["driver"] = spent.user + spent.system - own.user - own.system
    statements = await bench.children["order"].statements() - statements
    after = await database.counters(bench.sessions)
    ours = name == "order"
    return Round(
        side=name,
        per_second=round(run.per_second, 2),
        cpu_ms_per_order=usage.per_order_ms(used, plan.orders),
        load_average=probe.load(),
        statements_per_order=round(statements / plan.orders, 1) if ours else None,
        transactions_per_order=round((after.transactions - rows.transactions) / plan.orders, 1) if ours else None,
        wal_bytes_per_order=round((after.wal_bytes - rows.wal_bytes) / plan.orders) if ours else None,
    ), list(run.orders)


def _workflow_id(side: str, order: str) -> str:
    return names.order_workflow_id(order) if side == "order" else order
