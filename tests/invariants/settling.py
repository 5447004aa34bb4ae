"""Waiting until a stack has nothing under way: every fact applied, every row sent, every activity done."""

import asyncio
from collections.abc import Collection

from temporalio.service import RPCError, RPCStatusCode

from contracts import names
from tests.fixtures.shop import Shop
from tests.fixtures.waiting import until

_UNDER_WAY = {
    "outbox rows": "SELECT count(*) FROM outbox WHERE parked_at IS NULL",
    "events without a place": "SELECT count(*) FROM order_events WHERE position IS NULL",
    "webhooks": "SELECT count(*) FROM webhook_deliveries WHERE delivered_at IS NULL",
    "operations": "SELECT count(*) FROM operations WHERE state = 'sending'",
    "facts": """SELECT count(*) FROM inbox i JOIN orders o USING (order_id)
        WHERE i.signal <> 'none' AND o.closed_at IS NULL
        AND NOT coalesce(o.snapshot->'seen', '[]'::jsonb) ? (i.fact->>'id')
        AND NOT EXISTS (SELECT 1 FROM jsonb_array_elements(coalesce(o.snapshot->'parked', '[]'::jsonb)) p
                        WHERE p->'fact'->>'id' = i.fact->>'id')""",
}


async def settle(shop: Shop, order_ids: Collection[str] | None = None, *, within: float = 30.0) -> None:
    """Return once nothing of the stack's own is under way; what others owe (a warehouse, a customer) may be open.

    Raises:
        AssertionError: something still is *within* seconds; it is named.
    """
    left: dict[str, int] = {}

    async def quiet() -> bool:
        left.clear()
        left.update(await _left_in_database(shop))
        if not left:
            left.update(await _left_in_engine(shop, order_ids))
        if not left:  # A step that ended meanwhile may have left a row.
            left.update(await _left_in_database(shop))
        return not left

    try:
        await until(quiet, "nothing to be under way", within=within)
    except AssertionError as error:
        raise AssertionError(f"{error}; still there: {left}") from None


async def _left_in_database(shop: Shop) -> dict[str, int]:
    connection = await shop.database()
    try:
        counts = {name: await connection.fetchval(query) for name, query in _UNDER_WAY.items()}
    finally:
        await connection.close()
    return {name: count for name, count in counts.items() if count}


async def _left_in_engine(shop: Shop, order_ids: Collection[str] | None) -> dict[str, int]:
    """Open orders whose workflow has a task or an activity under way."""
    rows = await shop.rows("SELECT order_id FROM orders WHERE closed_at IS NULL ORDER BY order_id")
    wanted = [row["order_id"] for row in rows if order_ids is None or row["order_id"] in order_ids]
    busy = await asyncio.gather(*(_is_busy(shop, order_id) for order_id in wanted))
    return {order_id: 1 for order_id, is_busy in zip(wanted, busy, strict=True) if is_busy}


async def _is_busy(shop: Shop, order_id: str) -> bool:
    client = await shop.temporal()
    try:
        found = (await client.get_workflow_handle(names.order_workflow_id(order_id)).describe()).raw_description
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return True
        raise
    return bool(found.pending_activities) or found.HasField("pending_workflow_task")
