"""The parts of an order: what was bought, how it is paid, what serves it, what stands open."""

from dataclasses import dataclass
from datetime import date, datetime

from domain.commands import LineUnits
from domain.messages import Allocation, Fact
from domain.vocabulary import (
    ActorKind,
    CancellationState,
    CancelReason,
    HoldReason,
    OrderState,
    PaymentMethod,
    PaymentState,
    RequestKind,
    RequestState,
    Role,
    TrackingStatus,
)

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
    """One means of payment and the share of the order that it covers; tokens are kept outside.

    One that was *replaced_by* another covers nothing any more.
    """

    payment_id: str
    method: PaymentMethod
    amount_minor: int
    replaced_by: str | None = None


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
    capture_generation: int = 1
    written_off: bool = False
    decline_code: str | None = None
    action_url: str | None = None
    action_due_at: datetime | None = None
    void_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fulfillment:
    """The part of the order that one location serves.

    One that serves units which another could not continues *after* that one on the money's scale. *sourced_again* counts how
    often units of this one were looked for elsewhere.
    """

    fulfillment_id: str
    location_id: str
    allocations: tuple[Allocation, ...]
    released_at: datetime | None = None
    accepted_at: datetime | None = None
    picked_at: datetime | None = None
    refused: bool = False
    after: str | None = None
    sourced_again: int = 0


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
    label_generation: int = 1
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
    collection_written_off: bool = False
    has_proof: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A typed reason why the order, or one fulfillment of it, must not go to the warehouse yet."""

    hold_id: str
    reason: HoldReason
    placed_by: str
    owner: Role
    placed_at: datetime
    due_at: datetime
    fulfillment_id: str | None = None
    note_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """What somebody wants cancelled; *done* counts the units of *lines* that are."""

    cancellation_id: str
    state: CancellationState
    reason: CancelReason
    actor: ActorKind
    actor_id: str | None
    requested_at: datetime
    lines: tuple[LineUnits, ...]
    done: tuple[LineUnits, ...] = ()
    restock: bool = True
    refund: bool = True
    note_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a warehouse is asked to do; *subject* is the cancellation or hold that it serves."""

    request_id: str
    kind: RequestKind
    fulfillment_id: str
    subject: str
    sent_at: datetime
    due_at: datetime
    lines: tuple[LineUnits, ...] = ()
    state: RequestState = RequestState.OPEN


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
    person: str | None = None


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
