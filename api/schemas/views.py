"""The answers' shapes, as api.md fixes them; what is in them is decided in ``api.views``."""

from datetime import date, datetime
from typing import Any

from typing_extensions import TypedDict

from domain.vocabulary import (
    CancellationState,
    CancelReason,
    Channel,
    DeliveryMethod,
    FulfillmentState,
    HoldReason,
    OrderKind,
    OrderState,
    ParcelState,
    PaymentMethod,
    PaymentState,
    RequestKind,
    Role,
    ServiceLevel,
    TrackingStatus,
)


class CustomerView(TypedDict):
    """Who bought."""

    customer_ref: str
    name: str | None
    email: str | None
    phone: str | None
    locale: str | None
    notify: str | None
    optional_notices: bool


class AddressView(TypedDict):
    """A postal address."""

    name: str | None
    lines: list[str]
    city: str | None
    region: str | None
    postal_code: str | None
    country: str


class DeliveryView(TypedDict):
    """Where the customer takes the goods."""

    method: DeliveryMethod
    pickup_point_id: str | None


class GiftView(TypedDict):
    """What makes the order a gift."""

    message: str | None
    hide_prices: bool


class PromiseView(TypedDict):
    """Until when it is sent and delivered."""

    ship_by: datetime
    deliver_by: datetime
    first_deliver_by: datetime


class AmountsView(TypedDict):
    """The order's money, in minor units."""

    ordered_total_minor: int
    total_minor: int
    authorized_minor: int
    captured_minor: int
    refunded_minor: int


class ActionView(TypedDict):
    """What the customer must do to pay."""

    type: str
    url: str
    expires_at: datetime | None


class PaymentView(TypedDict):
    """One means of payment and how it stands."""

    payment_id: str
    method: PaymentMethod
    state: PaymentState
    amount_minor: int
    decline_code: str | None
    expires_at: datetime | None
    action: ActionView | None


class LineView(TypedDict):
    """One line; *quantities* has every bucket and ``ordered``."""

    line_id: str
    sku: str
    name: str
    quantity: int
    unit_price_minor: int
    discount_minor: int
    tax_minor: int
    quantities: dict[str, int]


class ActorView(TypedDict):
    """Who caused an event."""

    kind: str
    id: str | None


class NoteView(TypedDict):
    """What somebody wrote about the order."""

    note_id: str
    text: str
    actor: ActorView
    at: datetime


class HoldView(TypedDict):
    """Why the order must not go to the warehouse yet."""

    hold_id: str
    reason: HoldReason
    note: str | None
    fulfillment_id: str | None
    placed_by: str
    owner: Role
    due_at: datetime


class QuantityView(TypedDict):
    """Units of one line."""

    line_id: str
    quantity: int


class CancellationView(TypedDict):
    """What somebody wanted cancelled, and what of it is."""

    cancellation_id: str
    state: CancellationState
    lines: list[QuantityView]
    done: list[QuantityView]
    reason: CancelReason
    actor: str
    requested_at: datetime
    restock: bool
    refund: bool
    note: str | None


class RequestView(TypedDict):
    """What a warehouse is asked and has not answered yet."""

    request_id: str
    kind: RequestKind
    lines: list[QuantityView]
    due_at: datetime


class WaitView(TypedDict):
    """One thing that must happen next."""

    subject: str
    owner: Role
    person: str | None
    next_step: str
    since: datetime
    due_at: datetime
    escalates_to: Role


class FixView(TypedDict):
    """What may be done about a case."""

    fix: str
    parameters: dict[str, str]


class AttentionView(TypedDict):
    """An open problem."""

    attention_id: str
    code: str
    subject: str
    owner: str
    person: str | None
    since: datetime
    due_at: datetime
    cause: str
    fixes: list[FixView]


class ParcelView(TypedDict):
    """One box."""

    parcel_id: str
    parcel_ref: str
    state: ParcelState
    carrier: str | None
    service: str | None
    tracking_number: str | None
    tracking_status: TrackingStatus
    weight_g: int | None
    lines: list[QuantityView]
    handed_over_at: datetime | None
    estimated_on: date | None
    delivered_at: datetime | None
    label_url: str | None
    proof_url: str | None


class OrderFulfillmentView(TypedDict):
    """The part of the order that one location serves."""

    fulfillment_id: str
    location_id: str
    state: FulfillmentState
    lines: list[QuantityView]
    released_at: datetime | None
    parcels: list[ParcelView]


class CandidateView(TypedDict):
    """One way a decision could have gone."""

    choice: str
    scores: dict[str, float]
    refused: str | None


class DecisionView(TypedDict):
    """A choice, explained."""

    kind: str
    subject: str
    at: datetime
    chosen: str | None
    candidates: list[CandidateView]


class OutcomeView(TypedDict):
    """Why the order ended as it did."""

    state: OrderState
    reason: str
    detail: str | None


class RelatedView(TypedDict):
    """Another order that belongs to this one."""

    order_id: str
    relation: str


class LinksView(TypedDict):
    """Where to look further."""

    self: str
    events: str
    request: str
    tracking_page: str | None
    temporal: str | None


class AskedView(TypedDict):
    """What the request said, its defaults filled in."""

    customer: CustomerView
    shipping_address: AddressView
    billing_address: AddressView | None
    ip_country: str | None
    delivery: DeliveryView
    gift: GiftView | None
    prices_include_tax: bool
    shipping_minor: int
    shipping_discount_minor: int
    shipping_tax_minor: int
    total_minor: int
    allow_backorder: bool
    allow_split: bool
    note: str | None
    metadata: dict[str, Any]


class OrderView(AskedView):
    """An order as it stands, with the request's fields."""

    order_id: str
    order_ref: str
    channel: Channel
    source: str
    kind: OrderKind
    state: OrderState
    version: int
    priority: int
    policy_version: int
    received_at: datetime
    placed_at: datetime | None
    changed_at: datetime
    outcome: OutcomeView | None
    replaces: str | None
    related: list[RelatedView]
    currency: str
    service_level: ServiceLevel
    promise: PromiseView
    amounts: AmountsView
    payments: list[PaymentView]
    refunds: list[dict[str, Any]]
    lines: list[LineView]
    holds: list[HoldView]
    cancellations: list[CancellationView]
    notes: list[NoteView]
    waits: list[WaitView]
    waiting: WaitView | None
    attention: list[AttentionView]
    fulfillments: list[OrderFulfillmentView]
    decisions: list[DecisionView]
    links: LinksView


class EventView(TypedDict):
    """What happened."""

    sequence: int
    kind: str
    at: datetime
    actor: ActorView
    data: dict[str, Any]
