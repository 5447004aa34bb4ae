"""What speaks against a new order: what is known of it, with what came before it, put to the rules of its policy."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from api.intake import Content
from db import risk
from db.notes import Note
from domain.orders import Order
from domain.policy import Rules
from domain.risk import (
    PLACED_BY,
    Assessment,
    Circumstances,
    Past,
    address_fingerprint,
    asks_past,
    assess,
    card_fingerprint,
    reasons_note_id,
)
from domain.vocabulary import ActorKind, DeliveryMethod


async def assess_order(session: AsyncSession, content: Content, rules: Rules, *, now: datetime) -> Assessment:
    """What speaks against the order; at most one statement."""
    body = content.body
    known = Circumstances(
        total_minor=content.total,
        country=body.shipping_address.country,
        billing_country=None if body.billing_address is None else body.billing_address.country,
        ip_country=body.ip_country,
        past=await _past(session, content, rules, now=now),
    )
    return assess(known, rules)


async def _past(session: AsyncSession, content: Content, rules: Rules, *, now: datetime) -> Past:
    if not asks_past(rules):
        return Past()
    body = content.body
    tokens = sorted({payment.token for payment in body.payments if payment.token is not None})
    return await risk.find_past(
        session,
        source=body.source,
        customer_ref=body.customer.customer_ref,
        address=home_fingerprint(content),
        cards=[card_fingerprint(token) for token in tokens],
        rules=rules,
        now=now,
    )


def home_fingerprint(content: Content) -> bytes | None:
    """The fingerprint of the address; None where many customers share one: a pick-up point, a store."""
    if content.body.delivery.method is not DeliveryMethod.HOME:
        return None
    return address_fingerprint(content.body.shipping_address.model_dump())


def reasons(order: Order, assessment: Assessment) -> tuple[Note, ...]:
    """Why the order is held, for those who must decide; nothing when it is not."""
    if not assessment.holds:
        return ()
    note = Note(
        note_id=reasons_note_id(order.order_id),
        order_id=order.order_id,
        text=assessment.reasons,
        actor_kind=ActorKind.SYSTEM,
        actor_id=PLACED_BY,
        at=order.received_at,
    )
    return (note,)
