"""Facts from outside as they come in: kept once per source and event, and queued when their order is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import DateTime, bindparam, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import names
from db.models import Proof, TrackingEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One fact: *event_id* is the source's own; *matches* is what it waits for while *order_id* is None.

    Without a *signal* it tells the engine nothing.
    """

    source: str
    event_id: str
    signal: str | None
    fact: Mapping[str, Any]
    received_at: datetime
    order_id: str | None = None
    matches: str | None = None


_KEEP = text(
    """
    WITH kept AS (
        INSERT INTO inbox (source, event_id, signal, matches, order_id, fact, received_at)
        VALUES (:source, :event_id, :signal, :matches, :order_id, CAST(:fact AS jsonb), :received_at)
        ON CONFLICT (source, event_id) DO NOTHING
        RETURNING order_id, signal, fact
    ), sent AS (
        INSERT INTO outbox (workflow_id, order_id, kind, name, payload)
        SELECT :workflow_id, order_id, 'signal', signal, fact - 'traces' FROM kept
        WHERE order_id IS NOT NULL
    )
    SELECT count(*) FROM kept
    """
).bindparams(bindparam("received_at", type_=DateTime(timezone=True)))


async def keep(session: AsyncSession, incoming: Incoming) -> bool:
    """Whether the fact was new; with its order known, its signal is in the outbox too. One statement.

    Lots and serial numbers (``traces``) stay here: they are for recalls, not for the engine.
    """
    found = await session.execute(
        _KEEP,
        {
            "source": incoming.source,
            "event_id": incoming.event_id,
            "signal": incoming.signal,
            "matches": incoming.matches,
            "order_id": incoming.order_id,
            "fact": orjson.dumps(incoming.fact).decode(),
            "received_at": incoming.received_at,
            "workflow_id": names.order_workflow_id(incoming.order_id or ""),
        },
    )
    return bool(found.scalar_one())


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedFulfillment:
    """What is needed to judge a fact about a fulfillment."""

    order_id: str
    location_id: str
    line_ids: frozenset[str]


async def find_released(session: AsyncSession, fulfillment_id: str) -> ReleasedFulfillment | None:
    """The fulfillment with that id, once its warehouse may know of it."""
    row = (
        await session.execute(
            text(
                "SELECT f.order_id, f.location_id, jsonb_path_query_array(o.snapshot,"
                " '$.fulfillments[*] ? (@.fulfillment_id == $id).allocations[*].line_id',"
                " jsonb_build_object('id', f.fulfillment_id)) AS line_ids"
                " FROM fulfillments f JOIN orders o USING (order_id)"
                " WHERE f.fulfillment_id = :fulfillment_id AND f.released_at IS NOT NULL"
            ),
            {"fulfillment_id": fulfillment_id},
        )
    ).one_or_none()
    if row is None:
        return None
    return ReleasedFulfillment(order_id=row.order_id, location_id=row.location_id, line_ids=frozenset(row.line_ids))


async def order_of_parcel(session: AsyncSession, *, carrier: str, tracking_number: str) -> str | None:
    """The order whose parcel bears the number; holds the number's lock, under which early facts are matched too."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:match, 0))"),
        {"match": names.tracking_match(carrier, tracking_number)},
    )
    return (
        await session.execute(
            text(
                "SELECT order_id FROM parcels WHERE tracking_number = :tracking_number AND carrier = :carrier"
                " ORDER BY parcel_id DESC LIMIT 1"
            ),
            {"tracking_number": tracking_number, "carrier": carrier},
        )
    ).scalar_one_or_none()


async def add_tracking_event(session: AsyncSession, event: Mapping[str, Any]) -> None:
    """Keep what the carrier told, place included; once per event."""
    await session.execute(insert(TrackingEvent).values(**event).on_conflict_do_nothing())


async def add_proof(session: AsyncSession, proof: Mapping[str, Any]) -> None:
    """Keep a proof of delivery; what a later one leaves out stays."""
    statement = insert(Proof).values(**proof)
    kept = {
        name: text(f"coalesce(excluded.{name}, proofs.{name})") for name in ("signed_by", "signature_key", "photo_key")
    }
    await session.execute(statement.on_conflict_do_update(index_elements=["carrier", "tracking_number"], set_=kept))
