"""Receipts, adjustments and counts in SQL: each under its own reference, booked through the movement ledger."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import DateTime, bindparam, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db import inventory
from db.models import Location, Product, Stock, StockReference
from domain.inventory import DELTAS


class Reference(StrEnum):
    """How a reference stands that somebody wants to book under."""

    NEW = "new"
    SAME = "same"
    TAKEN = "taken"


async def claim_reference(
    session: AsyncSession, *, kind: str, location_id: str, reference: str, content_hash: bytes
) -> Reference:
    """Whether this is the first booking under the reference, the same again, or another; waits for one under way."""
    made = await session.execute(
        insert(StockReference)
        .values(kind=kind, location_id=location_id, reference=reference, content_hash=content_hash)
        .on_conflict_do_nothing()
        .returning(StockReference.reference)
    )
    if made.first() is not None:
        return Reference.NEW
    known = await session.scalar(
        select(StockReference.content_hash).where(
            StockReference.kind == kind,
            StockReference.location_id == location_id,
            StockReference.reference == reference,
        )
    )
    return Reference.SAME if known == content_hash else Reference.TAKEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """What of a booking is not in the catalogue."""

    location: bool
    skus: frozenset[str]


async def find_unknown(session: AsyncSession, *, location_id: str, skus: Collection[str]) -> Unknown:
    """Which of them we do not know."""
    known = set((await session.scalars(select(Product.sku).where(Product.sku.in_(set(skus))))).all())
    location = await session.scalar(select(Location.location_id).where(Location.location_id == location_id))
    return Unknown(location=location is None, skus=frozenset(set(skus) - known))


_SINCE = text(
    """
    SELECT sku, sum(quantity * CASE {cases} ELSE 0 END) AS moved FROM stock_movements
    WHERE location_id = :location_id AND sku IN :skus AND at > :at GROUP BY sku
    """.format(cases=" ".join(f"WHEN kind = '{kind}' THEN {delta.on_hand}" for kind, delta in DELTAS.items()))
).bindparams(bindparam("skus", expanding=True), bindparam("at", type_=DateTime(timezone=True)))


async def lock_rows(session: AsyncSession, *, location_id: str, skus: Collection[str]) -> dict[str, int]:
    """sku -> units on hand; the stock rows are made where missing, all of them before the first is locked.

    A row made after others were locked would be locked out of order, and two bookings could wait for each other.
    """
    places = sorted({(location_id, sku) for sku in skus})
    await inventory.make_rows(session, places)
    rows = await session.execute(
        select(Stock.sku, Stock.on_hand)
        .where(tuple_(Stock.location_id, Stock.sku).in_(places))
        .order_by(Stock.location_id, Stock.sku)
        .with_for_update()
    )
    return {row.sku: row.on_hand for row in rows}


async def on_hand_at(
    session: AsyncSession, *, location_id: str, skus: Collection[str], at: datetime
) -> Mapping[str, int]:
    """sku -> units that stood there at *at*, by the ledger; the rows are locked."""
    found = await lock_rows(session, location_id=location_id, skus=skus)
    since = await session.execute(_SINCE, {"location_id": location_id, "skus": list(found), "at": at})
    for row in since:
        found[row.sku] -= int(row.moved)
    return found
