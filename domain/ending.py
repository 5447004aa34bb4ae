"""How an order is refused: every unit cancelled, stock and held money given back; no I/O."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from domain import units
from domain.change import Change
from domain.orders import (
    Authorization,
    Outcome,
)
from domain.payments import startable
from domain.steps import reserve_key
from domain.units import Place, Stage
from domain.vocabulary import (
    EventKind,
    MovementKind,
    OrderState,
    PaymentState,
    RejectReason,
)

GIVE_BACK = ((MovementKind.UNRESERVED, 1),)


def reject(change: Change, reason: RejectReason, *, asked: frozenset[str] | None = None, **details: Any) -> None:
    """End the order as refused: every unit cancelled, stock given back, money held given back.

    *asked* are the authorizations that may have been asked for when that began; without it, those that may be now.
    """
    order = change.order
    for fulfillment in order.fulfillments:
        promised = units.by_line(order.portions, {Stage.RESERVED}, fulfillment_id=fulfillment.fulfillment_id)
        change.move_stock(fulfillment.fulfillment_id, GIVE_BACK, promised)
    if order.fulfillments:
        change.tell(EventKind.STOCK_UNRESERVED, reason=reason.value)
    for looked_for in {p.fulfillment_id: None for p in order.portions if p.stage is Stage.OPEN}:
        change.undo_step(reserve_key(order, looked_for))
    change.leave_queue(units.by_line(order.portions, {Stage.BACKORDERED}))
    if asked is None:
        asked = frozenset(authorization.authorization_id for authorization in startable(order))
    change.order = replace(
        change.order,
        outcome=Outcome(state=OrderState.REJECTED, reason=reason.value, detail=details.get("code")),
        portions=_cancelled(order.portions),
        holds=(),
        authorizations=tuple(
            given_up(authorization, change.now, started=authorization.authorization_id in asked)
            for authorization in order.authorizations
        ),
    )
    change.tell(EventKind.ORDER_REJECTED, reason=reason.value, **details)


def _cancelled(portions: units.Portions) -> units.Portions:
    for portion in portions:
        place = Place(stage=portion.stage, fulfillment_id=portion.fulfillment_id, parcel_id=portion.parcel_id)
        moved = {portion.line_id: portion.quantity}
        portions = units.move(portions, moved, place, replace(place, stage=Stage.CANCELLED))
    return portions


def given_up(authorization: Authorization, now: datetime, *, started: bool) -> Authorization:
    """What becomes of an authorization that nothing needs any more: one that was never asked for needs no undoing."""
    if authorization.state in {PaymentState.AUTHORIZED, PaymentState.ACTION_REQUIRED}:
        return replace(authorization, void_since=now)
    if authorization.state is PaymentState.PENDING:
        return replace(authorization, void_since=now) if started else replace(authorization, state=PaymentState.VOIDED)
    return authorization
