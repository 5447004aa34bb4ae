"""Products and locations in SQL: what can be sold and where it can stand; no stock."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, literal_column, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Location, Product

PRODUCT_FIELDS = (
    "sku",
    "name",
    "gtin",
    "weight_g",
    "length_mm",
    "width_mm",
    "height_mm",
    "requires_shipping",
    "fast_moving",
    "safety_stock",
)
LOCATION_FIELDS = (
    "location_id",
    "name",
    "country",
    "postal_code",
    "city",
    "address_lines",
    "latitude",
    "longitude",
    "timezone",
    "priority",
    "active",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoldProduct:
    """What an order needs to know of a product."""

    sku: str
    name: str
    gtin: str | None
    requires_shipping: bool
    fast_moving: bool


async def sold_products(session: AsyncSession, skus: Collection[str]) -> dict[str, SoldProduct]:
    """sku -> product, for those of *skus* that are known."""
    rows = await session.execute(
        select(Product.sku, Product.name, Product.gtin, Product.requires_shipping, Product.fast_moving).where(
            Product.sku.in_(set(skus))
        )
    )
    return {row.sku: SoldProduct(**row._mapping) for row in rows}


async def put_product(session: AsyncSession, sku: str, fields: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The product as it is now, and whether it was made by this call."""
    return await _put(session, Product, PRODUCT_FIELDS, {"sku": sku, **fields})


async def put_location(
    session: AsyncSession, location_id: str, fields: Mapping[str, Any]
) -> tuple[dict[str, Any], bool]:
    """The location as it is now, and whether it was made by this call."""
    return await _put(session, Location, LOCATION_FIELDS, {"location_id": location_id, **fields})


async def _put(
    session: AsyncSession, table: type[Product] | type[Location], columns: tuple[str, ...], values: Mapping[str, Any]
) -> tuple[dict[str, Any], bool]:
    key = columns[0]
    changed = {name: value for name, value in values.items() if name != key} | {"changed_at": func.now()}
    row = (
        await session.execute(
            insert(table)
            .values(**values)
            .on_conflict_do_update(index_elements=[key], set_=changed)
            .returning(*(getattr(table, name) for name in columns), literal_column("(xmax = 0)").label("made"))
        )
    ).one()
    found = dict(row._mapping)
    return found, bool(found.pop("made"))


async def find_product(session: AsyncSession, sku: str) -> dict[str, Any] | None:
    """The product with that sku."""
    row = (
        await session.execute(select(*(getattr(Product, name) for name in PRODUCT_FIELDS)).where(Product.sku == sku))
    ).one_or_none()
    return None if row is None else dict(row._mapping)


async def find_location(session: AsyncSession, location_id: str) -> dict[str, Any] | None:
    """The location with that id."""
    row = (
        await session.execute(
            select(*(getattr(Location, name) for name in LOCATION_FIELDS)).where(Location.location_id == location_id)
        )
    ).one_or_none()
    return None if row is None else dict(row._mapping)
