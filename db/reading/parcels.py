"""Parcels as they are read: what the carrier told, and the proof of delivery."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Proof, TrackingEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredParcel:
    """A parcel's row, with the source of its order."""

    parcel_id: str
    order_id: str
    source: str
    carrier: str | None
    tracking_number: str | None
    tracking_status: str
    estimated_on: date | None


async def find_parcel(session: AsyncSession, parcel_id: str) -> StoredParcel | None:
    """The parcel with that id."""
    row = (
        await session.execute(
            text(
                "SELECT p.parcel_id, p.order_id, o.source, p.carrier, p.tracking_number, p.tracking_status,"
                " jsonb_path_query_first(o.snapshot, '$.parcels[*] ? (@.parcel_id == $id).estimated_on',"
                " jsonb_build_object('id', p.parcel_id)) #>> '{}' AS estimated_on"
                " FROM parcels p JOIN orders o USING (order_id) WHERE p.parcel_id = :parcel_id"
            ),
            {"parcel_id": parcel_id},
        )
    ).one_or_none()
    if row is None:
        return None
    fields = dict(row._mapping)
    fields["estimated_on"] = None if row.estimated_on is None else date.fromisoformat(row.estimated_on)
    return StoredParcel(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTracking:
    """One word of the carrier."""

    status: str
    at: datetime
    location: str | None
    party: str | None
    reason: str | None


async def tracking(session: AsyncSession, *, carrier: str, tracking_number: str) -> Sequence[StoredTracking]:
    """What the carrier told of the number, by the carrier's own clock."""
    rows = await session.execute(
        select(
            TrackingEvent.status, TrackingEvent.at, TrackingEvent.location, TrackingEvent.party, TrackingEvent.reason
        )
        .where(TrackingEvent.tracking_number == tracking_number, TrackingEvent.carrier == carrier)
        .order_by(TrackingEvent.at, TrackingEvent.event_id)
    )
    return [StoredTracking(**row._mapping) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredProof:
    """Who signed, and where the pictures are kept."""

    signed_by: str | None
    signature_key: str | None
    photo_key: str | None


async def proof(session: AsyncSession, *, carrier: str, tracking_number: str) -> StoredProof | None:
    """The proof of delivery of the number."""
    row = (
        await session.execute(
            select(Proof.signed_by, Proof.signature_key, Proof.photo_key).where(
                Proof.carrier == carrier, Proof.tracking_number == tracking_number
            )
        )
    ).one_or_none()
    return None if row is None else StoredProof(**row._mapping)
