"""Stamping events with their place in the one feed, gaplessly and after commit, and queueing the webhooks they call for."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts import names

PUBLISHER_LOCK = 7_316_001


async def become_publisher(connection: AsyncConnection) -> bool:
    """Whether this connection is now, or stays, the only publisher; the lock goes with the connection."""
    found = await connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": PUBLISHER_LOCK})
    return bool(found.scalar())


async def stamp(connection: AsyncConnection, *, limit: int) -> int:
    """Give the next positions to up to *limit* committed events, oldest first; answers how many.

    Streams hear of it once it is committed. In the same transaction a delivery is queued for every endpoint that asks for
    the event's kind and may see it: a key of scope ``warehouse`` alone is told of fulfillments only.
    """
    stamped = await connection.execute(
        text(
            "WITH todo AS (SELECT order_id, sequence, row_number() OVER (ORDER BY event_id) AS place"
            "  FROM order_events WHERE position IS NULL ORDER BY event_id LIMIT :limit),"
            " base AS (SELECT coalesce(max(position), 0) AS last FROM order_events),"
            " stamped AS (UPDATE order_events e SET position = base.last + todo.place FROM todo, base"
            "  WHERE e.order_id = todo.order_id AND e.sequence = todo.sequence"
            "  RETURNING e.order_id, e.sequence, e.kind, e.position),"
            " queued AS (INSERT INTO webhook_deliveries (delivery_id, endpoint_id, order_id, sequence, kind)"
            "  SELECT 'msg_' || w.endpoint_id || '_' || s.order_id || '_' || s.sequence,"
            "   w.endpoint_id, s.order_id, s.sequence, s.kind"
            "  FROM stamped s JOIN webhook_endpoints w ON w.disabled_at IS NULL"
            "  JOIN api_keys k ON k.key_id = w.key_id AND k.revoked_at IS NULL"
            "  WHERE s.kind = 'fulfillment.released' AND 'warehouse' = ANY(k.scopes) AND s.kind = ANY(w.events)"
            "  ON CONFLICT DO NOTHING)"
            " SELECT count(*), CASE WHEN count(*) > 0 THEN pg_notify(:published, max(position)::text) END FROM stamped"
        ),
        {"limit": limit, "published": names.PUBLISHED_CHANNEL},
    )
    return int(stamped.one()[0])
