"""Fulfillments as their warehouses read them; only those that were released, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Integer, Select, Text, bindparam, cast, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import FulfillmentRow, OrderContact, OrderRow, Product
from domain.orders import Order

ORDER = TypeAdapter(Order)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFulfillment:
    """A released fulfillment with what its warehouse needs; *products* gives (name, gtin) by sku."""

    fulfillment_id: str
    order: Order
    order_ref: str
    priority: int
    ship_by: datetime
    released_at: datetime
    products: dict[str, tuple[str, str | None]]
    recipient: str | None
    phone: str | None
    address: dict[str, Any]
    gift: dict[str, Any] | None


@cache
def _query() -> Select[Any]:
    # A newer revision may have been refused: the state value says which one the order ships to.
    used = func.coalesce(cast(OrderRow.snapshot["contact_revision"].astext, Integer), 1)
    return (
        select(
            FulfillmentRow.fulfillment_id,
            FulfillmentRow.priority,
            FulfillmentRow.ship_by,
            FulfillmentRow.released_at,
            OrderRow.order_ref,
            OrderRow.request["lines"].label("lines"),
            cast(OrderRow.snapshot, Text).label("snapshot"),
            OrderContact.name,
            OrderContact.phone,
            OrderContact.shipping_address,
            OrderContact.gift,
        )
        .join(OrderRow, OrderRow.order_id == FulfillmentRow.order_id)
        .join(OrderContact, (OrderContact.order_id == OrderRow.order_id) & (OrderContact.revision == used))
        .where(FulfillmentRow.released_at.is_not(None))
    )


@cache
def _one() -> Select[Any]:
    return _query().where(FulfillmentRow.fulfillment_id == bindparam("fulfillment_id"))


async def find_fulfillment(session: AsyncSession, fulfillment_id: str) -> StoredFulfillment | None:
    """The released fulfillment with that id."""
    rows = (await session.execute(_one(), {"fulfillment_id": fulfillment_id})).all()
    found = await _stored(session, rows)
    return found[0] if found else None


async def list_by_release(
    session: AsyncSession,
    *,
    location_id: str | None,
    state: str | None,
    limit: int,
    after: tuple[datetime, str] | None,
) -> list[StoredFulfillment]:
    """At most *limit*, the longest released first, behind *after* (released_at, fulfillment_id)."""
    query = _filtered(location_id, state)
    if after is not None:
        query = query.where(tuple_(FulfillmentRow.released_at, FulfillmentRow.fulfillment_id) > tuple_(*after))
    query = query.order_by(FulfillmentRow.released_at, FulfillmentRow.fulfillment_id).limit(limit)
    return await _stored(session, (await session.execute(query)).all())


async def list_by_priority(
    session: AsyncSession,
    *,
    location_id: str | None,
    state: str | None,
    limit: int,
    after: tuple[int, datetime, str] | None,
) -> list[StoredFulfillment]:
    """At most *limit*, the most urgent first, behind *after* (priority, ship_by, fulfillment_id)."""
    query = _filtered(location_id, state)
    place = (-FulfillmentRow.priority, FulfillmentRow.ship_by, FulfillmentRow.fulfillment_id)
    if after is not None:
        query = query.where(tuple_(*place) > tuple_(-after[0], after[1], after[2]))
    query = query.order_by(*place).limit(limit)
    return await _stored(session, (await session.execute(query)).all())


def _filtered(location_id: str | None, state: str | None) -> Select[Any]:
    query = _query()
    if location_id is not None:
        query = query.where(FulfillmentRow.location_id == location_id)
    if state is not None:
        query = query.where(FulfillmentRow.state == state)
    return query


async def _stored(session: AsyncSession, rows: Sequence[Any]) -> list[StoredFulfillment]:
    skus = {line["sku"] for row in rows for line in row.lines}
    products: dict[str, tuple[str, str | None]] = {}
    if skus:
        found = await session.execute(select(Product.sku, Product.name, Product.gtin).where(Product.sku.in_(skus)))
        products = {row.sku: (row.name, row.gtin) for row in found}
    return [
        StoredFulfillment(
            fulfillment_id=row.fulfillment_id,
            order=ORDER.validate_json(row.snapshot),
            order_ref=row.order_ref,
            priority=row.priority,
            ship_by=row.ship_by,
            released_at=row.released_at,
            products=products,
            recipient=row.name,
            phone=row.phone,
            address=row.shipping_address,
            gift=row.gift,
        )
        for row in rows
    ]
