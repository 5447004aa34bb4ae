"""Free text about orders, in SQL: kept here, named by id everywhere else."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import OrderNote


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What somebody wrote about an order."""

    note_id: str
    order_id: str
    text: str
    actor_kind: str
    actor_id: str
    at: datetime


async def keep_note(session: AsyncSession, note: Note) -> None:
    """Keep *note*; one that is kept already stays as it is."""
    await session.execute(
        insert(OrderNote)
        .values(
            note_id=note.note_id,
            order_id=note.order_id,
            text=note.text,
            actor_kind=note.actor_kind,
            actor_id=note.actor_id,
            at=note.at,
        )
        .on_conflict_do_nothing()
    )


async def notes_of(session: AsyncSession, order_id: str) -> list[Note]:
    """Everything written about the order, in the order it was written."""
    rows = await session.execute(
        select(OrderNote).where(OrderNote.order_id == order_id).order_by(OrderNote.at, OrderNote.note_id)
    )
    return [
        Note(
            note_id=row.note_id,
            order_id=row.order_id,
            text=row.text,
            actor_kind=row.actor_kind,
            actor_id=row.actor_id,
            at=row.at,
        )
        for row in rows.scalars()
    ]
