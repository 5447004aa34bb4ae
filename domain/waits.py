"""What an open order waits for: each wait with its owner, next step, start and due time; derived, never stored."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from domain import units
from domain.attention import CASES, AttentionCode
from domain.orders import (
    Fulfillment,
    Order,
    Parcel,
    closed,
    collection_owed,
    fulfillment_state,
    needs_label_void,
    parcel_state,
    remembered,
)
from domain.payments import capture_amount
from domain.units import Stage
from domain.vocabulary import FulfillmentState, ParcelState, PaymentState, RequestState, Role

ANSWER_REQUEST = "answer_request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One thing that must happen; *overdue* is the case that opens when it has not by *due_at*."""

    subject: str
    owner: Role
    next_step: str
    since: datetime
    due_at: datetime
    escalates_to: Role
    overdue: AttentionCode | None

    @property
    def key(self) -> str:
        """What tells this wait from the others of its order while it lasts."""
        return f"{self.next_step}:{self.subject}"

    @property
    def due_id(self) -> str:
        """What tells this due time from others of the same wait."""
        return f"{self.key}:{self.due_at.isoformat()}"


@remembered
def waits(order: Order) -> tuple[Wait, ...]:
    """Everything *order* waits for, the earliest due first; empty exactly when it is closed."""
    if closed(order):
        return ()
    found = [
        *_stock(order),
        *_backorders(order),
        *_holds(order),
        *_requests(order),
        *_payments(order),
        *_warehouse(order),
        *_parcels(order),
        *_parked(order),
    ]
    found = found or list(_settlement(order))
    return tuple(sorted(found, key=lambda wait: (wait.due_at, wait.subject, wait.next_step)))


def _stock(order: Order) -> Iterator[Wait]:
    if units.count(order.portions, {Stage.OPEN}):
        yield Wait(
            subject=order.order_id,
            owner=Role.INVENTORY,
            next_step="reserve_stock",
            since=order.received_at,
            due_at=order.received_at + order.policy.rules.stock_patience,
            escalates_to=Role.ENGINEERING,
            overdue=AttentionCode.UNEXPECTED_ERROR,
        )


def _backorders(order: Order) -> Iterator[Wait]:
    if units.count(order.portions, {Stage.BACKORDERED}):
        yield Wait(
            subject=order.order_id,
            owner=Role.INVENTORY,
            next_step="restock",
            since=order.received_at,
            due_at=order.received_at + order.policy.rules.backorder_within,
            escalates_to=Role.OPERATIONS,
            overdue=AttentionCode.BACKORDER_LATE,
        )


def _holds(order: Order) -> Iterator[Wait]:
    for hold in order.holds:
        yield Wait(
            subject=hold.hold_id,
            owner=hold.owner,
            next_step="release_hold",
            since=hold.placed_at,
            due_at=hold.due_at,
            escalates_to=Role.OPERATIONS,
            overdue=AttentionCode.HOLD_OVERDUE,
        )


def _requests(order: Order) -> Iterator[Wait]:
    for request in order.requests:
        if request.state is RequestState.OPEN:
            yield Wait(
                subject=request.request_id,
                owner=Role.WAREHOUSE,
                next_step=ANSWER_REQUEST,
                since=request.sent_at,
                due_at=request.due_at,
                escalates_to=Role.OPERATIONS,
                overdue=None,
            )


def _payments(order: Order) -> Iterator[Wait]:
    rules = order.policy.rules
    for authorization in order.authorizations:
        step, owner, since = "", Role.PAYMENTS, authorization.requested_at
        overdue: AttentionCode | None = AttentionCode.PAYMENT_UNREACHABLE
        due_at = since + rules.payment_patience
        if authorization.state is PaymentState.ACTION_REQUIRED and authorization.void_since is None:
            step, owner, overdue = "confirm_payment", Role.CUSTOMER, AttentionCode.PAYMENT_ACTION_REQUIRED
            due_at = authorization.action_due_at or due_at
        elif authorization.state not in {PaymentState.PENDING, PaymentState.AUTHORIZED, PaymentState.ACTION_REQUIRED}:
            continue
        elif authorization.void_since is not None:
            step, since = "void_payment", authorization.void_since
            due_at = since + rules.payment_patience
        elif authorization.state is PaymentState.PENDING:
            step = "authorize_payment"
        elif capture_amount(order, authorization):
            step, since = "capture_payment", _last_heard(order, since)
            due_at = since + rules.payment_patience
            if authorization.capture_refused:  # It stands open as a case of its own, and a person must settle it.
                step, overdue = "settle_capture", None
                due_at = since + CASES[AttentionCode.CAPTURE_FAILED].allowed
        else:
            continue
        yield Wait(
            subject=authorization.authorization_id,
            owner=owner,
            next_step=step,
            since=since,
            due_at=due_at,
            escalates_to=Role.OPERATIONS,
            overdue=overdue,
        )


def _last_heard(order: Order, otherwise: datetime) -> datetime:
    return max((p.heard_at for p in order.parcels if p.heard_at is not None), default=otherwise)


_WAREHOUSE_STEPS = {
    FulfillmentState.PLANNED: "release_fulfillment",
    FulfillmentState.RELEASED: "accept",
    FulfillmentState.ACCEPTED: "pick",
    FulfillmentState.PICKED: "pack",
    FulfillmentState.PACKED: "hand_over",
}


def _warehouse(order: Order) -> Iterator[Wait]:
    for fulfillment in order.fulfillments:
        step = _WAREHOUSE_STEPS.get(fulfillment_state(order, fulfillment))
        if step is None or fulfillment.released_at is None:
            continue
        yield Wait(
            subject=fulfillment.fulfillment_id,
            owner=Role.WAREHOUSE,
            next_step=step,
            since=_since(fulfillment),
            due_at=_warehouse_due(order, fulfillment, step),
            escalates_to=Role.OPERATIONS,
            overdue=AttentionCode.WAREHOUSE_SILENT,
        )


def _since(fulfillment: Fulfillment) -> datetime:
    times = (fulfillment.released_at, fulfillment.accepted_at, fulfillment.picked_at)
    return max(time for time in times if time is not None)


def _warehouse_due(order: Order, fulfillment: Fulfillment, step: str) -> datetime:
    """Accept within the policy's time; the rest by the promised ship time, or soon after it began when that is past."""
    rules = order.policy.rules
    since = _since(fulfillment)
    if step == "accept":
        return since + rules.accept_within
    return max(order.ship_by, since + rules.hand_over_grace)


def _parcels(order: Order) -> Iterator[Wait]:
    for parcel in order.parcels:
        state = parcel_state(order, parcel)
        if parcel.tracking_number is None and state is not ParcelState.CANCELLED:
            yield _parcel_wait(order, parcel, "book_label", parcel.packed_at, owner=Role.DISPATCH)
        elif needs_label_void(order, parcel):
            yield _parcel_wait(order, parcel, "void_label", parcel.packed_at, owner=Role.DISPATCH)
        elif state is ParcelState.HANDED_OVER:
            since = parcel.heard_at or parcel.packed_at
            yield _parcel_wait(order, parcel, "deliver", since, owner=Role.CARRIER_DESK)
        elif collection_owed(order, parcel):
            yield _parcel_wait(
                order, parcel, "collect_payment", parcel.heard_at or parcel.packed_at, owner=Role.PAYMENTS
            )


def _parcel_wait(order: Order, parcel: Parcel, step: str, since: datetime, *, owner: Role) -> Wait:
    rules = order.policy.rules
    allowed, overdue = {
        "book_label": (rules.carrier_patience, AttentionCode.CARRIER_UNREACHABLE),
        "void_label": (rules.carrier_patience, AttentionCode.CARRIER_UNREACHABLE),
        "deliver": (rules.parcel_silence, AttentionCode.PARCEL_SILENT),
        "collect_payment": (rules.collect_within, AttentionCode.CAPTURE_FAILED),
    }[step]
    return Wait(
        subject=parcel.parcel_id,
        owner=owner,
        next_step=step,
        since=since,
        due_at=since + allowed,
        escalates_to=Role.OPERATIONS,
        overdue=overdue,
    )


def _parked(order: Order) -> Iterator[Wait]:
    for parked in order.parked:
        yield Wait(
            subject=parked.fact.id,
            owner=Role.OPERATIONS,
            next_step="explain_fact",
            since=parked.since,
            due_at=parked.since + order.policy.rules.parked_within,
            escalates_to=Role.ENGINEERING,
            overdue=AttentionCode.CONTRADICTING_FACT,
        )


def _settlement(order: Order) -> Iterator[Wait]:
    """Nothing moves any more, yet the order is not closed: goods were lost or came back and await a person."""
    since = max((case.since for case in order.attention), default=order.received_at)
    owner = min(order.attention, key=lambda case: case.due_at).owner if order.attention else Role.OPERATIONS
    yield Wait(
        subject=order.order_id,
        owner=owner,
        next_step="settle",
        since=since,
        due_at=since + order.policy.rules.settle_within,
        escalates_to=Role.OPERATIONS,
        overdue=AttentionCode.UNEXPECTED_ERROR if not order.attention else None,
    )


def next_due(order: Order) -> datetime | None:
    """When the timer must fire next: the earliest due time that has not been dealt with; None when there is none."""
    return min((wait.due_at for wait in waits(order) if wait.due_id not in order.overdue), default=None)
