"""What a shipment needs to be booked, in SQL: both addresses and the weights of what is in it; no rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Location, OrderContact, Product


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Where a parcel goes from and to."""

    location: Location
    contact: OrderContact


async def ends(session: AsyncSession, *, location_id: str, order_id: str, revision: int) -> Ends:
    """Both ends of a shipment; raises NoResultFound when one is missing."""
    return Ends(
        location=await session.get_one(Location, location_id),
        contact=await session.get_one(OrderContact, (order_id, revision)),
    )


async def weights_g(session: AsyncSession, contents: Mapping[str, int]) -> int:
    """What *contents* (sku -> units) weigh together, in grams."""
    rows = await session.execute(select(Product.sku, Product.weight_g).where(Product.sku.in_(list(contents))))
    return sum(row.weight_g * contents[row.sku] for row in rows)


def address_of(contact: OrderContact) -> Mapping[str, Any]:
    """The shipping address as the customer gave it."""
    return contact.shipping_address
