"""What warehouses and carriers see, and whether the process is well; the order's own view is beside this."""

from datetime import date, datetime

from typing_extensions import TypedDict

from api.schemas.views import GiftView, ParcelView, RequestView
from domain.vocabulary import (
    FulfillmentState,
    ServiceLevel,
    TrackingStatus,
)


class ShipToView(TypedDict):
    """Whom and where the warehouse sends to."""

    name: str | None
    phone: str | None
    lines: list[str]
    city: str | None
    region: str | None
    postal_code: str | None
    country: str


class FulfillmentLineView(TypedDict):
    """What is to be picked."""

    line_id: str
    sku: str
    name: str
    gtin: str | None
    quantity: int


class FulfillmentView(TypedDict):
    """A fulfillment as its warehouse sees it."""

    fulfillment_id: str
    order_id: str
    order_ref: str
    location_id: str
    state: FulfillmentState
    priority: int
    service_level: ServiceLevel
    ship_by: datetime
    released_at: datetime | None
    gift: GiftView | None
    ship_to: ShipToView
    lines: list[FulfillmentLineView]
    parcels: list[ParcelView]
    requests: list[RequestView]


class AcceptedView(TypedDict):
    """A fact was taken; whether we had it already."""

    duplicate: bool


class TrackingEventView(TypedDict):
    """One word of the carrier."""

    status: TrackingStatus
    at: datetime
    location: str | None
    party: str | None
    reason: str | None


class TrackingView(TypedDict):
    """What the carrier reported of a parcel."""

    parcel_id: str
    carrier: str | None
    tracking_number: str | None
    status: TrackingStatus
    estimated_on: date | None
    events: list[TrackingEventView]


class ProofView(TypedDict):
    """Proof of delivery."""

    signed_by: str | None
    signature_url: str | None
    photo_url: str | None


class HealthView(TypedDict):
    """That something is well."""

    status: str
