"""What follows by itself once a message has changed an order: confirm, release, give back, announce; no I/O."""

from collections.abc import Mapping
from dataclasses import replace

from domain import names, units
from domain.attention import close_ended_waits
from domain.cancelling import drop_moot_requests
from domain.change import Change
from domain.ending import given_up
from domain.holding import release_own_hold
from domain.orders import (
    Authorization,
    Fulfillment,
    Outcome,
    all_authorized,
    fulfillment_state,
    order_state,
)
from domain.payments import capture_amount, startable, with_authorization
from domain.units import Place, Stage
from domain.vocabulary import (
    CancelReason,
    EventKind,
    FulfillmentState,
    HoldReason,
    OrderState,
    PaymentState,
)
from domain.waits import waits


def advance(change: Change) -> None:
    """What follows by itself: confirm, release to the warehouse, give back holds of nothing, close what is over."""
    drop_moot_requests(change)
    _give_back_unused(change)  # First: a hold that nobody needs any more keeps nothing at home.
    _announce(change)
    _release(change)
    _announce(change)
    _forget_past_waits(change)


def _release(change: Change) -> None:
    """Release every planned fulfillment, unless the order is held or its money is not held."""
    order = change.order
    held = {hold.fulfillment_id for hold in order.holds}
    if None in held or order.outcome is not None or units.count(order.portions, {Stage.OPEN}):
        return
    if not all_authorized(order):
        return
    if not order.allow_split and units.count(order.portions, {Stage.BACKORDERED}):
        return
    planned = {
        fulfillment.fulfillment_id: promised
        for fulfillment in order.fulfillments
        if fulfillment.fulfillment_id not in held
        and (promised := units.by_line(order.portions, {Stage.RESERVED}, fulfillment_id=fulfillment.fulfillment_id))
    }
    # One dead hold keeps all at home: a decline of the new one rejects the order, which no warehouse may work on then.
    renewed = [_renew_dead_authorizations(change, order.fulfillment(fulfillment_id)) for fulfillment_id in planned]
    if any(renewed):
        return
    for fulfillment_id, promised in planned.items():
        fulfillment = change.order.fulfillment(fulfillment_id)
        place = Place(stage=Stage.RESERVED, fulfillment_id=fulfillment.fulfillment_id)
        change.order = replace(
            change.order,
            portions=units.move(change.order.portions, promised, place, replace(place, stage=Stage.RELEASED)),
            fulfillments=tuple(
                replace(f, released_at=change.now) if f.fulfillment_id == fulfillment.fulfillment_id else f
                for f in change.order.fulfillments
            ),
        )
        change.tell(
            EventKind.FULFILLMENT_RELEASED,
            fulfillment_id=fulfillment.fulfillment_id,
            location_id=fulfillment.location_id,
        )


def _renew_dead_authorizations(change: Change, fulfillment: Fulfillment) -> bool:
    """Ask anew, under the next generation, for money whose hold has run out; whether there was any."""
    renewed = False
    for authorization in change.order.authorizations:
        dead = authorization.expires_at is not None and authorization.expires_at <= change.now
        if dead and authorization.fulfillment_id == fulfillment.fulfillment_id:
            generation = int(authorization.authorization_id.rsplit(":", 1)[1]) + 1
            fresh = Authorization(
                authorization_id=names.authorization_id(
                    fulfillment.fulfillment_id, authorization.payment_id, generation
                ),
                payment_id=authorization.payment_id,
                fulfillment_id=fulfillment.fulfillment_id,
                amount_minor=authorization.amount_minor,
                shipping_minor=authorization.shipping_minor,
                requested_at=change.now,
            )
            change.order = replace(
                change.order,
                authorizations=tuple(
                    fresh if a.authorization_id == authorization.authorization_id else a
                    for a in change.order.authorizations
                ),
            )
            renewed = True
    return renewed


def _give_back_unused(change: Change) -> None:
    """A hold of money that nothing will be taken from is voided, and one that was never asked for is not asked for."""
    may_have_started = {authorization.authorization_id for authorization in startable(change.order)}
    for authorization in change.order.authorizations:
        undoable = authorization.state in _UNDOABLE and authorization.void_since is None
        if undoable and capture_amount(change.order, authorization) == 0:
            started = authorization.authorization_id in may_have_started
            change.order = with_authorization(change.order, given_up(authorization, change.now, started=started))
    if not any(a.state is PaymentState.ACTION_REQUIRED and a.void_since is None for a in change.order.authorizations):
        release_own_hold(change, HoldReason.AWAITING_PAYMENT)


_UNDOABLE = frozenset({PaymentState.PENDING, PaymentState.AUTHORIZED, PaymentState.ACTION_REQUIRED})
_STATE_EVENTS: Mapping[OrderState, EventKind] = {
    OrderState.CONFIRMED: EventKind.ORDER_CONFIRMED,
    OrderState.FULFILLING: EventKind.ORDER_FULFILLING,
    OrderState.SHIPPED: EventKind.ORDER_SHIPPED,
    OrderState.DELIVERED: EventKind.ORDER_DELIVERED,
    OrderState.CANCELLED: EventKind.ORDER_CANCELLED,
    OrderState.UNDELIVERABLE: EventKind.ORDER_UNDELIVERABLE,
}


def _announce(change: Change) -> None:
    """Tell of a new state of the order, and of fulfillments that ended without being refused."""
    _announce_cancelled_fulfillments(change)
    state = order_state(change.order)
    if state is change.order.announced:
        return
    change.order = replace(change.order, announced=state)
    if state is OrderState.CANCELLED and change.order.outcome is None:
        reason = next((c.reason for c in reversed(change.order.cancellations) if c.done), CancelReason.INVENTORY)
        change.order = replace(change.order, outcome=Outcome(state=OrderState.CANCELLED, reason=reason.value), holds=())
    if state in _STATE_EVENTS:
        change.tell(_STATE_EVENTS[state])


def _announce_cancelled_fulfillments(change: Change) -> None:
    for fulfillment in change.order.fulfillments:
        told = change.order.cancelled_fulfillments
        over = fulfillment_state(change.order, fulfillment) is FulfillmentState.CANCELLED
        if over and fulfillment.released_at is not None and fulfillment.fulfillment_id not in told:
            change.order = replace(change.order, cancelled_fulfillments=(*told, fulfillment.fulfillment_id))
            change.tell(EventKind.FULFILLMENT_CANCELLED, fulfillment_id=fulfillment.fulfillment_id)


def _forget_past_waits(change: Change) -> None:
    current = waits(change.order)
    close_ended_waits(change, frozenset(wait.key for wait in current))
    due_ids = {wait.due_id for wait in current}
    kept = tuple(due_id for due_id in change.order.overdue if due_id in due_ids)
    if kept != change.order.overdue:
        change.order = replace(change.order, overdue=kept)
