"""The queue of units that wait for stock, in SQL: joined, served in promise order where stock becomes free, left."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import names
from db.models import Backorder
from domain import names as parts
from domain.inventory import DELTAS, StockChange
from domain.vocabulary import MovementKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Units of one order line that wait."""

    line_id: str
    sku: str
    quantity: int


async def join(
    session: AsyncSession,
    order_id: str,
    lines: Sequence[Waiting],
    *,
    priority: int,
    received_at: datetime,
    queued_by: str,
) -> None:
    """Queue *lines* of the order, behind those of a higher priority and those received before.

    *queued_by* is the key of the attempt to reserve: whoever is served must know whether that attempt still counts.
    """
    if lines:
        await session.execute(
            insert(Backorder).values(
                [
                    {
                        "order_id": order_id,
                        "line_id": line.line_id,
                        "sku": line.sku,
                        "quantity": line.quantity,
                        "priority": priority,
                        "received_at": received_at,
                        "queued_by": queued_by,
                    }
                    for line in lines
                ]
            )
        )


async def queued(session: AsyncSession, skus: Collection[str]) -> dict[str, int]:
    """Sku -> units that orders wait for."""
    found = await session.execute(
        text("SELECT sku, sum(quantity) AS units FROM backorders WHERE sku = ANY(:skus) GROUP BY sku"),
        {"skus": list(skus)},
    )
    return {row.sku: int(row.units) for row in found}


def frees(changes: Iterable[StockChange]) -> list[tuple[str, str]]:
    """The (location, sku) where *changes* leave more to promise than before."""
    gained: dict[tuple[str, str], int] = {}
    for change in changes:
        delta = DELTAS[change.kind]
        place = (change.location_id, change.sku)
        per_unit = delta.on_hand - delta.reserved - delta.unavailable
        gained[place] = gained.get(place, 0) + per_unit * change.quantity
    return sorted(place for place, units in gained.items() if units > 0)


_AVAILABLE = text(
    "SELECT s.location_id, s.sku, s.on_hand - s.reserved - s.unavailable - p.safety_stock AS available"
    " FROM stock s JOIN products p USING (sku) JOIN locations l USING (location_id)"
    " JOIN unnest(CAST(:locations AS text[]), CAST(:skus AS text[])) AS w(location_id, sku)"
    " ON s.location_id = w.location_id AND s.sku = w.sku"
    " WHERE l.active AND EXISTS (SELECT 1 FROM backorders b WHERE b.sku = s.sku) ORDER BY s.location_id, s.sku"
)
# Every row waits for one unit at least, so no more rows than units can be served.
_HEAD = text(
    "SELECT order_id, line_id, quantity, queued_by FROM backorders WHERE sku = :sku"
    " ORDER BY priority DESC, received_at, order_id, line_id LIMIT :available FOR UPDATE"
)


@dataclass
class _Serving:
    """What one order gets at one location."""

    order_id: str
    location_id: str
    queued_by: str
    lines: list[Waiting] = field(default_factory=list)


async def serve(session: AsyncSession, places: Sequence[tuple[str, str]], *, at: datetime) -> list[StockChange]:
    """Promise what is free at *places*, whose stock rows the caller has locked, to those who wait; answers what to book.

    In promise order, units at a time: a new order never overtakes, and whoever is first gets what comes. Each order that
    is served hears of it by a signal in the same transaction.
    """
    found = await session.execute(
        _AVAILABLE, {"locations": [place[0] for place in places], "skus": [place[1] for place in places]}
    )
    servings: dict[tuple[str, str], _Serving] = {}
    for row in found.all():
        if row.available > 0:
            await _serve_place(session, row.location_id, row.sku, row.available, servings)
    changes: list[StockChange] = []
    for serving in servings.values():
        changes += await _promise(session, serving, at=at)
    return changes


async def _serve_place(
    session: AsyncSession,
    location_id: str,
    sku: str,
    available: int,
    servings: dict[tuple[str, str], _Serving],
) -> None:
    left = available
    for row in (await session.execute(_HEAD, {"sku": sku, "available": available})).all():
        units = min(left, row.quantity)
        if units == 0:
            break
        left -= units
        await _take(session, row.order_id, row.line_id, units)
        serving = servings.setdefault(
            (row.order_id, location_id),
            _Serving(order_id=row.order_id, location_id=location_id, queued_by=row.queued_by),
        )
        serving.lines.append(Waiting(line_id=row.line_id, sku=sku, quantity=units))


async def _take(session: AsyncSession, order_id: str, line_id: str, units: int) -> None:
    """Take *units* off a row of the queue, which is locked; a row with none left is gone."""
    key = {"order_id": order_id, "line_id": line_id, "units": units}
    await session.execute(
        text("DELETE FROM backorders WHERE order_id = :order_id AND line_id = :line_id AND quantity <= :units"),
        key,
    )
    await session.execute(
        text("UPDATE backorders SET quantity = quantity - :units WHERE order_id = :order_id AND line_id = :line_id"),
        key,
    )


_SERVED = text(
    """
    WITH served AS (
        INSERT INTO reservations (order_id, fulfillment_id, line_id, location_id, sku, quantity)
        SELECT :order_id, :fulfillment_id, w.line_id, :location_id, w.sku, w.quantity
        FROM unnest(CAST(:lines AS text[]), CAST(:skus AS text[]), CAST(:quantities AS int[])) AS w(line_id, sku, quantity)
    )
    INSERT INTO outbox (workflow_id, order_id, kind, name, payload)
    VALUES (:workflow_id, :order_id, 'signal', :signal, CAST(:payload AS jsonb))
    """
)


async def _promise(session: AsyncSession, serving: _Serving, *, at: datetime) -> list[StockChange]:
    number = (await session.execute(text("SELECT nextval('backorder_servings')"))).scalar_one()
    fulfillment_id = parts.served_fulfillment_id(serving.order_id, number)
    payload = {
        "id": f"serving/{number}",
        "fulfillment_id": fulfillment_id,
        "location_id": serving.location_id,
        "lines": [{"line_id": line.line_id, "quantity": line.quantity} for line in serving.lines],
        "occurred_at": at,
        "queued_by": serving.queued_by,
    }
    await session.execute(
        _SERVED,
        {
            "order_id": serving.order_id,
            "fulfillment_id": fulfillment_id,
            "location_id": serving.location_id,
            "lines": [line.line_id for line in serving.lines],
            "skus": [line.sku for line in serving.lines],
            "quantities": [line.quantity for line in serving.lines],
            "workflow_id": names.order_workflow_id(serving.order_id),
            "signal": names.STOCK_SERVED,
            "payload": orjson.dumps(payload).decode(),
        },
    )
    return [
        StockChange(kind=MovementKind.RESERVED, location_id=serving.location_id, sku=line.sku, quantity=line.quantity)
        for line in serving.lines
    ]


async def leave(
    session: AsyncSession, order_id: str, lines: Sequence[Waiting], *, known: Collection[str]
) -> list[StockChange]:
    """Take the order's units off the queue; answers what to book for those that were served and not heard of yet.

    *known* are the fulfillments that the order had heard of when it gave the units up.
    """
    changes: list[StockChange] = []
    for line in lines:
        queued_now = await session.scalar(
            select(Backorder.quantity)
            .where(Backorder.order_id == order_id, Backorder.line_id == line.line_id)
            .with_for_update()
        )
        off = min(line.quantity, queued_now or 0)
        if off:
            await _take(session, order_id, line.line_id, off)
        changes += await _unheard(session, order_id, line.line_id, line.quantity - off, known)
    return changes


async def _unheard(
    session: AsyncSession, order_id: str, line_id: str, units: int, known: Collection[str]
) -> list[StockChange]:
    if units == 0:
        return []
    rows = await session.execute(
        text(
            "SELECT fulfillment_id, location_id, sku, quantity FROM reservations"
            " WHERE order_id = :order_id AND line_id = :line_id AND quantity > 0 AND NOT (fulfillment_id = ANY(:known))"
            " ORDER BY location_id, sku, fulfillment_id FOR UPDATE"
        ),
        {"order_id": order_id, "line_id": line_id, "known": list(known)},
    )
    changes: list[StockChange] = []
    left = units
    for row in rows.all():
        back = min(left, row.quantity)
        left -= back
        await session.execute(
            text(
                "UPDATE reservations SET quantity = quantity - :back"
                " WHERE order_id = :order_id AND fulfillment_id = :fulfillment_id AND line_id = :line_id"
            ),
            {"back": back, "order_id": order_id, "fulfillment_id": row.fulfillment_id, "line_id": line_id},
        )
        if back:
            changes.append(
                StockChange(kind=MovementKind.UNRESERVED, location_id=row.location_id, sku=row.sku, quantity=back)
            )
    return changes
