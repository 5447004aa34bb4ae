"""The queries of lists: which items are wanted, how many, from where on."""

from typing import Annotated, Literal

from pydantic import Field

from api.schemas.fields import Country, Query, QueryText, Time
from domain.attention import AttentionCode
from domain.vocabulary import Channel, FulfillmentState, OrderState, Role

Limit = Annotated[int, Field(ge=1, le=200)]


class PageQuery(Query):
    """How many items, and where to go on."""

    limit: Limit = 50
    cursor: QueryText | None = None


class OrdersQuery(PageQuery):
    """Which orders."""

    state: OrderState | None = None
    channel: Channel | None = None
    source: QueryText | None = None
    owner: Role | None = None
    attention: AttentionCode | None = None
    overdue: bool | None = None
    customer_ref: QueryText | None = None
    order_ref: QueryText | None = None
    sku: QueryText | None = None
    location_id: QueryText | None = None
    tracking_number: QueryText | None = None
    email: QueryText | None = None
    phone: QueryText | None = None
    received_from: Time | None = None
    received_to: Time | None = None


class FulfillmentsQuery(PageQuery):
    """Which fulfillments, and in which order: as released, or by priority."""

    location_id: QueryText | None = None
    state: FulfillmentState | None = None
    sort: Literal["priority"] | None = None


class StockQuery(PageQuery):
    """Which stock rows."""

    sku: QueryText | None = None
    location_id: QueryText | None = None


class MovementsQuery(PageQuery):
    """Which movements."""

    sku: QueryText | None = None
    location_id: QueryText | None = None


class AvailabilityQuery(Query):
    """Of what, and where to."""

    sku: QueryText
    country: Country
