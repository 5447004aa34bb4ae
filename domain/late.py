"""Facts that arrive after an order has ended: kept as an event, and a case when one contradicts the end; no I/O."""

from datetime import datetime
from typing import Any

from domain import names
from domain.attention import CASES, AttentionCode
from domain.change import Event
from domain.messages import CarrierFact, PaymentFact, WarehouseFact
from domain.orders import Order, order_state
from domain.shipping import contradicts
from domain.vocabulary import ActorKind, EventKind, OrderState, WarehouseFactKind

_WAREHOUSE_EVENTS = {
    WarehouseFactKind.ACCEPTED: EventKind.FULFILLMENT_ACCEPTED,
    WarehouseFactKind.REFUSED: EventKind.FULFILLMENT_REFUSED,
    WarehouseFactKind.PICKED: EventKind.FULFILLMENT_PICKED,
    WarehouseFactKind.SHORT_PICKED: EventKind.FULFILLMENT_SHORT_PICKED,
    WarehouseFactKind.PACKED: EventKind.FULFILLMENT_PACKED,
    WarehouseFactKind.HANDED_OVER: EventKind.FULFILLMENT_HANDED_OVER,
    WarehouseFactKind.REQUEST_ACCEPTED: EventKind.REQUEST_ANSWERED,
    WarehouseFactKind.REQUEST_REFUSED: EventKind.REQUEST_ANSWERED,
}

OutsideFact = WarehouseFact | CarrierFact | PaymentFact


def record(order: Order, fact: OutsideFact, *, now: datetime) -> tuple[Event, dict[str, Any] | None]:
    """The event that keeps *fact*, and the case it opens when it contradicts the end; no unit and no money moves."""
    kind, actor, actor_id, data = _told(order, fact)
    event = Event(
        cause_id=f"{fact.id}#late",
        ordinal=0,
        kind=kind,
        at=now,
        actor=actor,
        actor_id=actor_id,
        data={**data, "occurred_at": fact.occurred_at.isoformat(), "after_end": True},
    )
    cause = contradiction(order, fact)
    if cause is None:
        return event, None
    rule = CASES[AttentionCode.CONTRADICTING_FACT]
    return event, {
        "attention_id": names.attention_id(order.order_id, order.attention_count + 1) + f"_{abs(hash_of(fact.id))}",
        "code": AttentionCode.CONTRADICTING_FACT.value,
        "subject": order.order_id,
        "owner": rule.owner.value,
        "since": now.isoformat(),
        "due_at": (now + rule.allowed).isoformat(),
        "cause": cause,
    }


def hash_of(text: str) -> int:
    """A small number that is the same for the same *text* in every process (FNV-1a, 32 bits)."""
    value = 2166136261
    for byte in text.encode():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return value


def contradiction(order: Order, fact: OutsideFact) -> str | None:
    """Why *fact* cannot be squared with the order's end; None when it can."""
    ended = order_state(order)
    nothing_left = ended in {OrderState.CANCELLED, OrderState.REJECTED}
    if isinstance(fact, WarehouseFact):
        if fact.kind is WarehouseFactKind.HANDED_OVER and nothing_left:
            return f"goods were handed over after the order was {ended.value}"
        return None
    if isinstance(fact, CarrierFact):
        parcel = order.parcel_tracked(fact.carrier, fact.tracking_number)
        told = parcel.tracking_status.value if parcel else "nothing"
        return f"the carrier reports {fact.status.value} after {told}" if contradicts(parcel, fact) else None
    if fact.outcome == "authorized" and nothing_left:
        return f"money was held after the order was {ended.value}"
    return None


def _told(order: Order, fact: OutsideFact) -> tuple[EventKind, ActorKind, str | None, dict[str, Any]]:
    if isinstance(fact, WarehouseFact):
        return _WAREHOUSE_EVENTS[fact.kind], ActorKind.WAREHOUSE, fact.worker, {"fulfillment_id": fact.fulfillment_id}
    if isinstance(fact, CarrierFact):
        parcel = order.parcel_tracked(fact.carrier, fact.tracking_number)
        data = {"parcel_id": parcel.parcel_id if parcel else None, "status": fact.status.value}
        return EventKind.PARCEL_TRACKED, ActorKind.CARRIER, fact.carrier, data
    assert isinstance(fact, PaymentFact)  # the only kind left
    kinds = {"authorized": EventKind.PAYMENT_AUTHORIZED}
    return (
        kinds.get(fact.outcome, EventKind.PAYMENT_DECLINED),
        ActorKind.PAYMENT,
        None,
        {"authorization_id": fact.authorization_id},
    )
