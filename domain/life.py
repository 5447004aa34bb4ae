"""How an order lives: ``apply`` gives the next value for any message, and what it means for events and our own rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from domain import names, units
from domain.attention import AttentionCode, close_ended_waits, open_case
from domain.change import Cause, Change, Effect, Event
from domain.fulfillment import apply_warehouse_fact
from domain.messages import (
    CaptureRefused,
    CarrierFact,
    Decision,
    DueReached,
    LabelBooked,
    LabelRefused,
    LabelVoided,
    Message,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentFact,
    PaymentVoided,
    StepFailed,
    StockReserved,
    StockShort,
    WarehouseFact,
)
from domain.orders import (
    Authorization,
    Fulfillment,
    Hold,
    Order,
    Outcome,
    Parked,
    all_authorized,
    fulfillment_state,
    order_state,
)
from domain.payments import capture_amount, plan_authorizations, startable, with_authorization, with_parcel
from domain.shipping import apply_carrier_fact, check_collection
from domain.steps import next_steps, reserve_key
from domain.units import Place, Stage
from domain.vocabulary import (
    ActorKind,
    CancelReason,
    EventKind,
    FulfillmentState,
    HoldReason,
    MovementKind,
    OrderState,
    PaymentState,
    RejectReason,
    Role,
)
from domain.waits import waits

MOST_SEEN = 500
MOST_PARKED = 100
GIVE_BACK = ((MovementKind.UNRESERVED, 1),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The order after one message; ``events`` and ``effects`` belong to the same write."""

    order: Order
    events: tuple[Event, ...] = ()
    effects: tuple[Effect, ...] = ()


def apply(order: Order, message: Message, now: datetime) -> Applied:
    """*order* after *message*. One that was applied before, or means nothing any more, gives the same value back."""
    if _is_known(order, message):
        return Applied(order=order)
    change = Change(order=order, now=now, cause=_cause(message))
    if isinstance(message, WarehouseFact | CarrierFact | PaymentFact):
        change.order = replace(order, seen=(*order.seen, message.id)[-MOST_SEEN:])
    _MOVES[type(message)](change, message)
    _try_parked(change)
    _advance(change)
    if change.order == order:
        return Applied(order=order)
    return Applied(
        order=replace(change.order, version=order.version + 1),
        events=tuple(change.events),
        effects=tuple(change.effects),
    )


def _is_known(order: Order, message: Message) -> bool:
    if isinstance(message, WarehouseFact | CarrierFact | PaymentFact):
        return order.knows(message.id)
    if isinstance(message, DueReached):
        return False
    return message.step_key not in next_steps(order)


def _cause(message: Message) -> Cause:
    if isinstance(message, WarehouseFact):
        return Cause(id=message.id, actor=ActorKind.WAREHOUSE, actor_id=message.worker or message.id.split("/", 1)[0])
    if isinstance(message, CarrierFact):
        return Cause(id=message.id, actor=ActorKind.CARRIER, actor_id=message.carrier)
    if isinstance(message, PaymentFact):
        return Cause(id=message.id, actor=ActorKind.PAYMENT, actor_id=message.id.split("/", 1)[0])
    if isinstance(message, DueReached):
        return Cause(id=f"due/{message.at.isoformat()}", actor=ActorKind.SYSTEM)
    return Cause(id=f"step/{message.step_key}", actor=ActorKind.SYSTEM)


def _warehouse_fact(change: Change, fact: WarehouseFact) -> None:
    if not apply_warehouse_fact(change, fact):
        _park(change, fact)


def _carrier_fact(change: Change, fact: CarrierFact) -> None:
    if not apply_carrier_fact(change, fact):
        _park(change, fact)


def _park(change: Change, fact: WarehouseFact | CarrierFact) -> None:
    """Keep a fact that came too early; a hundred are kept, and the one too many is shown to people instead."""
    order = change.order
    seen = tuple(seen for seen in order.seen if seen != fact.id)
    if len(order.parked) >= MOST_PARKED:
        open_case(change, AttentionCode.CONTRADICTING_FACT, order.order_id, "too many facts came too early")
        return
    change.order = replace(order, seen=seen, parked=(*order.parked, Parked(fact=fact, since=change.now)))


def _try_parked(change: Change) -> None:
    """Apply what was parked and can be applied now, until nothing more can."""
    progress = True
    while progress:
        progress = False
        for parked in change.order.parked:
            fact = parked.fact
            cause = _cause(fact)
            # A cause of its own: the fact's own cause may have told something when it was parked.
            trial = Change(
                order=_unparked(change.order, parked), now=change.now, cause=replace(cause, id=f"{cause.id}#parked")
            )
            ready = (
                apply_warehouse_fact(trial, fact)
                if isinstance(fact, WarehouseFact)
                else apply_carrier_fact(trial, fact)
            )
            if ready:
                change.order = trial.order
                change.events += trial.events
                change.effects += trial.effects
                progress = True
                break


def _unparked(order: Order, parked: Parked) -> Order:
    return replace(
        order,
        parked=tuple(other for other in order.parked if other is not parked),
        seen=(*order.seen, parked.fact.id)[-MOST_SEEN:],
    )


def _payment_fact(change: Change, fact: PaymentFact) -> None:
    """The provider's word on an authorization that waits for the customer; on any other it changes nothing."""
    found = [a for a in change.order.authorizations if a.authorization_id == fact.authorization_id]
    if not found or found[0].state is not PaymentState.ACTION_REQUIRED or found[0].void_since is not None:
        return
    authorization = found[0]
    if fact.outcome == "authorized":
        _authorized(change, authorization, fact.reference or authorization.reference, fact.expires_at)
        _release_hold(change, HoldReason.AWAITING_PAYMENT)
    elif fact.outcome == "expired":
        _expire_payment(change, authorization)
    else:
        _decline(change, authorization, fact.code or "authentication_failed")


def _stock_reserved(change: Change, result: StockReserved) -> None:
    order = change.order
    portions = order.portions
    fulfillments = order.fulfillments
    for planned in result.fulfillments:
        fulfillments = (
            *fulfillments,
            Fulfillment(
                fulfillment_id=planned.fulfillment_id,
                location_id=planned.location_id,
                allocations=planned.allocations,
            ),
        )
        portions = units.move(
            portions,
            {allocation.line_id: allocation.quantity for allocation in planned.allocations},
            Place(stage=Stage.OPEN),
            Place(stage=Stage.RESERVED, fulfillment_id=planned.fulfillment_id),
        )
    change.order = replace(
        order, portions=portions, fulfillments=fulfillments, decisions=(*order.decisions, result.decision)
    )
    change.order = replace(change.order, authorizations=plan_authorizations(change.order, now=change.now))
    change.tell(
        EventKind.STOCK_RESERVED,
        fulfillments=[
            {"fulfillment_id": planned.fulfillment_id, "location_id": planned.location_id}
            for planned in result.fulfillments
        ],
    )


def _stock_short(change: Change, result: StockShort) -> None:
    change.order = replace(change.order, decisions=(*change.order.decisions, result.decision))
    missing = [{"sku": sku, "quantity": quantity} for sku, quantity in result.missing]
    reject(change, RejectReason.OUT_OF_STOCK, missing=missing)


def _payment_authorized(change: Change, result: PaymentAuthorized) -> None:
    authorization = change.order.authorization(result.authorization_id)
    _authorized(change, authorization, result.reference, result.expires_at)


def _authorized(
    change: Change, authorization: Authorization, reference: str | None, expires_at: datetime | None
) -> None:
    held = replace(
        authorization,
        state=PaymentState.AUTHORIZED,
        reference=reference,
        expires_at=expires_at,
        action_url=None,
        action_due_at=None,
    )
    change.order = with_authorization(change.order, held)
    change.tell(
        EventKind.PAYMENT_AUTHORIZED,
        payment_id=held.payment_id,
        fulfillment_id=held.fulfillment_id,
        amount_minor=held.amount_minor,
        expires_at=expires_at.isoformat() if expires_at else None,
    )


def _payment_declined(change: Change, result: PaymentDeclined) -> None:
    _decline(change, change.order.authorization(result.authorization_id), result.code)


def _decline(change: Change, authorization: Authorization, code: str) -> None:
    change.order = with_authorization(
        change.order, replace(authorization, state=PaymentState.DECLINED, decline_code=code, action_url=None)
    )
    change.tell(EventKind.PAYMENT_DECLINED, payment_id=authorization.payment_id, code=code)
    reject(change, RejectReason.PAYMENT_DECLINED, code=code)


def _payment_action_required(change: Change, result: PaymentActionRequired) -> None:
    """The customer must act; the order is held until then, at most as long as policy and provider allow."""
    order = change.order
    due_at = min(result.expires_at, change.now + order.policy.rules.payment_action_within)
    authorization = replace(
        order.authorization(result.authorization_id),
        state=PaymentState.ACTION_REQUIRED,
        reference=result.reference,
        action_url=result.url,
        action_due_at=due_at,
    )
    change.order = with_authorization(order, authorization)
    change.tell(EventKind.PAYMENT_ACTION_REQUIRED, payment_id=authorization.payment_id, due_at=due_at.isoformat())
    _place_hold(change, HoldReason.AWAITING_PAYMENT, owner=Role.CUSTOMER, due_at=due_at)


def _place_hold(change: Change, reason: HoldReason, *, owner: Role, due_at: datetime) -> None:
    order = change.order
    hold_id = names.hold_id(order.order_id, reason)
    if any(hold.hold_id == hold_id for hold in order.holds):
        return
    hold = Hold(hold_id=hold_id, reason=reason, placed_by="system", owner=owner, placed_at=change.now, due_at=due_at)
    change.order = replace(order, holds=(*order.holds, hold))
    change.tell(EventKind.HOLD_PLACED, hold_id=hold_id, reason=reason.value, owner=owner.value)


def _release_hold(change: Change, reason: HoldReason) -> None:
    for hold in change.order.holds:
        if hold.reason is reason:
            change.order = replace(change.order, holds=tuple(h for h in change.order.holds if h != hold))
            change.tell(EventKind.HOLD_RELEASED, hold_id=hold.hold_id, reason=reason.value)


def _payment_captured(change: Change, result: PaymentCaptured) -> None:
    authorization = change.order.authorization(result.authorization_id)
    change.order = with_authorization(
        change.order,
        replace(authorization, state=PaymentState.CAPTURED, captured_minor=result.amount_minor),
    )
    change.tell(
        EventKind.PAYMENT_CAPTURED,
        payment_id=authorization.payment_id,
        fulfillment_id=authorization.fulfillment_id,
        amount_minor=result.amount_minor,
    )


def _capture_refused(change: Change, result: CaptureRefused) -> None:
    authorization = change.order.authorization(result.authorization_id)
    change.order = with_authorization(change.order, replace(authorization, capture_refused=result.code))
    open_case(change, AttentionCode.CAPTURE_FAILED, authorization.authorization_id, f"refused: {result.code}")


def _payment_voided(change: Change, result: PaymentVoided) -> None:
    authorization = change.order.authorization(result.authorization_id)
    change.order = with_authorization(change.order, replace(authorization, state=PaymentState.VOIDED))
    change.tell(
        EventKind.PAYMENT_VOIDED,
        payment_id=authorization.payment_id,
        fulfillment_id=authorization.fulfillment_id,
        amount_minor=authorization.amount_minor,
    )


def _label_booked(change: Change, result: LabelBooked) -> None:
    parcel = change.order.parcel(result.parcel_id)
    labelled = replace(
        parcel,
        carrier=result.carrier,
        service=result.service,
        tracking_number=result.tracking_number,
        estimated_on=result.estimated_on,
    )
    change.order = with_parcel(change.order, labelled)
    _decided(change, result.decision)
    change.tell(
        EventKind.PARCEL_LABELLED,
        parcel_id=parcel.parcel_id,
        carrier=result.carrier,
        service=result.service,
        tracking_number=result.tracking_number,
        price_minor=result.price_minor,
        currency=result.currency,
    )
    check_collection(change, parcel.parcel_id)


def _label_refused(change: Change, result: LabelRefused) -> None:
    parcel = change.order.parcel(result.parcel_id)
    change.order = with_parcel(change.order, replace(parcel, label_refused=result.code))
    if result.decision is not None:
        _decided(change, result.decision)
    open_case(change, AttentionCode.LABEL_FAILED, parcel.parcel_id, result.code)


def _label_voided(change: Change, result: LabelVoided) -> None:
    parcel = change.order.parcel(result.parcel_id)
    change.order = with_parcel(change.order, replace(parcel, label_voided=True))


def _decided(change: Change, decision: Decision) -> None:
    change.order = replace(change.order, decisions=(*change.order.decisions, decision))


def _step_failed(change: Change, failure: StepFailed) -> None:
    order = change.order
    change.order = replace(order, failed_steps=(*order.failed_steps, failure.step_key))
    open_case(change, AttentionCode.UNEXPECTED_ERROR, failure.step_key, failure.error)


def _due_reached(change: Change, due: DueReached) -> None:
    """Deal with every wait that is overdue, once: a case, or the end the rules give it."""
    for wait in waits(change.order):
        if wait.due_at > change.now or wait.due_id in change.order.overdue:
            continue
        change.order = replace(change.order, overdue=(*change.order.overdue, wait.due_id))
        if wait.next_step == "confirm_payment":
            _expire_payment(change, change.order.authorization(wait.subject))
        elif wait.overdue is not None:
            open_case(change, wait.overdue, wait.subject, f"{wait.next_step} is overdue", wait=wait.key)


def _expire_payment(change: Change, authorization: Authorization) -> None:
    change.order = with_authorization(change.order, replace(authorization, action_url=None))
    reject(change, RejectReason.PAYMENT_EXPIRED)


def reject(change: Change, reason: RejectReason, **details: Any) -> None:
    """End the order as refused: every unit cancelled, stock given back, money held given back."""
    order = change.order
    for fulfillment in order.fulfillments:
        promised = units.by_line(order.portions, {Stage.RESERVED}, fulfillment_id=fulfillment.fulfillment_id)
        change.move_stock(fulfillment.fulfillment_id, GIVE_BACK, promised)
    if order.fulfillments:
        change.tell(EventKind.STOCK_UNRESERVED, reason=reason.value)
    else:
        change.undo_step(reserve_key(order))
    may_have_started = {authorization.authorization_id for authorization in startable(order)}
    change.order = replace(
        change.order,
        outcome=Outcome(state=OrderState.REJECTED, reason=reason.value, detail=details.get("code")),
        portions=tuple(replace(portion, stage=Stage.CANCELLED) for portion in order.portions),
        holds=(),
        authorizations=tuple(
            _given_up(authorization, change.now, started=authorization.authorization_id in may_have_started)
            for authorization in order.authorizations
        ),
    )
    change.tell(EventKind.ORDER_REJECTED, reason=reason.value, **details)


def _given_up(authorization: Authorization, now: datetime, *, started: bool) -> Authorization:
    """What becomes of an authorization when its order ends: one that was never asked for needs no undoing."""
    if authorization.state in {PaymentState.AUTHORIZED, PaymentState.ACTION_REQUIRED}:
        return replace(authorization, void_since=now)
    if authorization.state is PaymentState.PENDING:
        return replace(authorization, void_since=now) if started else replace(authorization, state=PaymentState.VOIDED)
    return authorization


def _advance(change: Change) -> None:
    """What follows by itself: confirm, release to the warehouse, give back holds of nothing, close what is over."""
    _announce(change)
    _release(change)
    _give_back_unused(change)
    _announce(change)
    _forget_past_waits(change)


def _release(change: Change) -> None:
    """Release every planned fulfillment, unless the order is held or its money is not held."""
    order = change.order
    if order.holds or order.outcome is not None or units.count(order.portions, {Stage.OPEN}):
        return
    if not all_authorized(order):
        return
    planned = {
        fulfillment.fulfillment_id: promised
        for fulfillment in order.fulfillments
        if (promised := units.by_line(order.portions, {Stage.RESERVED}, fulfillment_id=fulfillment.fulfillment_id))
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
    """A hold of money that nothing will be taken from is voided."""
    for authorization in change.order.authorizations:
        undoable = authorization.state in {PaymentState.AUTHORIZED, PaymentState.ACTION_REQUIRED}
        if undoable and authorization.void_since is None and capture_amount(change.order, authorization) == 0:
            change.order = with_authorization(change.order, replace(authorization, void_since=change.now))


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
        change.order = replace(change.order, outcome=Outcome(state=OrderState.CANCELLED, reason=CancelReason.INVENTORY))
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


_MOVES: Mapping[type, Callable[[Change, Any], None]] = {
    WarehouseFact: _warehouse_fact,
    CarrierFact: _carrier_fact,
    PaymentFact: _payment_fact,
    StockReserved: _stock_reserved,
    StockShort: _stock_short,
    PaymentAuthorized: _payment_authorized,
    PaymentDeclined: _payment_declined,
    PaymentActionRequired: _payment_action_required,
    PaymentCaptured: _payment_captured,
    CaptureRefused: _capture_refused,
    PaymentVoided: _payment_voided,
    LabelBooked: _label_booked,
    LabelRefused: _label_refused,
    LabelVoided: _label_voided,
    StepFailed: _step_failed,
    DueReached: _due_reached,
}
