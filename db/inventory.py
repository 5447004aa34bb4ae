"""Stock in SQL: the movement ledger and the stock rows that follow it, locked in (location, sku) order; no rules."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Product, Stock, StockMovement
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
    session: AsyncSession, changes: Sequence[StockChange], *, cause: str, actor: str, at: datetime
) -> list[StockChange]:
    """Write *changes* to the ledger and their sums to the stock rows; answers those that were new.

    Idempotent on (*cause*, kind, location, sku): a movement booked before changes nothing again.

    Raises:
        IntegrityError: a stock row would be oversold or negative.
    """
    merged = _merge(changes)
    if not merged:
        return []
    places = sorted({(change.location_id, change.sku) for change in merged})
    await _lock_or_create(session, places)
    inserted = await session.execute(
        insert(StockMovement)
        .values(
            [
                {
                    "location_id": change.location_id,
                    "sku": change.sku,
                    "kind": change.kind.value,
                    "quantity": change.quantity,
                    "cause": cause,
                    "actor": actor,
                    "at": at,
                }
                for change in merged
            ]
        )
        .on_conflict_do_nothing(constraint="stock_movements_once")
        .returning(StockMovement.kind, StockMovement.location_id, StockMovement.sku, StockMovement.quantity)
    )
    fresh = [
        StockChange(kind=MovementKind(kind), location_id=location_id, sku=sku, quantity=quantity)
        for kind, location_id, sku, quantity in inserted
    ]
    await _apply(session, fresh)
    return fresh


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


async def _lock_or_create(session: AsyncSession, places: list[tuple[str, str]]) -> None:
    """Lock the rows of *places* in order; the missing ones are made first, in the same order."""
    locked = await session.execute(
        select(Stock.location_id, Stock.sku)
        .where(tuple_(Stock.location_id, Stock.sku).in_(places))
        .order_by(Stock.location_id, Stock.sku)
        .with_for_update()
    )
    missing = [place for place in places if place not in {(row.location_id, row.sku) for row in locked}]
    if missing:
        await session.execute(
            insert(Stock)
            .values([{"location_id": location_id, "sku": sku} for location_id, sku in missing])
            .on_conflict_do_nothing()
        )


async def _apply(session: AsyncSession, changes: Sequence[StockChange]) -> None:
    sums: dict[tuple[str, str], list[int]] = {}
    for change in changes:
        delta = DELTAS[change.kind]
        figures = sums.setdefault((change.location_id, change.sku), [0, 0, 0])
        figures[0] += delta.on_hand * change.quantity
        figures[1] += delta.reserved * change.quantity
        figures[2] += delta.unavailable * change.quantity
    if not sums:
        return
    await session.execute(
        text(
            "UPDATE stock SET on_hand = stock.on_hand + d.on_hand, reserved = stock.reserved + d.reserved,"
            " unavailable = stock.unavailable + d.unavailable"
            " FROM unnest(CAST(:locations AS text[]), CAST(:skus AS text[]), CAST(:on_hand AS int[]),"
            " CAST(:reserved AS int[]), CAST(:unavailable AS int[])) AS d(location_id, sku, on_hand, reserved, unavailable)"
            " WHERE stock.location_id = d.location_id AND stock.sku = d.sku"
        ),
        {
            "locations": [place[0] for place in sums],
            "skus": [place[1] for place in sums],
            "on_hand": [figures[0] for figures in sums.values()],
            "reserved": [figures[1] for figures in sums.values()],
            "unavailable": [figures[2] for figures in sums.values()],
        },
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
