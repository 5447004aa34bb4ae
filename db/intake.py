"""Taking an order in SQL: everything that it begins with in one statement, and who has its identity already."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from pydantic import TypeAdapter
from sqlalchemy import BigInteger, DateTime, bindparam, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import names
from db.models import PaymentToken
from db.notes import Note
from domain.change import Event
from domain.orders import Order, order_state
from domain.priority import priority
from domain.risk import address_fingerprint, card_fingerprint
from domain.vocabulary import ActorKind, EventKind
from domain.waits import waits

ORDER = TypeAdapter(Order)
INTAKE = "intake"
"""The cause of an order's first events."""

# The relay takes only what the API's own attempt right after its answer has missed.
RELAY_AFTER = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Personal data and free text of an order; latitude and longitude are rounded to a tenth of a degree."""

    name: str | None
    email: str | None
    phone: str | None
    locale: str | None
    notify: str | None
    optional_notices: bool
    shipping_address: Mapping[str, Any]
    billing_address: Mapping[str, Any] | None
    gift: Mapping[str, Any] | None
    note: str | None
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What the provider needs for one payment."""

    payment_id: str
    method: str
    token: str | None
    reference: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """An order with all that is kept beside it; *request*, *event* and *then*, what is told after it, hold nothing personal.

    *address_fingerprint* is None where many orders share an address by design: pick-up points and stores.
    """

    order: Order
    order_ref: str
    customer_ref: str
    placed_at: datetime | None
    replaces: str | None
    request: Mapping[str, Any]
    request_hash: bytes
    body: bytes
    key_id: str
    actor_kind: ActorKind
    actor_id: str
    event: Mapping[str, Any]
    contact: Contact
    tokens: Sequence[Token]
    address_fingerprint: bytes | None = None
    then: Sequence[Event] = ()
    notes: Sequence[Note] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Existing:
    """The newest order of an identity."""

    order_id: str
    request_hash: bytes
    rejected: bool


async def find_existing(session: AsyncSession, *, channel: str, source: str, order_ref: str) -> Existing | None:
    """The order that has this identity: the one that was not rejected, else the newest that was."""
    row = (
        await session.execute(
            text(
                "SELECT order_id, request_hash, state = 'rejected' AS rejected FROM orders"
                " WHERE order_ref = :order_ref AND channel = :channel AND source = :source"
                " ORDER BY state = 'rejected', received_at DESC, order_id DESC LIMIT 1"
            ),
            {"channel": channel, "source": source, "order_ref": order_ref},
        )
    ).one_or_none()
    if row is None:
        return None
    return Existing(order_id=row.order_id, request_hash=row.request_hash, rejected=row.rejected)


_INSERT = text(
    """
    WITH o AS (
        INSERT INTO orders (order_id, channel, source, order_ref, customer_ref, kind, state, priority, owner, next_step,
            due_at, skus, currency, total_minor, policy_version, request, request_hash, snapshot, version,
            last_sequence, replaces, received_at, placed_at, changed_at)
        VALUES (:order_id, :channel, :source, :order_ref, :customer_ref, :kind, :state, :priority, :owner, :next_step,
            :due_at, CAST(:skus AS text[]), :currency, :total_minor, :policy_version, CAST(:request AS jsonb),
            :request_hash, CAST(:snapshot AS jsonb), 0, :last_sequence, :replaces, :received_at, :placed_at, :received_at)
        ON CONFLICT (channel, source, order_ref) WHERE state <> 'rejected' DO NOTHING
        RETURNING order_id
    ), a AS (
        INSERT INTO order_archive (order_id, body, key_id, actor, received_at)
        SELECT order_id, :body, :key_id, :actor_id, :received_at FROM o
    ), c AS (
        INSERT INTO order_contacts (order_id, revision, name, email, phone, locale, notify, optional_notices,
            shipping_address, billing_address, gift, note, latitude, longitude, address_fingerprint)
        SELECT order_id, 1, :name, :email, :phone, :locale, :notify, :optional_notices,
            CAST(:shipping_address AS jsonb), CAST(:billing_address AS jsonb), CAST(:gift AS jsonb), :note,
            :latitude, :longitude, :address_fingerprint
        FROM o
    ), t AS (
        INSERT INTO payment_tokens (payment_id, order_id, method, token, reference, token_fingerprint)
        SELECT p.payment_id, o.order_id, p.method, p.token, p.reference, p.fingerprint
        FROM o, unnest(CAST(:payment_ids AS text[]), CAST(:methods AS text[]), CAST(:tokens AS text[]),
            CAST(:references AS text[]), CAST(:fingerprints AS bytea[]))
            AS p(payment_id, method, token, reference, fingerprint)
    ), e AS (
        INSERT INTO order_events (order_id, sequence, cause_id, ordinal, kind, at, actor_kind, actor_id, data)
        SELECT o.order_id, e.ordinal + 1, :cause_id, e.ordinal, e.kind, :received_at, e.actor_kind, e.actor_id, e.data
        FROM o, jsonb_to_recordset(CAST(:events AS jsonb))
            AS e(ordinal int, kind text, actor_kind text, actor_id text, data jsonb)
        ORDER BY e.ordinal
    ), n AS (
        INSERT INTO order_notes (note_id, order_id, text, actor_kind, actor_id, at)
        SELECT n.note_id, o.order_id, n.text, n.actor_kind, n.actor_id, :received_at
        FROM o, jsonb_to_recordset(CAST(:notes AS jsonb))
            AS n(note_id text, text text, actor_kind text, actor_id text)
    ), x AS (
        INSERT INTO outbox (workflow_id, order_id, kind, due_at)
        SELECT :workflow_id, order_id, 'start', :start_due_at FROM o
    )
    SELECT order_id FROM o
    """
).bindparams(
    *(
        bindparam(name, type_=DateTime(timezone=True))
        for name in ("due_at", "received_at", "placed_at", "start_due_at")
    ),
    bindparam("total_minor", type_=BigInteger()),
)


async def insert_order(session: AsyncSession, intake: Intake) -> bool:
    """Whether the order was taken; False when another one has its identity. Waits for one that is being taken."""
    row = _row(intake) | _contact(intake.contact) | _tokens(intake.tokens) | _told(intake)
    found = await session.execute(_INSERT, row)
    return found.first() is not None


def _row(intake: Intake) -> dict[str, Any]:
    order = intake.order
    wait = waits(order)[0]
    return {
        "order_id": order.order_id,
        "channel": order.channel.value,
        "source": order.source,
        "order_ref": intake.order_ref,
        "customer_ref": intake.customer_ref,
        "kind": order.kind.value,
        "state": order_state(order).value,
        "priority": priority(order, order.received_at).value,
        "owner": wait.owner.value,
        "next_step": wait.next_step,
        "due_at": wait.due_at,
        "skus": sorted({line.sku for line in order.lines}),
        "currency": order.currency,
        "total_minor": order.ordered_total_minor,
        "policy_version": order.policy.version,
        "request": orjson.dumps(intake.request).decode(),
        "request_hash": intake.request_hash,
        "snapshot": ORDER.dump_json(order, exclude_defaults=True).decode(),
        "replaces": intake.replaces,
        "received_at": order.received_at,
        "placed_at": intake.placed_at,
        "body": intake.body,
        "key_id": intake.key_id,
        "actor_id": intake.actor_id,
        "address_fingerprint": intake.address_fingerprint,
        "workflow_id": names.order_workflow_id(order.order_id),
        "start_due_at": order.received_at + RELAY_AFTER,
    }


def _told(intake: Intake) -> dict[str, Any]:
    received: dict[str, Any] = {
        "kind": EventKind.ORDER_RECEIVED,
        "actor_kind": intake.actor_kind,
        "actor_id": intake.actor_id,
        "data": intake.event,
    }
    then: list[dict[str, Any]] = [
        {"kind": event.kind, "actor_kind": event.actor, "actor_id": event.actor_id, "data": event.data}
        for event in intake.then
    ]
    events = [{"ordinal": ordinal, **event} for ordinal, event in enumerate([received, *then])]
    return {
        "cause_id": INTAKE,
        "events": orjson.dumps(events).decode(),
        "last_sequence": len(events),
        "notes": orjson.dumps([asdict(note) for note in intake.notes]).decode(),
    }


def _contact(contact: Contact) -> dict[str, Any]:
    return {
        "name": contact.name,
        "email": contact.email,
        "phone": contact.phone,
        "locale": contact.locale,
        "notify": contact.notify,
        "optional_notices": contact.optional_notices,
        "shipping_address": _json(contact.shipping_address),
        "billing_address": _json(contact.billing_address),
        "gift": _json(contact.gift),
        "note": contact.note,
        "latitude": contact.latitude,
        "longitude": contact.longitude,
    }


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _tokens(tokens: Sequence[Token]) -> dict[str, Any]:
    return {
        "payment_ids": [token.payment_id for token in tokens],
        "methods": [token.method for token in tokens],
        "tokens": [token.token for token in tokens],
        "references": [token.reference for token in tokens],
        "fingerprints": [None if token.token is None else card_fingerprint(token.token) for token in tokens],
    }


async def revise_address(
    session: AsyncSession,
    order_id: str,
    command_id: str,
    *,
    address: Mapping[str, Any],
    place: tuple[float, float] | None,
) -> int:
    """The revision of the order's contact that has *address*; the rest of it is as in the newest one.

    Made once per *command_id*. A revision is what the order uses only once its workflow says so.
    """
    await session.execute(
        text("SELECT order_id FROM orders WHERE order_id = :order_id FOR UPDATE"), {"order_id": order_id}
    )
    found = await session.execute(
        text(
            "WITH made AS (INSERT INTO order_contacts (order_id, revision, name, email, phone, locale, notify,"
            "  optional_notices, shipping_address, billing_address, gift, note, latitude, longitude, command_id,"
            "  address_fingerprint)"
            "  SELECT order_id, revision + 1, name, email, phone, locale, notify, optional_notices,"
            "   CAST(:address AS jsonb), billing_address, gift, note, :latitude, :longitude, :command_id,"
            "   CASE WHEN address_fingerprint IS NOT NULL THEN CAST(:fingerprint AS bytea) END"
            "  FROM order_contacts WHERE order_id = :order_id"
            "  AND NOT EXISTS (SELECT 1 FROM order_contacts WHERE order_id = :order_id AND command_id = :command_id)"
            "  ORDER BY revision DESC LIMIT 1 RETURNING revision)"
            " SELECT revision FROM made UNION ALL"
            " SELECT revision FROM order_contacts WHERE order_id = :order_id AND command_id = :command_id"
        ),
        {
            "order_id": order_id,
            "command_id": command_id,
            "address": _json(address),
            "fingerprint": address_fingerprint(address),
            "latitude": None if place is None else place[0],
            "longitude": None if place is None else place[1],
        },
    )
    return int(found.scalars().first() or 0)


async def keep_token(session: AsyncSession, order_id: str, token: Token) -> None:
    """Keep what the provider needs for a later payment of the order; once."""
    await session.execute(
        insert(PaymentToken)
        .values(
            payment_id=token.payment_id,
            order_id=order_id,
            method=token.method,
            token=token.token,
            reference=token.reference,
        )
        .on_conflict_do_nothing()
    )
