"""Holds that people place and release, and the change of address: what gates a warehouse, and what it is told; no I/O."""

from collections.abc import Mapping
from dataclasses import replace

from domain import names, units
from domain.attention import AttentionCode, close_cases, open_case
from domain.change import Change
from domain.commands import ChangeAddress, PlaceHold, ReleaseHold
from domain.ending import reject
from domain.errors import Refused
from domain.orders import TERMINAL, Hold, Order, Request, order_state
from domain.requests import ask, with_state, withdraw, worked_on
from domain.units import Stage
from domain.vocabulary import (
    EventKind,
    HoldDecision,
    HoldReason,
    RejectReason,
    RequestKind,
    RequestState,
    Role,
)

OWNERS: Mapping[HoldReason, Role] = {
    HoldReason.HIGH_RISK_OF_FRAUD: Role.RISK,
    HoldReason.INCORRECT_ADDRESS: Role.SUPPORT,
    HoldReason.AWAITING_PAYMENT: Role.PAYMENTS,
    HoldReason.AWAITING_RETURN_ITEMS: Role.RETURNS_DESK,
    HoldReason.AWAITING_CUSTOMER_ANSWER: Role.SUPPORT,
    HoldReason.INVENTORY_OUT_OF_STOCK: Role.INVENTORY,
    HoldReason.UNKNOWN_DELIVERY_DATE: Role.INVENTORY,
    HoldReason.SCHEDULED: Role.OPERATIONS,
    HoldReason.RECALL: Role.OPERATIONS,
    HoldReason.CUSTOMER_REQUEST: Role.SUPPORT,
    HoldReason.OTHER: Role.SUPPORT,
}
REJECTED_AS: Mapping[HoldReason, RejectReason] = {
    HoldReason.HIGH_RISK_OF_FRAUD: RejectReason.FRAUD,
    HoldReason.INCORRECT_ADDRESS: RejectReason.ADDRESS_UNUSABLE,
    HoldReason.AWAITING_PAYMENT: RejectReason.PAYMENT_EXPIRED,
    HoldReason.INVENTORY_OUT_OF_STOCK: RejectReason.OUT_OF_STOCK,
}
NOT_RELEASED = frozenset({Stage.OPEN, Stage.BACKORDERED, Stage.RESERVED, Stage.CANCELLED})
PACKED_OR_GONE = units.LEFT | {Stage.PACKED}


def refuse_closed(order: Order) -> Refused | None:
    """Why nothing may be asked of *order* any more; None while it is open."""
    if order_state(order) in TERMINAL:
        return Refused(f"the order has ended: {order_state(order).value}", code="order_closed")
    return None


def refuse_hold(order: Order, command: PlaceHold) -> Refused | None:
    """Why *command* is illegal now: ``order_closed``, ``unknown_fulfillment``, ``already_shipped``; None when it is not."""
    if (ended := refuse_closed(order)) is not None:
        return ended
    wanted = command.fulfillment_id
    if wanted is not None and wanted not in {f.fulfillment_id for f in order.fulfillments}:
        return Refused(f"the order has no fulfillment {wanted}", code="unknown_fulfillment")
    if not units.count(order.portions, units.WAITING, fulfillment_id=wanted):
        return Refused("nothing is left that could be held back", code="already_shipped")
    return None


def place_hold(change: Change, command: PlaceHold) -> str:
    """Hold the order, or one fulfillment; a warehouse that has goods of it already is asked to stop. The hold's id."""
    order = change.order
    number = order.hold_count + 1
    hold = Hold(
        hold_id=names.numbered_hold_id(order.order_id, number),
        reason=command.reason,
        placed_by=command.actor_id or command.actor.value,
        owner=OWNERS[command.reason],
        placed_at=change.now,
        due_at=change.now + order.policy.rules.hold_within,
        fulfillment_id=command.fulfillment_id,
        note_id=command.note_id,
    )
    change.order = replace(order, holds=(*order.holds, hold), hold_count=number)
    change.tell(
        EventKind.HOLD_PLACED,
        hold_id=hold.hold_id,
        reason=hold.reason.value,
        owner=hold.owner.value,
        fulfillment_id=hold.fulfillment_id,
        note_id=hold.note_id,
    )
    for fulfillment_id in worked_on(change.order):
        if command.fulfillment_id in {None, fulfillment_id}:
            ask(change, RequestKind.HOLD, fulfillment_id, subject=hold.hold_id)
    return hold.hold_id


def refuse_release(order: Order, command: ReleaseHold) -> Refused | None:
    """Why *command* is illegal now: ``unknown_hold``, ``awaits_payment``, ``already_released``; None when it is not."""
    hold = next((hold for hold in order.holds if hold.hold_id == command.hold_id), None)
    if hold is None:
        return Refused("the order has no such hold, or it was released", code="unknown_hold")
    if command.decision is HoldDecision.REJECT:
        if {portion.stage for portion in order.portions} <= NOT_RELEASED:
            return None
        return Refused("a warehouse has goods of it: cancel the order instead", code="already_released")
    if hold.hold_id == names.hold_id(order.order_id, HoldReason.AWAITING_PAYMENT):
        return Refused("only a payment releases this hold", code="awaits_payment")
    return None


def release_hold(change: Change, command: ReleaseHold) -> str:
    """Let the hold go, or refuse the order for it; the hold's id."""
    hold = next(hold for hold in change.order.holds if hold.hold_id == command.hold_id)
    let_go(change, hold, decision=command.decision, note_id=command.note_id)
    if command.decision is HoldDecision.REJECT:
        reject(change, REJECTED_AS.get(hold.reason, RejectReason.INVALID))
    return hold.hold_id


def let_go(
    change: Change, hold: Hold, *, decision: HoldDecision = HoldDecision.RELEASE, note_id: str | None = None
) -> None:
    """*hold* stands no longer; what warehouses were asked for its sake is withdrawn."""
    change.order = replace(
        change.order, holds=tuple(other for other in change.order.holds if other.hold_id != hold.hold_id)
    )
    change.tell(
        EventKind.HOLD_RELEASED,
        hold_id=hold.hold_id,
        reason=hold.reason.value,
        decision=decision.value,
        note_id=note_id,
    )
    withdraw(change, hold.hold_id)


def release_own_hold(change: Change, reason: HoldReason) -> None:
    """The hold of that reason that we placed ourselves is over, if there is one."""
    for hold in change.order.holds:
        if hold.hold_id == names.hold_id(change.order.order_id, reason):
            change.order = replace(change.order, holds=tuple(h for h in change.order.holds if h != hold))
            change.tell(EventKind.HOLD_RELEASED, hold_id=hold.hold_id, reason=reason.value)


def refuse_address(order: Order, command: ChangeAddress) -> Refused | None:
    """Why *command* is illegal now: ``order_closed``, ``already_packed``, ``other_country``; None when it is not."""
    if (ended := refuse_closed(order)) is not None:
        return ended
    if {portion.stage for portion in order.portions} & PACKED_OR_GONE:
        return Refused("a parcel is packed or has left: its label names the old address", code="already_packed")
    if command.country != order.country:
        return Refused(f"the order ships to {order.country}: tax and carriers depend on it", code="other_country")
    return None


def change_address(change: Change, command: ChangeAddress) -> str:
    """Ship to the newer contact; the warehouses that have goods of it are told. The order's id."""
    change.order = replace(change.order, contact_revision=command.contact_revision)
    change.tell(EventKind.ORDER_AMENDED, what="shipping_address", contact_revision=command.contact_revision)
    subject = f"contact/{command.contact_revision}"
    for fulfillment_id in worked_on(change.order):
        ask(change, RequestKind.CHANGE_ADDRESS, fulfillment_id, subject=subject)
    return change.order.order_id


def other_answered(change: Change, request: Request, *, accepted: bool, reason: str | None) -> None:
    """A warehouse answered a request to stop, or to ship elsewhere; a no to a new address is a case."""
    with_state(change, request, RequestState.ACCEPTED if accepted else RequestState.REFUSED)
    if request.kind is RequestKind.CHANGE_ADDRESS and not accepted:
        open_case(
            change,
            AttentionCode.ADDRESS_UNUSABLE,
            request.fulfillment_id,
            f"the warehouse did not take the new address: {reason or 'no reason given'}",
        )
    silent = frozenset({AttentionCode.WAREHOUSE_SILENT})
    close_cases(change, request.request_id, silent, "the request was answered")


def other_unanswered(change: Change, request: Request) -> None:
    """Nobody answered in time: a case, and a late answer still counts."""
    with_state(change, request, RequestState.TIMED_OUT)
    open_case(
        change, AttentionCode.WAREHOUSE_SILENT, request.request_id, f"no answer to the request: {request.kind.value}"
    )
