"""How an order lives: ``apply`` gives the next value for any message, and what it means for events and our own rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from domain import names
from domain.advance import advance
from domain.attention import AttentionCode, open_case
from domain.backorders import served
from domain.cancelling import cancel_unanswered
from domain.change import Cause, Change, Effect, Event
from domain.commands import COMMANDS
from domain.fulfillment import apply_warehouse_fact
from domain.holding import other_unanswered
from domain.messages import (
    CaptureRefused,
    CarrierFact,
    DueReached,
    Fact,
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
    StockServed,
    StockShort,
    WarehouseFact,
)
from domain.obeying import obey
from domain.orders import Order, Parked
from domain.results import (
    capture_refused,
    expire_payment,
    label_booked,
    label_refused,
    label_voided,
    payment_action_required,
    payment_authorized,
    payment_captured,
    payment_declined,
    payment_fact,
    payment_voided,
    stock_reserved,
    stock_short,
)
from domain.shipping import apply_carrier_fact
from domain.steps import next_steps
from domain.vocabulary import ActorKind, RequestKind
from domain.waits import ANSWER_REQUEST, waits

MOST_SEEN = 500
FACTS = (WarehouseFact, CarrierFact, PaymentFact, StockServed)
MOST_PARKED = 100


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
    change = Change(order=order, now=now, cause=_cause(order, message))
    if isinstance(message, FACTS):
        change.order = replace(order, seen=(*order.seen, message.id)[-MOST_SEEN:])
    elif isinstance(message, COMMANDS):
        change.order = replace(order, seen=(*order.seen, names.command_mark(message.id))[-MOST_SEEN:])
    _MOVES[type(message)](change, message)
    _try_parked(change)
    advance(change)
    while _try_parked(change):  # What was released just now may have been told of before.
        advance(change)
    if change.order == order:
        return Applied(order=order)
    return Applied(
        order=replace(change.order, version=order.version + 1),
        events=tuple(change.events),
        effects=tuple(change.effects),
    )


def _is_known(order: Order, message: Message) -> bool:
    if isinstance(message, COMMANDS):
        return order.has_obeyed(message.id)
    if isinstance(message, FACTS):
        return order.knows(message.id)
    if isinstance(message, DueReached):
        return False
    return message.step_key not in next_steps(order)


def _cause(order: Order, message: Message) -> Cause:
    if isinstance(message, WarehouseFact):
        return Cause(id=message.id, actor=ActorKind.WAREHOUSE, actor_id=message.worker or _source(message.id))
    if isinstance(message, CarrierFact):
        return Cause(id=message.id, actor=ActorKind.CARRIER, actor_id=message.carrier)
    if isinstance(message, PaymentFact):
        return Cause(id=message.id, actor=ActorKind.PAYMENT, actor_id=_source(message.id))
    if isinstance(message, StockServed):
        return Cause(id=message.id, actor=ActorKind.SYSTEM)
    if isinstance(message, COMMANDS):
        return Cause(id=names.command_mark(message.id), actor=message.actor, actor_id=message.actor_id)
    if isinstance(message, DueReached):
        return Cause(id=f"due/{message.at.isoformat()}", actor=ActorKind.SYSTEM)
    if isinstance(message, StepFailed):
        # A person can have it tried again, under the same key: each failure, and the end, is a cause of its own.
        attempt = order.retried_steps.count(message.step_key) + 1
        return Cause(id=f"step/{message.step_key}#failed/{attempt}", actor=ActorKind.SYSTEM)
    return Cause(id=f"step/{message.step_key}", actor=ActorKind.SYSTEM)


def _source(fact_id: str) -> str:
    """Who of that kind sent the fact: the location, the provider."""
    return fact_id.split("/", 1)[0].split(":", 1)[-1]


def _fact(change: Change, fact: Fact) -> None:
    if not _apply_fact(change, fact):
        _park(change, fact)


def _apply_fact(change: Change, fact: Fact) -> bool:
    """Apply *fact*; False when its precondition is missing."""
    if isinstance(fact, WarehouseFact):
        return apply_warehouse_fact(change, fact)
    if isinstance(fact, CarrierFact):
        return apply_carrier_fact(change, fact)
    if isinstance(fact, StockServed):
        return served(change, fact)
    return payment_fact(change, fact)


def _park(change: Change, fact: Fact) -> None:
    """Keep a fact that came too early; a hundred are kept, and the one too many is shown to people instead."""
    order = change.order
    seen = tuple(seen for seen in order.seen if seen != fact.id)
    if len(order.parked) >= MOST_PARKED:
        open_case(change, AttentionCode.CONTRADICTING_FACT, order.order_id, "too many facts came too early")
        return
    change.order = replace(order, seen=seen, parked=(*order.parked, Parked(fact=fact, since=change.now)))


def _try_parked(change: Change) -> bool:
    """Apply what was parked and can be applied now, until nothing more can; whether there was anything."""
    before = change.order.parked
    progress = bool(before)
    while progress:
        progress = False
        for parked in change.order.parked:
            fact = parked.fact
            cause = _cause(change.order, fact)
            # A cause of its own: the fact's own cause may have told something when it was parked.
            trial = Change(
                order=_unparked(change.order, parked), now=change.now, cause=replace(cause, id=f"{cause.id}#parked")
            )
            if _apply_fact(trial, fact):
                change.order = trial.order
                change.events += trial.events
                change.effects += trial.effects
                progress = True
                break
    return change.order.parked != before


def _unparked(order: Order, parked: Parked) -> Order:
    return replace(
        order,
        parked=tuple(other for other in order.parked if other is not parked),
        seen=(*order.seen, parked.fact.id)[-MOST_SEEN:],
    )


def _due_reached(change: Change, due: DueReached) -> None:
    """Deal with every wait that is overdue, once: a case, or the end the rules give it."""
    for wait in waits(change.order):
        if wait.due_at > change.now or wait.due_id in change.order.overdue:
            continue
        change.order = replace(change.order, overdue=(*change.order.overdue, wait.due_id))
        if wait.next_step == ANSWER_REQUEST:
            _request_unanswered(change, wait.subject)
        elif wait.next_step == "confirm_payment":
            expire_payment(change, change.order.authorization(wait.subject))
        elif wait.overdue is not None:
            open_case(change, wait.overdue, wait.subject, f"{wait.next_step} is overdue", wait=wait.key)


def _request_unanswered(change: Change, request_id: str) -> None:
    request = change.order.request(request_id)
    assert request is not None  # the wait is its own
    if request.kind is RequestKind.CANCEL:
        cancel_unanswered(change, request)
    else:
        other_unanswered(change, request)


def _step_failed(change: Change, failure: StepFailed) -> None:
    order = change.order
    change.order = replace(order, failed_steps=(*order.failed_steps, failure.step_key))
    open_case(change, AttentionCode.UNEXPECTED_ERROR, failure.step_key, failure.error)


_MOVES: Mapping[type, Callable[[Change, Any], None]] = {
    WarehouseFact: _fact,
    CarrierFact: _fact,
    PaymentFact: _fact,
    StockServed: _fact,
    StockReserved: stock_reserved,
    StockShort: stock_short,
    PaymentAuthorized: payment_authorized,
    PaymentDeclined: payment_declined,
    PaymentActionRequired: payment_action_required,
    PaymentCaptured: payment_captured,
    CaptureRefused: capture_refused,
    PaymentVoided: payment_voided,
    LabelBooked: label_booked,
    LabelRefused: label_refused,
    LabelVoided: label_voided,
    StepFailed: _step_failed,
    DueReached: _due_reached,
    **dict.fromkeys(COMMANDS, obey),
}
