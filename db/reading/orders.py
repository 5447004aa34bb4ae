"""Orders as they are read: row, state value and contact together, one by one or by the page; writes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Integer, Select, Text, bindparam, cast, func, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from db.intake import Contact
from db.models import OrderArchive, OrderContact, OrderEvent, OrderNote, OrderRow, ParcelRow
from domain.orders import Order

ORDER = TypeAdapter(Order)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOrder:
    """An order as it stands; *related* are the ids of orders that took its place."""

    order: Order
    order_ref: str
    request: Mapping[str, Any]
    sequence: int
    priority: int
    policy_version: int
    replaces: str | None
    changed_at: datetime
    row_attention: Sequence[Mapping[str, Any]]
    contact: Contact
    replaced_by: Sequence[str] = ()
    notes: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter:
    """Which orders are wanted; None is no condition. *sources* are those that the caller may see."""

    sources: frozenset[str] | None = None
    state: str | None = None
    channel: str | None = None
    source: str | None = None
    owner: str | None = None
    attention: str | None = None
    overdue: bool | None = None
    customer_ref: str | None = None
    order_ref: str | None = None
    sku: str | None = None
    location_id: str | None = None
    tracking_number: str | None = None
    email: str | None = None
    phone: str | None = None
    received_from: datetime | None = None
    received_to: datetime | None = None


_CONTACT_FIELDS = (
    "name",
    "email",
    "phone",
    "locale",
    "notify",
    "optional_notices",
    "shipping_address",
    "billing_address",
    "gift",
    "note",
    "latitude",
    "longitude",
)


@cache
def _query() -> Select[Any]:
    # A newer revision may have been refused: the state value says which one the order ships to.
    used = func.coalesce(cast(OrderRow.snapshot["contact_revision"].astext, Integer), 1)
    note = {
        "note_id": OrderNote.note_id,
        "text": OrderNote.text,
        "actor": func.jsonb_build_object("kind", OrderNote.actor_kind, "id", OrderNote.actor_id),
        "at": OrderNote.at,
    }
    notes = (
        select(
            func.jsonb_agg(
                aggregate_order_by(
                    func.jsonb_build_object(*(part for pair in note.items() for part in pair)), OrderNote.at
                )
            )
        )
        .where(OrderNote.order_id == OrderRow.order_id)
        .correlate(OrderRow)
        .scalar_subquery()
    )
    successor = aliased(OrderRow)
    replaced_by = (
        select(func.array_agg(successor.order_id))
        .where(successor.order_ref == OrderRow.order_ref, successor.replaces == OrderRow.order_id)
        .correlate(OrderRow)
        .scalar_subquery()
    )
    return select(
        OrderRow.order_ref,
        OrderRow.request,
        OrderRow.last_sequence,
        OrderRow.priority,
        OrderRow.policy_version,
        OrderRow.replaces,
        OrderRow.changed_at,
        OrderRow.row_attention,
        cast(OrderRow.snapshot, Text).label("snapshot"),
        replaced_by.label("replaced_by"),
        notes.label("notes"),
        *(getattr(OrderContact, name) for name in _CONTACT_FIELDS),
    ).join(OrderContact, (OrderContact.order_id == OrderRow.order_id) & (OrderContact.revision == used))


def _stored(row: Any) -> StoredOrder:
    return StoredOrder(
        order=ORDER.validate_json(row.snapshot),
        order_ref=row.order_ref,
        request=row.request,
        sequence=row.last_sequence,
        priority=row.priority,
        policy_version=row.policy_version,
        replaces=row.replaces,
        changed_at=row.changed_at,
        row_attention=row.row_attention,
        contact=Contact(**{name: getattr(row, name) for name in _CONTACT_FIELDS}),
        replaced_by=tuple(row.replaced_by or ()),
        notes=tuple(row.notes or ()),
    )


@cache
def _one() -> Select[Any]:
    return _query().where(OrderRow.order_id == bindparam("order_id"))


async def find_order(session: AsyncSession, order_id: str) -> StoredOrder | None:
    """The order with that id."""
    row = (await session.execute(_one(), {"order_id": order_id})).one_or_none()
    return None if row is None else _stored(row)


async def source_of(session: AsyncSession, order_id: str) -> str | None:
    """The source of the order with that id."""
    return (await session.execute(select(OrderRow.source).where(OrderRow.order_id == order_id))).scalar_one_or_none()


async def last_sequence(session: AsyncSession, order_id: str) -> int:
    """The sequence of the order's newest event."""
    return (await session.execute(select(OrderRow.last_sequence).where(OrderRow.order_id == order_id))).scalar_one()


async def find_request(session: AsyncSession, order_id: str) -> bytes | None:
    """The request that the order came with, byte for byte."""
    return (
        await session.execute(select(OrderArchive.body).where(OrderArchive.order_id == order_id))
    ).scalar_one_or_none()


async def list_orders(
    session: AsyncSession, wanted: OrderFilter, *, limit: int, before: tuple[datetime, str] | None
) -> list[StoredOrder]:
    """At most *limit* orders, newest first, those that come after *before* (received_at, order_id)."""
    query = _filtered(_query(), wanted)
    if before is not None:
        query = query.where(tuple_(OrderRow.received_at, OrderRow.order_id) < tuple_(*before))
    query = query.order_by(OrderRow.received_at.desc(), OrderRow.order_id.desc()).limit(limit)
    return [_stored(row) for row in await session.execute(query)]


def _filtered(query: Select[Any], wanted: OrderFilter) -> Select[Any]:
    for name in ("state", "channel", "source", "owner", "customer_ref", "order_ref"):
        if (value := getattr(wanted, name)) is not None:
            query = query.where(getattr(OrderRow, name) == value)
    if wanted.sources is not None:
        query = query.where(OrderRow.source.in_(wanted.sources))
    if wanted.attention is not None:
        query = query.where(_holds(OrderRow.attention, wanted.attention))
    if wanted.sku is not None:
        query = query.where(_holds(OrderRow.skus, wanted.sku))
    if wanted.location_id is not None:
        query = query.where(_holds(OrderRow.location_ids, wanted.location_id))
    if wanted.overdue is not None:
        late = OrderRow.closed_at.is_(None) & (OrderRow.due_at < func.now())
        query = query.where(late if wanted.overdue else ~func.coalesce(late, False))
    if wanted.received_from is not None:
        query = query.where(OrderRow.received_at >= wanted.received_from)
    if wanted.received_to is not None:
        query = query.where(OrderRow.received_at < wanted.received_to)
    return _found_beside(query, wanted)


def _holds(column: InstrumentedAttribute[list[str]], value: str) -> ColumnElement[bool]:
    return column.bool_op("@>")(cast([value], ARRAY(Text)))


def _found_beside(query: Select[Any], wanted: OrderFilter) -> Select[Any]:
    if wanted.tracking_number is not None:
        query = query.where(
            OrderRow.order_id.in_(select(ParcelRow.order_id).where(ParcelRow.tracking_number == wanted.tracking_number))
        )
    if wanted.email is not None:
        mail = select(OrderContact.order_id).where(func.lower(OrderContact.email) == wanted.email.lower())
        query = query.where(OrderRow.order_id.in_(mail))
    if wanted.phone is not None:
        query = query.where(
            OrderRow.order_id.in_(select(OrderContact.order_id).where(OrderContact.phone == wanted.phone))
        )
    return query


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """One event of an order."""

    sequence: int
    kind: str
    at: datetime
    actor_kind: str
    actor_id: str | None
    data: Mapping[str, Any]


async def list_events(session: AsyncSession, order_id: str, *, limit: int, after: int) -> list[StoredEvent]:
    """At most *limit* events of the order behind sequence *after*, in their order."""
    rows = await session.execute(
        select(
            OrderEvent.sequence,
            OrderEvent.kind,
            OrderEvent.at,
            OrderEvent.actor_kind,
            OrderEvent.actor_id,
            OrderEvent.data,
        )
        .where(OrderEvent.order_id == order_id, OrderEvent.sequence > after)
        .order_by(OrderEvent.sequence)
        .limit(limit)
    )
    return [StoredEvent(**row._mapping) for row in rows]
