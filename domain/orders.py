"""The order's one serialisable value and what can be read off it; how it changes is in ``domain.life``."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property, wraps
from typing import TypeVar

from domain import units
from domain.messages import Allocation, Decision, Fact
from domain.money import run_value
from domain.policy import Policy
from domain.units import Portion, Stage
from domain.vocabulary import (
    Bucket,
    Channel,
    FulfillmentState,
    HoldReason,
    OrderKind,
    OrderState,
    ParcelState,
    PaymentMethod,
    PaymentState,
    Role,
    ServiceLevel,
    TrackingStatus,
)

T = TypeVar("T")

PROVIDER_METHODS = frozenset({PaymentMethod.CARD, PaymentMethod.WALLET})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What was bought; *total_minor* is what all its units cost, discount taken off, tax added unless included."""

    line_id: str
    sku: str
    quantity: int
    unit_price_minor: int
    total_minor: int
    fast_moving: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One means of payment and the share of the order that it covers; tokens are kept outside."""

    payment_id: str
    method: PaymentMethod
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """Money held with the provider for one fulfillment; *shipping_minor* of it is the order's shipping."""

    authorization_id: str
    payment_id: str
    fulfillment_id: str
    amount_minor: int
    requested_at: datetime
    shipping_minor: int = 0
    state: PaymentState = PaymentState.PENDING
    reference: str | None = None
    expires_at: datetime | None = None
    captured_minor: int = 0
    capture_refused: str | None = None
    decline_code: str | None = None
    action_url: str | None = None
    action_due_at: datetime | None = None
    void_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fulfillment:
    """The part of the order that one location serves."""

    fulfillment_id: str
    location_id: str
    allocations: tuple[Allocation, ...]
    released_at: datetime | None = None
    accepted_at: datetime | None = None
    picked_at: datetime | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One box; *collect_minor* is what the carrier must take at the door.

    Times of facts are the reporter's; *heard_at* is when we last heard of the parcel, by our own clock.
    """

    parcel_id: str
    parcel_ref: str
    fulfillment_id: str
    packed_at: datetime
    weight_g: int | None = None
    length_mm: int | None = None
    width_mm: int | None = None
    height_mm: int | None = None
    carrier: str | None = None
    service: str | None = None
    tracking_number: str | None = None
    own_label: bool = False
    label_refused: str | None = None
    label_voided: bool = False
    handed_over_at: datetime | None = None
    heard_at: datetime | None = None
    tracking_status: TrackingStatus = TrackingStatus.PENDING
    status_at: datetime | None = None
    estimated_on: date | None = None
    delivered_at: datetime | None = None
    sending_back: bool = False
    collect_minor: int = 0
    collected_minor: int | None = None
    has_proof: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A typed reason why the order must not go to the warehouse yet."""

    hold_id: str
    reason: HoldReason
    placed_by: str
    owner: Role
    placed_at: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """An open problem; *wait* names the wait whose end closes it by itself."""

    attention_id: str
    code: str
    subject: str
    owner: Role
    since: datetime
    due_at: datetime
    cause: str
    wait: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Why the order ended as it did."""

    state: OrderState
    reason: str
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """A fact whose precondition is missing, tried again after each message."""

    fact: Fact
    since: datetime


@dataclass(frozen=True, kw_only=True)
class Order:
    """Everything an order is: what continue-as-new carries, the projection stores and a lost engine is restarted from.

    ``version`` counts messages applied. Portions hold every unit in exactly one place. No personal data. Without slots, so
    that what is read off a value can be remembered on it.
    """

    order_id: str
    channel: Channel
    source: str
    currency: str
    country: str
    received_at: datetime
    lines: tuple[Line, ...]
    payments: tuple[Payment, ...]
    policy: Policy
    ship_by: datetime
    deliver_by: datetime
    kind: OrderKind = OrderKind.SALE
    service_level: ServiceLevel = ServiceLevel.STANDARD
    shipping_minor: int = 0
    allow_split: bool = True
    rules: int = 1
    version: int = 0
    contact_revision: int = 1
    announced: OrderState = OrderState.RECEIVED
    cancelled_fulfillments: tuple[str, ...] = ()
    portions: tuple[Portion, ...] = ()
    reserve_generation: int = 1
    fulfillments: tuple[Fulfillment, ...] = ()
    authorizations: tuple[Authorization, ...] = ()
    parcels: tuple[Parcel, ...] = ()
    holds: tuple[Hold, ...] = ()
    attention: tuple[Attention, ...] = ()
    attention_count: int = 0
    decisions: tuple[Decision, ...] = ()
    outcome: Outcome | None = None
    parked: tuple[Parked, ...] = ()
    seen: tuple[str, ...] = ()
    failed_steps: tuple[str, ...] = ()
    overdue: tuple[str, ...] = ()
    recent: tuple[tuple[datetime, str], ...] = field(default=())

    @property
    def ordered_total_minor(self) -> int:
        """What the whole order costs, in minor units."""
        return sum(line.total_minor for line in self.lines) + self.shipping_minor

    @cached_property
    def _lines(self) -> dict[str, Line]:
        return {line.line_id: line for line in self.lines}

    def line(self, line_id: str) -> Line:
        """The line with that id; KeyError when there is none."""
        return self._lines[line_id]

    def fulfillment(self, fulfillment_id: str) -> Fulfillment:
        """The fulfillment with that id; KeyError when there is none."""
        return _one(self.fulfillments, "fulfillment_id", fulfillment_id)

    def parcel(self, parcel_id: str) -> Parcel:
        """The parcel with that id; KeyError when there is none."""
        return _one(self.parcels, "parcel_id", parcel_id)

    def authorization(self, authorization_id: str) -> Authorization:
        """The authorization with that id; KeyError when there is none."""
        return _one(self.authorizations, "authorization_id", authorization_id)

    def payment(self, payment_id: str) -> Payment:
        """The payment with that id; KeyError when there is none."""
        return _one(self.payments, "payment_id", payment_id)

    def parcels_of(self, fulfillment_id: str) -> tuple[Parcel, ...]:
        """The parcels of one fulfillment, in the order they were packed."""
        return tuple(parcel for parcel in self.parcels if parcel.fulfillment_id == fulfillment_id)

    def parcel_tracked(self, carrier: str, tracking_number: str) -> Parcel | None:
        """The parcel that bears this carrier's number, if one does."""
        for parcel in self.parcels:
            if parcel.carrier == carrier and parcel.tracking_number == tracking_number:
                return parcel
        return None

    def knows(self, fact_id: str) -> bool:
        """Whether this fact was applied, or is parked."""
        return fact_id in self.seen or any(parked.fact.id == fact_id for parked in self.parked)


def _one(items: tuple[T, ...], name: str, value: str) -> T:
    for item in items:
        if getattr(item, name) == value:
            return item
    raise KeyError(value)


def remembered(read: Callable[[Order], T]) -> Callable[[Order], T]:
    """*read*, done once per order value: a value never changes, and one move asks the same things of it many times."""
    name = f"_read_{read.__name__}"

    @wraps(read)
    def reading(order: Order) -> T:
        try:
            answer: T = order.__dict__[name]
        except KeyError:
            answer = order.__dict__[name] = read(order)
        return answer

    return reading


def quantities(order: Order, line: Line) -> dict[Bucket, int]:
    """Bucket -> units of *line*; every bucket is there and they sum to what was ordered."""
    found = dict.fromkeys(Bucket, 0)
    for portion in order.portions:
        if portion.line_id == line.line_id:
            found[portion.stage.bucket] += portion.quantity
    return found


@remembered
def order_state(order: Order) -> OrderState:
    """Where the order stands, derived from buckets, payment and outcome."""
    if order.outcome is not None and order.outcome.state is OrderState.REJECTED:
        return OrderState.REJECTED
    stages = {portion.stage for portion in order.portions}
    if stages == {Stage.CANCELLED}:
        return OrderState.CANCELLED
    if stages <= units.ENDED and money_settled(order):
        arrived = stages & {Stage.DELIVERED, Stage.RETURNING, Stage.RETURNED}
        return OrderState.DELIVERED if arrived else OrderState.UNDELIVERABLE
    if stages - {Stage.OPEN, Stage.BACKORDERED, Stage.RESERVED, Stage.CANCELLED}:
        return OrderState.FULFILLING if stages & units.WAITING else OrderState.SHIPPED
    if stages <= {Stage.RESERVED, Stage.CANCELLED} and all_authorized(order):
        return OrderState.CONFIRMED
    return OrderState.RECEIVED


TERMINAL = frozenset({OrderState.DELIVERED, OrderState.CANCELLED, OrderState.REJECTED, OrderState.UNDELIVERABLE})


def all_authorized(order: Order) -> bool:
    """Whether every part of the order that is planned has its money held or promised."""
    held = {PaymentState.AUTHORIZED, PaymentState.CAPTURED}
    return all(
        authorization.state in held or authorization.void_since is not None for authorization in order.authorizations
    )


def money_settled(order: Order) -> bool:
    """Whether no capture, void, collection at the door or settlement of lost goods is still owed."""
    if any(not _is_at_rest(authorization) for authorization in order.authorizations):
        return False
    if any(collection_owed(order, parcel) for parcel in order.parcels):
        return False
    return not units.count(order.portions, {Stage.LOST, Stage.SENT_BACK})


def _is_at_rest(authorization: Authorization) -> bool:
    return authorization.state in {
        PaymentState.CAPTURED,
        PaymentState.VOIDED,
        PaymentState.DECLINED,
        PaymentState.EXPIRED,
    }


def collection_owed(order: Order, parcel: Parcel) -> bool:
    """Whether the carrier delivered *parcel* and has not said that it took the money at the door."""
    return (
        parcel.collect_minor > 0
        and parcel.collected_minor is None
        and units.count(order.portions, {Stage.DELIVERED}, parcel_id=parcel.parcel_id) > 0
    )


@remembered
def closed(order: Order) -> bool:
    """Whether the order has ended and nothing of it is still running."""
    return (
        order_state(order) in TERMINAL
        and all(_is_at_rest(authorization) for authorization in order.authorizations)
        and not any(needs_label_void(order, parcel) for parcel in order.parcels)
    )


def needs_label_void(order: Order, parcel: Parcel) -> bool:
    """Whether *parcel* was cancelled after we began to buy its label, whose answer may still be on its way."""
    return (
        parcel_state(order, parcel) is ParcelState.CANCELLED
        and parcel.label_refused is None
        and not parcel.own_label
        and not parcel.label_voided
    )


_LEAST_ADVANCED: tuple[tuple[Stage, FulfillmentState], ...] = (
    (Stage.RESERVED, FulfillmentState.PLANNED),
    (Stage.RELEASED, FulfillmentState.RELEASED),
    (Stage.PICKED, FulfillmentState.PICKED),
    (Stage.PACKED, FulfillmentState.PACKED),
    (Stage.IN_TRANSIT, FulfillmentState.HANDED_OVER),
    (Stage.SENDING_BACK, FulfillmentState.HANDED_OVER),
    (Stage.DELIVERED, FulfillmentState.DELIVERED),
    (Stage.RETURNING, FulfillmentState.DELIVERED),
    (Stage.RETURNED, FulfillmentState.DELIVERED),
)


def fulfillment_state(order: Order, fulfillment: Fulfillment) -> FulfillmentState:
    """Where the fulfillment stands: the least advanced live unit counts."""
    stages = {portion.stage for portion in order.portions if portion.fulfillment_id == fulfillment.fulfillment_id}
    for stage, state in _LEAST_ADVANCED:
        if stage in stages:
            if state is FulfillmentState.RELEASED and fulfillment.accepted_at is not None:
                return FulfillmentState.ACCEPTED
            return state
    if stages & {Stage.LOST, Stage.SENT_BACK}:
        return FulfillmentState.UNDELIVERABLE
    return FulfillmentState.REFUSED if fulfillment.refused else FulfillmentState.CANCELLED


def parcel_state(order: Order, parcel: Parcel) -> ParcelState:
    """What we did with the parcel; it is cancelled when none of its units is in it any more."""
    stages = {portion.stage for portion in order.portions if portion.parcel_id == parcel.parcel_id}
    if Stage.PACKED in stages:
        return ParcelState.LABELLED if parcel.tracking_number else ParcelState.PACKED
    if stages & {Stage.IN_TRANSIT, Stage.SENDING_BACK}:
        return ParcelState.HANDED_OVER
    if stages & {Stage.DELIVERED, Stage.RETURNING, Stage.RETURNED}:
        return ParcelState.DELIVERED
    if Stage.SENT_BACK in stages:
        return ParcelState.SENT_BACK
    if Stage.LOST in stages:
        return ParcelState.LOST
    return ParcelState.CANCELLED


def left_by_line(order: Order, fulfillment: Fulfillment) -> dict[str, int]:
    """Line id -> units of *fulfillment* that left for the customer."""
    return units.by_line(order.portions, units.LEFT, fulfillment_id=fulfillment.fulfillment_id)


def run_worth(order: Order, allocation: Allocation, count: int) -> int:
    """What the first *count* units of *allocation* are worth, in minor units."""
    line = order.line(allocation.line_id)
    return run_value(line.total_minor, line.quantity, first=allocation.first_unit, count=count)
