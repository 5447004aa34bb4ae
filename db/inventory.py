"""Stock in SQL: the movement ledger and the stock rows that follow it, locked in (location, sku) order; no rules."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import DateTime, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db import backorders
from db.models import Product, Stock
from domain.inventory import DELTAS, StockChange, StockLevel
from domain.vocabulary import MovementKind


async def lock_stock(session: AsyncSession, skus: Sequence[str]) -> list[StockLevel]:
    """The stock rows of *skus* at every active location, locked in (location, sku) order until the transaction ends."""
    rows = await session.execute(
        text(
            "SELECT s.location_id, s.sku, s.on_hand, s.reserved, s.unavailable, p.safety_stock"
            " FROM stock s JOIN products p USING (sku) JOIN locations l USING (location_id)"
            " WHERE s.sku = ANY(:skus) AND l.active ORDER BY s.location_id, s.sku FOR UPDATE OF s"
        ),
        {"skus": list(dict.fromkeys(skus))},
    )
    return [StockLevel(**row) for row in rows.mappings()]


async def book(
    session: AsyncSession,
    changes: Sequence[StockChange],
    *,
    cause: str,
    actor: str,
    at: datetime,
    rows_exist: bool = False,
) -> list[StockChange]:
    """Write *changes* to the ledger and their sums to the stock rows; answers those that were new.

    Idempotent on (*cause*, kind, location, sku): a movement booked before changes nothing again. Rows that are missing are
    made, unless the caller knows that *rows_exist*, which saves a statement. What becomes free is promised at once to the
    orders that wait for it.

    Raises:
        IntegrityError: a stock row would be oversold or negative.
    """
    merged = _merge(changes)
    if not merged:
        return []
    places = sorted({(change.location_id, change.sku) for change in merged})
    if not rows_exist:
        await make_rows(session, places)
    await _lock(session, places)
    deltas = [DELTAS[change.kind] for change in merged]
    booked = await session.execute(
        _BOOK,
        {
            "locations": [change.location_id for change in merged],
            "skus": [change.sku for change in merged],
            "kinds": [change.kind.value for change in merged],
            "quantities": [change.quantity for change in merged],
            "on_hand": [delta.on_hand for delta in deltas],
            "reserved": [delta.reserved for delta in deltas],
            "unavailable": [delta.unavailable for delta in deltas],
            "cause": cause,
            "actor": actor,
            "at": at,
        },
    )
    fresh = [
        StockChange(kind=MovementKind(row.kind), location_id=row.location_id, sku=row.sku, quantity=row.quantity)
        for row in booked
    ]
    if places := backorders.frees(fresh):
        promised = await backorders.serve(session, places, at=at)
        await book(session, promised, cause=f"{cause}/served", actor="queue", at=at, rows_exist=True)
    return fresh


# One statement, and text: a multi-row insert of the ORM is compiled anew for every call.
_BOOK = text(
    """
    WITH changes AS (
        SELECT * FROM unnest(CAST(:locations AS text[]), CAST(:skus AS text[]), CAST(:kinds AS text[]),
            CAST(:quantities AS int[]), CAST(:on_hand AS int[]), CAST(:reserved AS int[]), CAST(:unavailable AS int[]))
            AS c(location_id, sku, kind, quantity, on_hand, reserved, unavailable)
    ), fresh AS (
        INSERT INTO stock_movements (location_id, sku, kind, quantity, cause, actor, at)
        SELECT location_id, sku, kind, quantity, :cause, :actor, :at FROM changes
        ON CONFLICT ON CONSTRAINT stock_movements_once DO NOTHING
        RETURNING location_id, sku, kind, quantity
    ), sums AS (
        SELECT location_id, sku, sum(c.on_hand * c.quantity) AS on_hand, sum(c.reserved * c.quantity) AS reserved,
            sum(c.unavailable * c.quantity) AS unavailable
        FROM changes c JOIN fresh USING (location_id, sku, kind) GROUP BY location_id, sku
    ), applied AS (
        UPDATE stock SET on_hand = stock.on_hand + sums.on_hand, reserved = stock.reserved + sums.reserved,
            unavailable = stock.unavailable + sums.unavailable
        FROM sums WHERE stock.location_id = sums.location_id AND stock.sku = sums.sku
    )
    SELECT kind, location_id, sku, quantity FROM fresh
    """
).bindparams(bindparam("at", type_=DateTime(timezone=True)))


_FREE = text(
    "SELECT s.location_id, s.sku FROM stock s JOIN products p USING (sku) JOIN locations l USING (location_id)"
    " WHERE l.active AND s.on_hand - s.reserved - s.unavailable > p.safety_stock"
    " AND EXISTS (SELECT 1 FROM backorders b WHERE b.sku = s.sku)"
    " ORDER BY s.location_id, s.sku LIMIT :limit"
)


async def serve_waiting(session: AsyncSession, *, cause: str, at: datetime, limit: int = 500) -> int:
    """Promise what is free to orders that wait for it, whatever freed it; answers how many places were looked at.

    A changed safety stock and a location that opens free stock without a movement.
    """
    places = [(row.location_id, row.sku) for row in (await session.execute(_FREE, {"limit": limit})).all()]
    if places:
        await _lock(session, places)
        promised = await backorders.serve(session, places, at=at)
        await book(session, promised, cause=cause, actor="queue", at=at, rows_exist=True)
    return len(places)


def _merge(changes: Sequence[StockChange]) -> list[StockChange]:
    sums: dict[tuple[MovementKind, str, str], int] = {}
    for change in changes:
        key = (change.kind, change.location_id, change.sku)
        sums[key] = sums.get(key, 0) + change.quantity
    return [
        StockChange(kind=kind, location_id=location_id, sku=sku, quantity=quantity)
        for (kind, location_id, sku), quantity in sorted(sums.items())
        if quantity
    ]


async def make_rows(session: AsyncSession, places: Sequence[tuple[str, str]]) -> None:
    """Make the rows of (location, sku) that are missing, in order; to be called before the first of them is locked.

    A row made after others were locked would be locked out of order, and two bookings could wait for each other.
    """
    rows = [{"location_id": location_id, "sku": sku} for location_id, sku in places]
    await session.execute(insert(Stock).values(rows).on_conflict_do_nothing())


async def _lock(session: AsyncSession, places: Sequence[tuple[str, str]]) -> None:
    await session.execute(
        text(
            "SELECT s.sku FROM stock s"
            " JOIN unnest(CAST(:locations AS text[]), CAST(:skus AS text[])) AS w(location_id, sku)"
            " ON s.location_id = w.location_id AND s.sku = w.sku"
            " ORDER BY s.location_id, s.sku FOR UPDATE OF s"
        ),
        {"locations": [place[0] for place in places], "skus": [place[1] for place in places]},
    )


async def levels(session: AsyncSession, *, sku: str | None = None, location_id: str | None = None) -> list[StockLevel]:
    """Stock rows, by sku and location; not locked."""
    query = (
        select(
            Stock.location_id,
            Stock.sku,
            Stock.on_hand,
            Stock.reserved,
            Stock.unavailable,
            func.coalesce(Product.safety_stock, 0).label("safety_stock"),
        )
        .join(Product, Product.sku == Stock.sku, isouter=True)
        .order_by(Stock.sku, Stock.location_id)
    )
    if sku is not None:
        query = query.where(Stock.sku == sku)
    if location_id is not None:
        query = query.where(Stock.location_id == location_id)
    return [StockLevel(**row) for row in (await session.execute(query)).mappings()]
