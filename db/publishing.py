"""Stamping events with their place in the one feed, gaplessly and after commit, and who is to be told of them by webhook."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import names
from domain.vocabulary import EventKind, Scope

PUBLISHER_LOCK = 7_316_001

_SEES_ALL = [Scope.SUPPORT.value, Scope.OPERATIONS.value, Scope.ADMIN.value]
_FOR_WAREHOUSES = [EventKind.FULFILLMENT_RELEASED.value, EventKind.REQUEST_SENT.value]


async def become_publisher(session: AsyncSession) -> bool:
    """Whether this session's connection is now the only publisher; the lock goes with the connection."""
    found = await session.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": PUBLISHER_LOCK})
    return bool(found.scalar())


async def stamp(session: AsyncSession, *, limit: int) -> range:
    """Give the next positions to up to *limit* committed events, oldest first; answers which positions those are.

    Streams hear of it once it is committed.
    """
    stamped = await session.execute(
        text(
            "WITH todo AS (SELECT order_id, sequence, row_number() OVER (ORDER BY event_id) AS place"
            "  FROM order_events WHERE position IS NULL ORDER BY event_id LIMIT :limit),"
            " base AS (SELECT coalesce(max(position), 0) AS last FROM order_events),"
            " stamped AS (UPDATE order_events e SET position = base.last + todo.place FROM todo, base"
            "  WHERE e.order_id = todo.order_id AND e.sequence = todo.sequence RETURNING e.position)"
            " SELECT min(position) AS first, max(position) AS last,"
            "  CASE WHEN count(*) > 0 THEN pg_notify(:published, max(position)::text) END FROM stamped"
        ),
        {"limit": limit, "published": names.PUBLISHED_CHANNEL},
    )
    row = stamped.one()
    return range(0) if row.first is None else range(row.first, row.last + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A published event that an endpoint is to be told of; with the order's view, or with that of *fulfillment_id*."""

    endpoint_id: str
    order_id: str
    sequence: int
    position: int
    kind: str
    at: datetime
    actor_kind: str
    actor_id: str | None
    data: Mapping[str, Any]
    fulfillment_id: str | None


async def wanted(session: AsyncSession, positions: range) -> list[Wanted]:
    """Who asked for which of the events at *positions*, and may see them; the endpoints stay until the transaction ends.

    Support and operations see every order, a storefront those of its sources; a warehouse, that may see no order, is told of
    its work with the fulfillment's view.
    """
    rows = await session.execute(
        text(
            "SELECT w.endpoint_id, e.order_id, e.sequence, e.position, e.kind, e.at, e.actor_kind, e.actor_id, e.data,"
            "  CASE WHEN NOT see.order THEN e.data ->> 'fulfillment_id' END AS fulfillment_id"
            " FROM order_events e JOIN orders o ON o.order_id = e.order_id"
            " JOIN webhook_endpoints w ON w.disabled_at IS NULL"
            "  AND w.events && ARRAY['*', e.kind, split_part(e.kind, '.', 1) || '.*']"
            " JOIN api_keys k ON k.key_id = w.key_id AND (k.revoked_at IS NULL OR k.revoked_at > now())"
            " CROSS JOIN LATERAL (SELECT k.scopes && CAST(:sees_all AS text[])"
            '  OR (:storefront = ANY(k.scopes) AND (k.sources IS NULL OR o.source = ANY(k.sources))) AS "order",'
            "  :warehouse = ANY(k.scopes) AND e.kind = ANY(CAST(:for_warehouses AS text[])) AS work) see"
            " WHERE e.position BETWEEN :first AND :last AND (see.order OR see.work)"
            " ORDER BY e.position FOR KEY SHARE OF w"
        ),
        {
            "first": positions.start,
            "last": positions.stop - 1,
            "sees_all": _SEES_ALL,
            "storefront": Scope.STOREFRONT.value,
            "warehouse": Scope.WAREHOUSE.value,
            "for_warehouses": _FOR_WAREHOUSES,
        },
    )
    return [Wanted(**row) for row in rows.mappings()]
