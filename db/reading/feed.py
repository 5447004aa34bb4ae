"""The one feed of published events, as streams read it: by position, which has no gaps and only grows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import OrderEvent, OrderRow


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedEvent:
    """An event in its place in the feed, and the order that it is of."""

    position: int
    order_id: str
    channel: str
    source: str
    order_ref: str
    sequence: int
    kind: str
    at: datetime
    actor_kind: str
    actor_id: str | None
    data: Mapping[str, Any]


_COLUMNS = (
    OrderEvent.position,
    OrderEvent.order_id,
    OrderRow.channel,
    OrderRow.source,
    OrderRow.order_ref,
    OrderEvent.sequence,
    OrderEvent.kind,
    OrderEvent.at,
    OrderEvent.actor_kind,
    OrderEvent.actor_id,
    OrderEvent.data,
)


async def last_position(session: AsyncSession) -> int:
    """The place of the newest published event, 0 before the first."""
    return (await session.execute(select(func.max(OrderEvent.position)))).scalar() or 0


async def published(
    session: AsyncSession,
    *,
    after: int,
    upto: int | None = None,
    sources: frozenset[str] | None = None,
    limit: int,
) -> list[PublishedEvent]:
    """At most *limit* events behind position *after*, in their order; only those of *sources*, and up to *upto*."""
    query = (
        select(*_COLUMNS)
        .join(OrderRow, OrderRow.order_id == OrderEvent.order_id)
        .where(OrderEvent.position > after)
        .order_by(OrderEvent.position)
        .limit(limit)
    )
    if upto is not None:
        query = query.where(OrderEvent.position <= upto)
    if sources is not None:
        query = query.where(OrderRow.source.in_(sources))
    return [PublishedEvent(**row._mapping) for row in await session.execute(query)]
