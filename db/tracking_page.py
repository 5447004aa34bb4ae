"""What the tracking page shows beside the order itself, in SQL, and what the customer says there."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db import notes, projection, row_cases
from db.models import DeliveryRating, OrderEvent, OrderRow, ParcelRow, Proof, TrackingEvent
from db.notes import Note
from domain.attention import AttentionCode
from domain.vocabulary import ActorKind

ACTOR = "tracking-page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the order came and when; *score* is the customer's own rating."""

    closed_at: datetime | None
    reached: Mapping[str, datetime]
    score: int | None


async def progress(session: AsyncSession, order_id: str, kinds: Collection[str]) -> Progress | None:
    """When the order closed, and when each of *kinds* was first told; None when there is no such order."""
    row = (
        await session.execute(
            select(OrderRow.closed_at, DeliveryRating.score)
            .outerjoin(DeliveryRating, DeliveryRating.order_id == OrderRow.order_id)
            .where(OrderRow.order_id == order_id)
        )
    ).one_or_none()
    if row is None:
        return None
    told = await session.execute(
        select(OrderEvent.kind, func.min(OrderEvent.at).label("at"))
        .where(OrderEvent.order_id == order_id, OrderEvent.kind.in_(kinds))
        .group_by(OrderEvent.kind)
    )
    return Progress(closed_at=row.closed_at, reached={event.kind: event.at for event in told}, score=row.score)


async def closed_at(session: AsyncSession, order_id: str) -> tuple[bool, datetime | None]:
    """Whether there is such an order, and when it closed."""
    row = (await session.execute(select(OrderRow.closed_at).where(OrderRow.order_id == order_id))).one_or_none()
    return (False, None) if row is None else (True, row.closed_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One word of a carrier about a parcel."""

    parcel_id: str
    status: str
    at: datetime
    location: str | None


async def scans(session: AsyncSession, order_id: str) -> Sequence[Scan]:
    """What carriers told of the order's parcels, newest first by their own clocks."""
    rows = await session.execute(
        select(ParcelRow.parcel_id, TrackingEvent.status, TrackingEvent.at, TrackingEvent.location)
        .join(
            TrackingEvent,
            (TrackingEvent.tracking_number == ParcelRow.tracking_number) & (TrackingEvent.carrier == ParcelRow.carrier),
        )
        .where(ParcelRow.order_id == order_id)
        .order_by(TrackingEvent.at.desc(), TrackingEvent.event_id.desc())
    )
    return [Scan(**row._mapping) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofOf:
    """What proves a parcel's delivery; who signed is not read."""

    parcel_id: str
    photo_key: str | None
    is_signed: bool


async def proofs(session: AsyncSession, order_id: str) -> Mapping[str, ProofOf]:
    """Parcel id -> its proof of delivery."""
    rows = await session.execute(
        select(
            ParcelRow.parcel_id,
            Proof.photo_key,
            (Proof.signed_by.is_not(None) | Proof.signature_key.is_not(None)).label("is_signed"),
        )
        .join(Proof, (Proof.tracking_number == ParcelRow.tracking_number) & (Proof.carrier == ParcelRow.carrier))
        .where(ParcelRow.order_id == order_id)
    )
    return {row.parcel_id: ProofOf(**row._mapping) for row in rows}


async def questions_since(session: AsyncSession, order_id: str, since: timedelta) -> int:
    """How many questions the order brought in that time. Locks its row: two at once cannot pass a limit together."""
    await projection.lock_order(session, order_id)
    found = await session.execute(
        text(
            "SELECT count(*) FROM order_notes WHERE order_id = :order_id AND actor_kind = 'customer'"
            " AND actor_id = :actor AND at > now() - CAST(:since AS interval)"
        ),
        {"order_id": order_id, "actor": ACTOR, "since": since},
    )
    return int(found.scalar_one())


async def ask_question(session: AsyncSession, order_id: str, question_id: str, words: str, *, at: datetime) -> None:
    """Keep what the customer asked, tell of it, and open a case for support, once per *question_id*. Locks the row.

    The text is the note *question_id*, and stays outside the engine.
    """
    note = Note(
        note_id=question_id,
        order_id=order_id,
        text=words,
        actor_kind=ActorKind.CUSTOMER.value,
        actor_id=ACTOR,
        at=at,
    )
    await notes.keep_note(session, note)
    await projection.append_note_event(
        session, order_id, question_id, actor_kind=ActorKind.CUSTOMER, actor_id=ACTOR, at=at
    )
    case = row_cases.new_case(
        AttentionCode.CUSTOMER_QUESTION,
        attention_id=f"att_{question_id}",
        subject=question_id,
        cause="the customer asked: see the note",
        at=at,
    )
    await row_cases.open_case(session, order_id, case, at=at)


async def rate_delivery(session: AsyncSession, order_id: str, score: int, words: str | None, *, at: datetime) -> bool:
    """Whether the rating was the order's first; the first one stays."""
    kept = await session.execute(
        insert(DeliveryRating)
        .values(order_id=order_id, score=score, text=words, rated_at=at)
        .on_conflict_do_nothing()
        .returning(DeliveryRating.order_id)
    )
    return kept.first() is not None
