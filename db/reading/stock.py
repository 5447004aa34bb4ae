"""Stock as it is read: levels and movements page by page, and what can be promised."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Location, Product, Stock, StockMovement
from domain.inventory import StockLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMovement:
    """One line of the stock ledger."""

    movement_id: int
    sku: str
    location_id: str
    kind: str
    quantity: int
    cause: str
    actor: str
    at: datetime


async def list_movements(
    session: AsyncSession, *, sku: str | None, location_id: str | None, limit: int, before: int | None
) -> list[StoredMovement]:
    """At most *limit* movements, newest first, older than movement *before*."""
    query = select(
        StockMovement.movement_id,
        StockMovement.sku,
        StockMovement.location_id,
        StockMovement.kind,
        StockMovement.quantity,
        StockMovement.cause,
        StockMovement.actor,
        StockMovement.at,
    )
    if sku is not None:
        query = query.where(StockMovement.sku == sku)
    if location_id is not None:
        query = query.where(StockMovement.location_id == location_id)
    if before is not None:
        query = query.where(StockMovement.movement_id < before)
    rows = await session.execute(query.order_by(StockMovement.movement_id.desc()).limit(limit))
    return [StoredMovement(**row._mapping) for row in rows]


async def available(session: AsyncSession, sku: str) -> int | None:
    """Units of *sku* that active locations may still promise, each keeping its safety stock; None: unknown."""
    safety = await session.scalar(select(Product.safety_stock).where(Product.sku == sku))
    if safety is None:
        return None
    free = Stock.on_hand - Stock.reserved - Stock.unavailable - safety
    found = await session.scalar(
        select(func.coalesce(func.sum(func.greatest(free, 0)), 0))
        .join(Location, Location.location_id == Stock.location_id)
        .where(Stock.sku == sku, Location.active)
    )
    return int(found or 0)


async def list_levels(
    session: AsyncSession, *, sku: str | None, location_id: str | None, limit: int, after: tuple[str, str] | None
) -> list[StockLevel]:
    """At most *limit* stock rows by sku and location, behind *after* (sku, location_id)."""
    query = select(
        Stock.location_id,
        Stock.sku,
        Stock.on_hand,
        Stock.reserved,
        Stock.unavailable,
        func.coalesce(Product.safety_stock, 0).label("safety_stock"),
    ).join(Product, Product.sku == Stock.sku, isouter=True)
    if sku is not None:
        query = query.where(Stock.sku == sku)
    if location_id is not None:
        query = query.where(Stock.location_id == location_id)
    if after is not None:
        query = query.where(tuple_(Stock.sku, Stock.location_id) > tuple_(*after))
    rows = await session.execute(query.order_by(Stock.sku, Stock.location_id).limit(limit))
    return [StockLevel(**row._mapping) for row in rows]
