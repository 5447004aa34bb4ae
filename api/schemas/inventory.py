"""What may be said of stock, products, locations and the policy."""

from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, StringConstraints

from api.schemas.fields import Body, Country, Grams, Millimetres, Name64, Name100, Name200, Time

MOST_STOCK_LINES = 500
MOST_STOCK = 10_000_000


class ReceiptLine(Body):
    """Units that came in."""

    sku: Name64
    quantity: Annotated[int, Field(ge=1, le=MOST_STOCK)]


class ReceiptBody(Body):
    """Goods that came in, under a reference that is used once per location."""

    location_id: Name64
    reference: Name100
    lines: Annotated[list[ReceiptLine], Field(min_length=1, max_length=MOST_STOCK_LINES)]


def _not_zero(delta: int) -> int:
    if delta == 0:
        raise ValueError("nothing is nothing to adjust")
    return delta


class AdjustmentLine(Body):
    """By how much the books were wrong."""

    sku: Name64
    delta: Annotated[int, Field(ge=-MOST_STOCK, le=MOST_STOCK), AfterValidator(_not_zero)]


class AdjustmentBody(Body):
    """A correction of the books."""

    location_id: Name64
    reason: Name200
    lines: Annotated[list[AdjustmentLine], Field(min_length=1, max_length=MOST_STOCK_LINES)]


class CountLine(Body):
    """What stood there."""

    sku: Name64
    counted: Annotated[int, Field(ge=0, le=MOST_STOCK)]


class CountBody(Body):
    """A count, under a reference that is used once per location."""

    location_id: Name64
    reference: Name100
    counted_at: Time
    lines: Annotated[list[CountLine], Field(min_length=1, max_length=MOST_STOCK_LINES)]


class ProductBody(Body):
    """What can be sold."""

    name: Name200
    gtin: Annotated[str, StringConstraints(pattern=r"^[0-9]{8,14}$")] | None = None
    weight_g: Grams
    length_mm: Millimetres
    width_mm: Millimetres
    height_mm: Millimetres
    requires_shipping: bool = True
    fast_moving: bool = False
    safety_stock: Annotated[int, Field(ge=0, le=MOST_STOCK)] = 0


def _known_timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("no such time zone")
    return name


class LocationBody(Body):
    """A place that holds stock."""

    name: Name200
    country: Country
    postal_code: Annotated[str, StringConstraints(min_length=1, max_length=20, pattern=r"^[^\x00-\x1f\x7f]+$")]
    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    timezone: Annotated[str, StringConstraints(max_length=64), AfterValidator(_known_timezone)] = "UTC"
    city: Name200 | None = None
    address_lines: Annotated[list[Name200], Field(max_length=6, default_factory=list)]
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    active: bool = True
