"""Webhook deliveries in SQL: queued with their frozen bodies, leased when they are due, and what became of each attempt."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import WebhookDelivery, WebhookEndpoint
from db.webhooks.endpoints import disable
from domain.webhooks import WAITED_FOR, DisabledReason, Profile, after_failure

KEPT_FOR = timedelta(days=30)
_LONGEST_ERROR = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """An event for an endpoint, with the body that every attempt sends."""

    endpoint_id: str
    order_id: str
    sequence: int
    position: int
    kind: str
    body: str = field(repr=False)


async def queue(session: AsyncSession, new: Sequence[NewDelivery]) -> None:
    """Queue deliveries; those that were queued before stay as they are."""
    await session.execute(
        insert(WebhookDelivery).on_conflict_do_nothing(),
        [
            {
                "delivery_id": f"msg_{one.endpoint_id}_{one.order_id}_{one.sequence}",
                "endpoint_id": one.endpoint_id,
                "order_id": one.order_id,
                "sequence": one.sequence,
                "position": one.position,
                "kind": one.kind,
                "body": one.body,
            }
            for one in new
        ],
    )


async def freeze(session: AsyncSession, delivery_id: str, *, body: str) -> None:
    """Give a delivery that an earlier release queued its body."""
    await session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.delivery_id == delivery_id, WebhookDelivery.body.is_(None))
        .values(body=body)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one endpoint, to be sent now; *secrets* sign it, the newest first."""

    delivery_id: str
    endpoint_id: str
    position: int
    url: str
    body: str | None = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


# An endpoint is asked for a share of its own, so that a slow one keeps no other waiting. A delivery whose order has an
# earlier one that is still waited for is put off: until that one's next attempt, or for a moment when it is under way; it is
# woken when that one is settled.
_CLAIM = text(
    """
    WITH served AS MATERIALIZED (
        SELECT e.endpoint_id FROM webhook_endpoints e JOIN api_keys k ON k.key_id = e.key_id
        WHERE e.disabled_at IS NULL AND e.endpoint_id <> ALL(CAST(:busy AS text[]))
            AND (k.revoked_at IS NULL OR k.revoked_at > now())
        ORDER BY random()
    ), due AS (
        SELECT d.delivery_id, d.endpoint_id, d.order_id, d.sequence
        FROM served CROSS JOIN LATERAL (
            SELECT * FROM webhook_deliveries w WHERE w.endpoint_id = served.endpoint_id AND w.due_at <= now()
            ORDER BY w.due_at, w.position LIMIT :share FOR UPDATE SKIP LOCKED
        ) d LIMIT :limit
    ), blocked AS (
        SELECT due.delivery_id, max(CASE
            WHEN p.leased_until > now() OR p.due_at IS NULL OR p.due_at <= now() THEN now() + interval '500 ms'
            ELSE p.due_at END) AS until
        FROM due JOIN webhook_deliveries p ON p.endpoint_id = due.endpoint_id AND p.order_id = due.order_id
            AND p.sequence < due.sequence AND p.delivered_at IS NULL AND p.given_up_at IS NULL
            AND p.redelivered_at IS NULL AND (p.attempts < :waited_for OR p.leased_until > now())
        GROUP BY due.delivery_id
    ), put_off AS (
        UPDATE webhook_deliveries d SET due_at = b.until FROM blocked b WHERE d.delivery_id = b.delivery_id
    )
    UPDATE webhook_deliveries d SET due_at = now() + :lease, leased_until = now() + :lease
    FROM due JOIN webhook_endpoints e ON e.endpoint_id = due.endpoint_id
    WHERE d.delivery_id = due.delivery_id
        AND NOT EXISTS (SELECT FROM blocked b WHERE b.delivery_id = d.delivery_id)
    RETURNING d.delivery_id, d.endpoint_id, d.position, d.body, e.url, e.secret,
        CASE WHEN e.previous_until > now() THEN e.previous_secret END AS previous_secret
    """
)


async def claim(
    session: AsyncSession, *, limit: int, share: int, busy: Sequence[str], lease: timedelta
) -> list[Delivery]:
    """Up to *limit* deliveries that are due, leased, at most *share* for an endpoint and none for those that are *busy*.

    Those of one order and endpoint go one after another, until the earlier one has failed so often that they overtake it.
    """
    values = {"limit": limit, "share": share, "busy": list(busy), "lease": lease, "waited_for": WAITED_FOR}
    return [
        Delivery(
            delivery_id=row.delivery_id,
            endpoint_id=row.endpoint_id,
            position=row.position,
            url=row.url,
            body=row.body,
            secrets=tuple(secret for secret in (row.secret, row.previous_secret) if secret is not None),
        )
        for row in await session.execute(_CLAIM, values)
    ]


async def next_due_in(session: AsyncSession, *, busy: Sequence[str]) -> float | None:
    """Seconds until the earliest delivery to an endpoint that is not *busy*, 0 when one is due; None when there is none."""
    found = await session.execute(
        text(
            "SELECT extract(epoch FROM min(d.due_at) - now()) FROM webhook_endpoints e"
            " JOIN api_keys k ON k.key_id = e.key_id CROSS JOIN LATERAL ("
            "  SELECT w.due_at FROM webhook_deliveries w WHERE w.endpoint_id = e.endpoint_id AND w.due_at IS NOT NULL"
            "  ORDER BY w.due_at LIMIT 1) d"
            " WHERE e.disabled_at IS NULL AND e.endpoint_id <> ALL(CAST(:busy AS text[]))"
            " AND (k.revoked_at IS NULL OR k.revoked_at > now())"
        ),
        {"busy": list(busy)},
    )
    seconds = found.scalar()
    return None if seconds is None else max(0.0, float(seconds))


# The next of the same order, if it was put off.
_WAKE_NEXT = """
    UPDATE webhook_deliveries n SET due_at = now() FROM settled s
    WHERE n.endpoint_id = s.endpoint_id AND n.order_id = s.order_id AND n.due_at > now() AND n.sequence = (
        SELECT min(m.sequence) FROM webhook_deliveries m
        WHERE m.endpoint_id = s.endpoint_id AND m.order_id = s.order_id AND m.sequence > s.sequence
            AND m.due_at IS NOT NULL AND m.leased_until IS NULL AND m.attempts = 0)
"""
_TAKEN = text(
    """
    WITH settled AS (
        UPDATE webhook_deliveries d SET delivered_at = now(), due_at = NULL, leased_until = NULL, last_attempt_at = now(),
            attempts = d.attempts + 1, last_status = t.status, last_error = NULL
        FROM unnest(CAST(:ids AS text[]), CAST(:statuses AS int[])) AS t(delivery_id, status)
        WHERE d.delivery_id = t.delivery_id
        RETURNING d.endpoint_id, d.order_id, d.sequence
    ), healthy AS (
        UPDATE webhook_endpoints SET failures = 0, failing_since = NULL
        WHERE failures > 0 AND endpoint_id IN (SELECT endpoint_id FROM settled)
    )
    """
    + _WAKE_NEXT
)
_OVERTAKEN = text(
    "WITH settled AS (SELECT endpoint_id, order_id, sequence FROM webhook_deliveries WHERE delivery_id = :id)"
    + _WAKE_NEXT
)


async def taken(session: AsyncSession, statuses: Sequence[tuple[str, int]]) -> None:
    """Note that deliveries (id, status of the answer) were taken, and that the next ones of their orders may go."""
    ids, answers = [one[0] for one in statuses], [one[1] for one in statuses]
    await session.execute(_TAKEN, {"ids": ids, "statuses": answers})


async def failed(
    session: AsyncSession, delivery_id: str, *, status: int | None, error: str | None
) -> DisabledReason | None:
    """Note a failed attempt: the delivery is tried again, or given up; answers why its endpoint was disabled, if it was."""
    found = await session.execute(
        select(WebhookDelivery, WebhookEndpoint, func.now())
        .join(WebhookEndpoint, WebhookEndpoint.endpoint_id == WebhookDelivery.endpoint_id)
        .where(WebhookDelivery.delivery_id == delivery_id)
        .with_for_update(key_share=True)
    )
    row = found.one_or_none()
    if row is None:  # The endpoint was deleted meanwhile.
        return None
    delivery, endpoint, now = row
    if delivery.delivered_at is not None:  # Another worker took it on after this one's lease, and it was taken.
        return None
    delivery.attempts += 1
    delivery.leased_until, delivery.last_attempt_at = None, now
    delivery.last_status, delivery.last_error = status, error[:_LONGEST_ERROR] if error else None
    endpoint.failures += 1
    endpoint.failing_since = endpoint.failing_since or now
    verdict = after_failure(
        Profile(endpoint.profile),
        attempts=delivery.attempts,
        failures=endpoint.failures,
        failing_since=endpoint.failing_since,
        status=status,
        now=now,
    )
    lives = endpoint.disabled_at is None
    delivery.due_at = now + verdict.pause if verdict.pause is not None and lives else None
    delivery.given_up_at = now if verdict.pause is None else None
    await session.flush()
    if verdict.disable is not None and lives:
        await disable(session, endpoint.endpoint_id, reason=verdict.disable)
        return verdict.disable
    if verdict.pause is None or delivery.attempts >= WAITED_FOR:
        await session.execute(_OVERTAKEN, {"id": delivery_id})
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedDelivery:
    """A delivery as the log shows it, without its body."""

    delivery_id: str
    endpoint_id: str
    order_id: str
    sequence: int
    position: int
    kind: str
    attempts: int
    due_at: datetime | None
    delivered_at: datetime | None
    given_up_at: datetime | None
    last_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    created_at: datetime


_COLUMNS = tuple(getattr(WebhookDelivery, name) for name in LoggedDelivery.__dataclass_fields__)


def _logged(row: Any) -> LoggedDelivery:
    return LoggedDelivery(**row._mapping)


async def list_deliveries(
    session: AsyncSession, endpoint_id: str, *, limit: int, before: int | None
) -> list[LoggedDelivery]:
    """At most *limit* deliveries to the endpoint, the newest first, before position *before*."""
    query = select(*_COLUMNS).where(WebhookDelivery.endpoint_id == endpoint_id)
    if before is not None:
        query = query.where(WebhookDelivery.position < before)
    rows = await session.execute(query.order_by(WebhookDelivery.position.desc()).limit(limit))
    return [_logged(row) for row in rows]


async def find(session: AsyncSession, delivery_id: str) -> LoggedDelivery | None:
    """The delivery with that id."""
    row = (await session.execute(select(*_COLUMNS).where(WebhookDelivery.delivery_id == delivery_id))).one_or_none()
    return None if row is None else _logged(row)


async def redeliver(session: AsyncSession, delivery_id: str) -> None:
    """Send it once more, now and by the whole schedule if need be; nothing waits for it. One that is under way goes on."""
    idle = or_(WebhookDelivery.leased_until.is_(None), WebhookDelivery.leased_until < func.now())
    await session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.delivery_id == delivery_id, idle)
        .values(
            attempts=0,
            due_at=func.now(),
            delivered_at=None,
            given_up_at=None,
            redelivered_at=func.now(),
        )
    )


async def forget_old(session: AsyncSession, *, limit: int) -> int:
    """Delete up to *limit* deliveries that have been over for as long as the log goes back; answers how many."""
    old = (
        select(WebhookDelivery.delivery_id)
        .where(WebhookDelivery.created_at < func.now() - KEPT_FOR, WebhookDelivery.due_at.is_(None))
        .limit(limit)
    )
    found = await session.execute(
        delete(WebhookDelivery).where(WebhookDelivery.delivery_id.in_(old)).returning(WebhookDelivery.delivery_id)
    )
    return len(found.all())
