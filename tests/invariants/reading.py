"""Reads the books of a running stack: PostgreSQL in one snapshot, then the world over HTTP, then the engine."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

import asyncpg
import orjson
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer

from contracts import names
from runtime.wire import data_converter
from tests.fixtures.bodies import MARK, PHONE, TOKENS
from tests.fixtures.shop import Shop
from tests.invariants.books import Books, Execution, Row
from workers.wiring import runner
from workflows.orders import OrderWorkflow

AT_ONCE = 8
SHORTEST_CANARY = 6
# Of so many orders, views and histories are read one by one; of more, an even sample.
MOST_READ = 40

_ORDERS = """SELECT order_id, channel, source, order_ref, state, owner, next_step, due_at, snapshot, request,
    row_attention, version, last_sequence, replaces, received_at, closed_at FROM orders WHERE order_id = ANY($1)"""
_EVENTS = """SELECT order_id, sequence, kind, actor_kind, actor_id, data, cause_id FROM order_events
    WHERE order_id = ANY($1) ORDER BY order_id, sequence"""
_WHOLE = {
    "parked": "SELECT order_id, kind, last_error FROM outbox WHERE parked_at IS NOT NULL",
    "undelivered": "SELECT delivery_id FROM webhook_deliveries WHERE delivered_at IS NULL",
    "stock": "SELECT location_id, sku, on_hand, reserved, unavailable FROM stock",
    "movements": "SELECT location_id, sku, kind, quantity, cause FROM stock_movements ORDER BY movement_id",
    "reservations": "SELECT order_id, location_id, sku, quantity FROM reservations WHERE quantity > 0",
    "operations": "SELECT key, order_id, kind, state, amount_minor, currency, reference, result FROM operations",
}
# What may carry nothing personal, as text.
_TOLD = {
    "outbox": "SELECT coalesce(payload::text, '') || workflow_id || coalesce(last_error, '') FROM outbox",
    "inbox": "SELECT fact::text FROM inbox WHERE order_id = ANY($1)",
    "order_events": "SELECT data::text || coalesce(actor_id, '') FROM order_events WHERE order_id = ANY($1)",
    "orders.snapshot": "SELECT snapshot::text || row_attention::text FROM orders WHERE order_id = ANY($1)",
    "orders.request": "SELECT request::text FROM orders WHERE order_id = ANY($1)",
    "operations": "SELECT request::text || coalesce(result::text, '') FROM operations WHERE order_id = ANY($1)",
    "step_marks": "SELECT coalesce(result::text, '') FROM step_marks",
    "webhook_deliveries": "SELECT coalesce(last_error, '') || delivery_id FROM webhook_deliveries",
    "stock_movements": "SELECT cause || actor FROM stock_movements",
}
_CONTACTS = """SELECT name, email, phone, note, gift->>'message' AS gift, shipping_address->'lines' AS lines,
    shipping_address->>'name' AS receiver FROM order_contacts WHERE order_id = ANY($1)"""


async def read_books(shop: Shop, order_ids: Collection[str] | None) -> Books:
    """The books of *order_ids*, or of every order; what is no order's own is always read whole."""
    connection = await shop.database()
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            wanted = list(order_ids) if order_ids is not None else await _all_ids(connection)
            ours = await _read_rows(connection, wanted)
            texts = await _read_texts(connection, wanted)
            canaries = await _read_canaries(connection, wanted)
    finally:
        await connection.close()
    entries, heard = await shop.ledger(), await shop.heard()
    sample = _sample(wanted)
    views = await asyncio.gather(*(shop.view(order_id) for order_id in sample))
    executions, unreplayable = await _read_engine(await shop.temporal(), wanted, with_history=frozenset(sample))
    texts |= _logs(shop) | {f"workflow of {order_id}": _told_by(found) for order_id, found in executions.items()}
    texts["metrics"] = (await shop.http.get(f"{shop.info['api_url']}/metrics")).content
    info = shop.info
    secrets = {*info["keys"].values(), *info["carrier_secrets"].values(), info["stripe_webhook_secret"]}
    return Books(
        **ours,
        accepted={order_id: shop.accepted[order_id] for order_id in shop.accepted if _asked(order_id, order_ids)},
        entries=tuple(entries),
        heard=tuple(heard),
        views={view["order_id"]: view for view in views},
        executions=executions,
        unreplayable=tuple(unreplayable),
        texts=texts,
        canaries=frozenset({MARK, MARK.lower(), PHONE, TOKENS} | canaries | secrets),
        engine_lost_at=shop.engine_lost_at,
    )


def _asked(order_id: str, order_ids: Collection[str] | None) -> bool:
    return order_ids is None or order_id in order_ids


def _sample(order_ids: list[str]) -> list[str]:
    return order_ids[:: -(-len(order_ids) // MOST_READ)] if order_ids else []


async def _all_ids(connection: asyncpg.Connection) -> list[str]:
    return [row["order_id"] for row in await connection.fetch("SELECT order_id FROM orders ORDER BY order_id")]


async def _read_rows(connection: asyncpg.Connection, wanted: list[str]) -> dict[str, Any]:
    events: dict[str, list[Row]] = defaultdict(list)
    for row in await connection.fetch(_EVENTS, wanted):
        events[row["order_id"]].append(dict(row))
    archived = await connection.fetch(
        "SELECT order_id, count(*) AS times FROM order_archive WHERE order_id = ANY($1) GROUP BY order_id", wanted
    )
    feed = await connection.fetchrow(
        "SELECT count(position) AS stamped, coalesce(max(position), 0) AS last FROM order_events"
    )
    whole = {name: tuple(map(dict, await connection.fetch(query))) for name, query in _WHOLE.items()}
    return {
        "orders": tuple(map(dict, await connection.fetch(_ORDERS, wanted))),
        "events": {order_id: tuple(found) for order_id, found in events.items()},
        "archived": {row["order_id"]: row["times"] for row in archived},
        "positions": (feed["stamped"], feed["last"]) if feed is not None else (0, 0),
        **whole,
    }


async def _read_texts(connection: asyncpg.Connection, wanted: list[str]) -> dict[str, bytes]:
    texts: dict[str, bytes] = {}
    for name, query in _TOLD.items():
        rows = await connection.fetch(query, *([wanted] if "$1" in query else []))
        texts[name] = "\n".join(row[0] for row in rows).encode()
    return texts


async def _read_canaries(connection: asyncpg.Connection, wanted: list[str]) -> set[str]:
    """What customers of other data than the tests' own would be recognised by."""
    found: set[str] = set()
    for row in await connection.fetch(_CONTACTS, wanted):
        for value in row.values():
            found.update(map(str, value if isinstance(value, list) else [value] if value else []))
    return {text for text in found if len(text) >= SHORTEST_CANARY and MARK.lower() not in text.lower()}


def _logs(shop: Shop) -> dict[str, bytes]:
    return {f"logs/{log.name}": log.read_bytes() for log in sorted((shop.data / "logs").glob("*.log"))}


def _told_by(execution: Execution) -> bytes:
    events = (event.SerializeToString() for history in execution.histories for event in history.events)
    return b"\n".join([execution.shown, *events])


async def _read_engine(
    client: Client, wanted: Iterable[str], *, with_history: frozenset[str]
) -> tuple[dict[str, Execution], list[str]]:
    """What the engine has of the orders, and which of their histories do not replay on this code."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def read(order_id: str) -> tuple[str, Execution | None]:
        async with slots:
            return order_id, await _read_execution(client, order_id, with_history=order_id in with_history)

    pairs = await asyncio.gather(*(read(order_id) for order_id in wanted))
    found = {order_id: execution for order_id, execution in pairs if execution is not None}
    return found, await _replay([history for execution in found.values() for history in execution.histories])


async def _read_execution(client: Client, order_id: str, *, with_history: bool) -> Execution | None:
    workflow_id = names.order_workflow_id(order_id)
    try:
        described = await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    histories = await _histories(client, described) if with_history else []
    firsts = {described.raw_description.workflow_execution_info.first_run_id}
    firsts |= {_start_of(history).first_execution_run_id for history in histories}
    return Execution(
        status=described.status.name if described.status is not None else "UNKNOWN",
        result=_result(described, histories[-1]) if histories else None,
        first_run_ids=frozenset(firsts),
        histories=tuple(histories),
        shown=described.raw_description.SerializeToString(),
        task_attempt=described.raw_description.pending_workflow_task.attempt,
    )


async def _histories(client: Client, described: WorkflowExecutionDescription) -> list[WorkflowHistory]:
    """The history of every run, oldest first."""
    histories: list[WorkflowHistory] = []
    run_id = described.run_id
    while run_id:
        histories.insert(0, await client.get_workflow_handle(described.id, run_id=run_id).fetch_history())
        run_id = _start_of(histories[0]).continued_execution_run_id
    return histories


def _start_of(history: WorkflowHistory) -> Any:
    return history.events[0].workflow_execution_started_event_attributes


def _result(described: WorkflowExecutionDescription, history: WorkflowHistory) -> str | None:
    if described.status is not WorkflowExecutionStatus.COMPLETED:
        return None
    [payload] = history.events[-1].workflow_execution_completed_event_attributes.result.payloads
    result: str = orjson.loads(payload.data)
    return result


async def _replay(histories: list[WorkflowHistory]) -> list[str]:
    replayer = Replayer(workflows=[OrderWorkflow], workflow_runner=runner(), data_converter=data_converter)
    failures: list[str] = []
    for history in histories:
        result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        if result.replay_failure is not None:
            failures.append(f"{history.workflow_id} does not replay: {result.replay_failure}")
    return failures
