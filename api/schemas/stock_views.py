"""The answers' shapes for stock, catalogue and policy, as api.md fixes them."""

from datetime import datetime
from typing import Any

from typing_extensions import TypedDict


class StockView(TypedDict):
    """What one location holds of one sku."""

    sku: str
    location_id: str
    on_hand: int
    reserved: int
    unavailable: int
    safety_stock: int
    available: int


class MovementView(TypedDict):
    """Why a stock row changed."""

    movement_id: str
    sku: str
    location_id: str
    kind: str
    quantity: int
    cause: str
    actor: str
    at: datetime


class AvailabilityView(TypedDict):
    """How much can be promised, and when it would leave."""

    sku: str
    country: str
    available: int
    ship_by: datetime | None


class SkuQuantityView(TypedDict):
    """Units of one sku."""

    sku: str
    quantity: int


class ReceiptView(TypedDict):
    """Goods that came in."""

    location_id: str
    reference: str
    lines: list[SkuQuantityView]


class SkuDeltaView(TypedDict):
    """By how much one sku's stock changed."""

    sku: str
    delta: int


class AdjustmentView(TypedDict):
    """A correction of stock."""

    adjustment_id: str
    location_id: str
    reason: str
    lines: list[SkuDeltaView]


class CountLineView(TypedDict):
    """What was counted of one sku."""

    sku: str
    counted: int


class CountView(TypedDict):
    """A stock count."""

    location_id: str
    reference: str
    counted_at: datetime
    lines: list[CountLineView]


class ProductView(TypedDict):
    """What can be sold."""

    sku: str
    name: str
    gtin: str | None
    weight_g: int
    length_mm: int
    width_mm: int
    height_mm: int
    requires_shipping: bool
    fast_moving: bool
    safety_stock: int


class LocationView(TypedDict):
    """A place that holds stock."""

    location_id: str
    name: str
    country: str
    postal_code: str
    city: str | None
    address_lines: list[str]
    latitude: float
    longitude: float
    timezone: str
    priority: int
    active: bool


class PolicyView(TypedDict):
    """A version of the business rules; durations are ISO 8601."""

    version: int
    effective_at: datetime
    actor: str
    profile: str
    rules: dict[str, Any]
