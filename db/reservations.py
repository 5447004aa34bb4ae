"""Reserving in SQL: the mark that makes it happen once or not at all, and the rows of what was promised."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from db import inventory
from db.models import Location, OrderContact, StepMark
from domain.inventory import StockChange
from domain.messages import StockReserved
from domain.sourcing import Site
from domain.vocabulary import MovementKind


async def claim(session: AsyncSession, step_key: str) -> StepMark | None:
    """Claim the step for this transaction; the mark of whoever came first when it is not ours.

    Waits for a transaction that has claimed the same key and not ended yet.
    """
    claimed = await session.execute(
        text(
            "INSERT INTO step_marks (step_key, undone) VALUES (:step_key, false)"
            " ON CONFLICT DO NOTHING RETURNING step_key"
        ),
        {"step_key": step_key},
    )
    if claimed.first() is not None:
        return None
    return (await session.execute(select(StepMark).where(StepMark.step_key == step_key))).scalar_one()


async def keep_result(session: AsyncSession, step_key: str, result: Mapping[str, Any]) -> None:
    """Keep the claimed step's result, for whoever asks again."""
    await session.execute(
        text("UPDATE step_marks SET result = CAST(:result AS jsonb) WHERE step_key = :step_key"),
        {"step_key": step_key, "result": orjson.dumps(result).decode()},
    )


async def sites(session: AsyncSession) -> list[Site]:
    """Every active location."""
    rows = await session.execute(
        select(Location.location_id, Location.latitude, Location.longitude, Location.priority).where(Location.active)
    )
    return [Site(**row) for row in rows.mappings()]


async def destination(session: AsyncSession, order_id: str, revision: int) -> tuple[float, float] | None:
    """Where the customer is, in degrees; None when that is not known."""
    found = await session.execute(
        select(OrderContact.latitude, OrderContact.longitude).where(
            OrderContact.order_id == order_id, OrderContact.revision == revision
        )
    )
    row = found.first()
    if row is None or row.latitude is None or row.longitude is None:
        return None
    return row.latitude, row.longitude


async def promise(
    session: AsyncSession, order_id: str, step_key: str, reserved: StockReserved, *, at: datetime
) -> None:
    """Write what *reserved* promises: reservations, movements and stock rows."""
    promised = [(planned, allocation) for planned in reserved.fulfillments for allocation in planned.allocations]
    await session.execute(
        text(
            "INSERT INTO reservations (order_id, fulfillment_id, line_id, location_id, sku, quantity)"
            " SELECT :order_id, r.* FROM unnest(CAST(:fulfillments AS text[]), CAST(:lines AS text[]),"
            " CAST(:locations AS text[]), CAST(:skus AS text[]), CAST(:quantities AS int[])) AS r"
        ),
        {
            "order_id": order_id,
            "fulfillments": [planned.fulfillment_id for planned, _ in promised],
            "lines": [allocation.line_id for _, allocation in promised],
            "locations": [planned.location_id for planned, _ in promised],
            "skus": [allocation.sku for _, allocation in promised],
            "quantities": [allocation.quantity for _, allocation in promised],
        },
    )
    await inventory.book(
        session,
        [
            StockChange(
                kind=MovementKind.RESERVED,
                location_id=planned.location_id,
                sku=allocation.sku,
                quantity=allocation.quantity,
            )
            for planned, allocation in promised
        ],
        cause=step_key,
        actor="order",
        at=at,
        rows_exist=True,
    )
