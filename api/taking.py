"""Taking an order: one transaction from the request to the outbox, and the order that an identity already has."""

import os
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from api.answers import Answer, answer
from api.intake import Content, Draft, content_of
from api.risk import assess_order, home_fingerprint, reasons
from api.security import Call
from api.views import order_view
from contracts import names
from db import catalogue, policies
from db import intake as orders_in
from db.catalogue import SoldProduct
from db.intake import INTAKE, Contact, Existing, Intake, Token
from db.notes import Note
from db.reading import orders
from db.reading.orders import StoredOrder
from domain.errors import Conflict, Invalid, Refused
from domain.intake import NewOrder, new_order
from domain.orders import Order
from domain.policy import Policy
from domain.priority import priority
from domain.risk import Assessment, assessed, hold_placed

TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The answer to a new order; *fresh* when it began with this request."""

    answer: Answer
    order_id: str
    fresh: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What an order is checked and filled in with."""

    products: dict[str, SoldProduct]
    policy: Policy
    received_at: datetime


def may_bring(call: Call, draft: Draft) -> None:
    """Return when the key may bring orders of this source.

    Raises:
        Refused: (forbidden) the source belongs to someone else.
    """
    if draft.body is not None and not call.sees_source(draft.body.source):
        raise Refused(f"this key may not bring orders of source {draft.body.source}", code="forbidden")


async def take(session: AsyncSession, call: Call, draft: Draft, raw: bytes) -> Taken:
    """The order of this request, new or known; at most 10 statements.

    Raises:
        Invalid: everything that is wrong with the request.
        Conflict: (order_ref_taken) its identity belongs to an order with other content.
    """
    content = content_of(draft)
    known: Known | None = None
    for _ in range(TRIES):
        existing = None if content is None else await _existing(session, content)
        if content is not None and existing is not None and existing.request_hash == content.hash:
            return await _again(session, call, existing)
        known = known or await _look_up(session, call, draft)
        if errors := draft.violations(known.products, known.policy):
            raise Invalid(errors)
        if content is None:
            raise AssertionError("a draft without violations has content")
        if existing is not None and not existing.rejected:
            raise Conflict(
                f"{content.body.order_ref} is {existing.order_id}, with other content", code="order_ref_taken"
            )
        replaces = None if existing is None else existing.order_id
        assessment = await assess_order(session, content, known.policy.rules, now=known.received_at)
        intake = _intake(call, content, known, assessment, raw=raw, replaces=replaces)
        if await orders_in.insert_order(session, intake):
            return _begun(call, intake)
    raise Refused("others are taking this order at the same time; try again", code="busy")


async def _existing(session: AsyncSession, content: Content) -> Existing | None:
    body = content.body
    return await orders_in.find_existing(
        session, channel=body.channel.value, source=body.source, order_ref=body.order_ref
    )


async def _again(session: AsyncSession, call: Call, existing: Existing) -> Taken:
    stored = await orders.find_order(session, existing.order_id)
    if stored is None:
        raise AssertionError("an order is never deleted")
    found = answer(order_view(stored, call.context.settings), headers=_location(existing.order_id))
    return Taken(answer=found, order_id=existing.order_id, fresh=False)


async def _look_up(session: AsyncSession, call: Call, draft: Draft) -> Known:
    now = call.context.now()
    policy = await policies.current(session, now=now)
    products = await catalogue.sold_products(session, [sku for sku in draft.skus if sku is not None])
    return Known(products=products, policy=policy.policy, received_at=now)


def _intake(
    call: Call, content: Content, known: Known, assessment: Assessment, *, raw: bytes, replaces: str | None
) -> Intake:
    order = assessed(_order(content, known), assessment)
    body = content.body
    return Intake(
        order=order,
        order_ref=body.order_ref,
        customer_ref=body.customer.customer_ref,
        placed_at=body.placed_at,
        replaces=replaces,
        request=content.impersonal({sku: product.name for sku, product in known.products.items()}),
        request_hash=content.hash,
        body=raw,
        key_id=call.key.key_id,
        actor_kind=call.actor_kind,
        actor_id=call.actor_id,
        event={
            "channel": order.channel,
            "source": order.source,
            "order_ref": body.order_ref,
            "currency": order.currency,
            "total_minor": content.total,
            "replaces": replaces,
        },
        contact=_contact(call, content),
        tokens=[
            Token(
                payment_id=payment.payment_id,
                method=payment.method.value,
                token=asked.token,
                reference=asked.reference,
            )
            for payment, asked in zip(order.payments, body.payments, strict=True)
        ],
        address_fingerprint=home_fingerprint(content),
        then=hold_placed(order, assessment, cause_id=INTAKE, after=1),
        notes=reasons(order, assessment),
    )


def _order(content: Content, known: Known) -> Order:
    body = content.body
    new = NewOrder(
        channel=body.channel,
        source=body.source,
        currency=body.currency,
        country=body.shipping_address.country,
        service_level=body.service_level,
        lines=content.lines,
        payments=tuple(
            (payment.method, amount) for payment, amount in zip(body.payments, content.amounts, strict=True)
        ),
        shipping=content.shipping,
        prices_include_tax=body.prices_include_tax,
        allow_split=body.allow_split,
        allow_backorder=body.allow_backorder,
    )
    return new_order(
        names.order_id(names.new_tail(known.received_at, os.urandom(7))),
        new,
        policy=known.policy,
        fast_moving=frozenset(sku for sku, product in known.products.items() if product.fast_moving),
        received_at=known.received_at,
    )


def _contact(call: Call, content: Content) -> Contact:
    body = content.body
    customer = body.customer
    address = body.shipping_address
    place = call.context.geography.locate(address.country, address.city)
    return Contact(
        name=customer.name,
        email=customer.email,
        phone=content.phone,
        locale=customer.locale,
        notify=customer.notify,
        optional_notices=customer.optional_notices,
        shipping_address=address.model_dump(mode="json"),
        billing_address=None if body.billing_address is None else body.billing_address.model_dump(mode="json"),
        gift=None if body.gift is None else body.gift.model_dump(mode="json"),
        note=body.note,
        latitude=None if place is None else place[0],
        longitude=None if place is None else place[1],
    )


def _begun(call: Call, intake: Intake) -> Taken:
    order = intake.order
    stored = StoredOrder(
        order=order,
        order_ref=intake.order_ref,
        request=intake.request,
        sequence=1 + len(intake.then),
        priority=priority(order, order.received_at).value,
        policy_version=order.policy.version,
        replaces=intake.replaces,
        changed_at=order.received_at,
        row_attention=(),
        contact=intake.contact,
        notes=[_note(note) for note in intake.notes],
    )
    view = order_view(stored, call.context.settings)
    return Taken(
        answer=answer(view, status=201, headers=_location(order.order_id)), order_id=order.order_id, fresh=True
    )


def _note(note: Note) -> dict[str, Any]:
    actor = {"kind": note.actor_kind, "id": note.actor_id}
    return {"note_id": note.note_id, "text": note.text, "actor": actor, "at": note.at}


def _location(order_id: str) -> dict[str, str]:
    return {"Location": f"/v1/orders/{order_id}"}
