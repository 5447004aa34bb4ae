"""Notices in SQL: which events call for one, what is due, leased, and what became of it; nothing is sent from here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import DateTime, Interval, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Notice
from domain.notices import Reach, Rule
from domain.vocabulary import EventKind

CURSOR = "notices"


async def begin_reading(session: AsyncSession) -> None:
    """Have a place in the feed: behind what is there when the first reader comes, for that is no news. Repeatable."""
    await session.execute(
        text(
            "INSERT INTO feed_cursors (name, position) SELECT :name, coalesce(max(position), 0) FROM order_events"
            " ON CONFLICT DO NOTHING"
        ),
        {"name": CURSOR},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """An event that one of the rules names, and how its customer can be reached."""

    order_id: str
    sequence: int
    kind: str
    data: Mapping[str, Any]
    locale: str | None
    reach: Reach


# How far the feed may be read is taken before the events are: none is skipped, for positions have no gaps.
_READ = text(
    """
    WITH here AS (
        SELECT position FROM feed_cursors WHERE name = :name FOR UPDATE SKIP LOCKED
    ), ahead AS (
        SELECT position AS after, least(position + :limit, (SELECT coalesce(max(position), 0) FROM order_events)) AS upto
        FROM here
    ), moved AS (
        UPDATE feed_cursors c SET position = ahead.upto FROM ahead WHERE c.name = :name AND ahead.upto > ahead.after
        RETURNING ahead.upto - ahead.after AS events
    )
    SELECT moved.events, found.*
    FROM moved CROSS JOIN ahead LEFT JOIN LATERAL (
        SELECT e.position, e.order_id, e.sequence, e.kind, e.data, c.locale, c.notify, c.optional_notices,
            c.email IS NOT NULL AS has_email, c.phone IS NOT NULL AS has_phone
        FROM order_events e CROSS JOIN LATERAL (
            SELECT * FROM order_contacts WHERE order_id = e.order_id ORDER BY revision DESC LIMIT 1
        ) c
        WHERE e.position > ahead.after AND e.position <= ahead.upto AND e.at > now() - :news_for AND EXISTS (
            SELECT FROM unnest(CAST(:kinds AS text[]), CAST(:fields AS text[]), CAST(:values AS text[]))
                AS r(kind, field, value)
            WHERE r.kind = e.kind AND (r.field IS NULL OR e.data->>r.field = r.value)
        )
    ) found ON true
    ORDER BY found.position
    """
).bindparams(bindparam("news_for", type_=Interval()))


async def read_on(
    session: AsyncSession, rules: Sequence[Rule], *, limit: int, news_for: timedelta
) -> tuple[int, list[Occurrence]]:
    """How many events of the feed were passed, and those of them that *rules* name, in the feed's order.

    Passes at most *limit*; none while another reads. The caller's transaction keeps the place and what follows from it.
    """
    rows = (
        await session.execute(
            _READ,
            {
                "name": CURSOR,
                "limit": limit,
                "news_for": news_for,
                "kinds": [str(rule.event) for rule in rules],
                "fields": [rule.only[0] if rule.only else None for rule in rules],
                "values": [rule.only[1] if rule.only else None for rule in rules],
            },
        )
    ).all()
    return rows[0].events if rows else 0, [
        Occurrence(
            order_id=row.order_id,
            sequence=row.sequence,
            kind=row.kind,
            data=row.data,
            locale=row.locale,
            reach=Reach(
                has_email=row.has_email,
                has_phone=row.has_phone,
                notify=row.notify,
                optional_notices=row.optional_notices,
            ),
        )
        for row in rows
        if row.order_id is not None
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNotice:
    """A letter to write, for the event *sequence* of its order."""

    order_id: str
    sequence: int
    occasion: str
    kind: str
    channel: str
    locale: str

    @property
    def notice_id(self) -> str:
        """What the provider knows it by: the same whenever the same event calls for it."""
        return f"ntc_{self.order_id.removeprefix('ord_')}_{self.sequence}_{self.channel}"


async def queue(session: AsyncSession, notices: Sequence[NewNotice]) -> None:
    """Queue *notices*; one whose occasion was written about before stays as it is."""
    columns = ("notice_id", "order_id", "occasion", "kind", "channel", "locale")
    await session.execute(
        text(
            "INSERT INTO notices (notice_id, order_id, occasion, kind, channel, locale, sequence, state)"
            " SELECT n.*, 'queued' FROM unnest("
            + ", ".join(f"CAST(:{name} AS text[])" for name in columns)
            + ", CAST(:sequence AS int[])) AS n ON CONFLICT DO NOTHING"
        ),
        {name: [getattr(notice, name) for notice in notices] for name in (*columns, "sequence")},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DueNotice:
    """A notice to send now, with what its letter is made of; *message* is set when it was written before.

    *followed*: another one of its order waits behind it.
    """

    notice_id: str
    order_id: str
    kind: str
    channel: str
    locale: str
    attempts: int
    message: Mapping[str, Any] | None = field(repr=False)
    data: Mapping[str, Any]
    told: Sequence[Mapping[str, Any]]
    order_ref: str
    snapshot: str = field(repr=False)
    product_names: Mapping[str, str]
    name: str | None = field(repr=False)
    email: str | None = field(repr=False)
    phone: str | None = field(repr=False)
    customer_locale: str | None
    followed: bool


_CLAIM = text(
    """
    WITH claimed AS (
        UPDATE notices SET due_at = now() + :lease, attempts = attempts + 1
        WHERE notice_id IN (
            SELECT n.notice_id FROM notices n
            WHERE n.state = 'queued' AND n.due_at <= now() AND NOT EXISTS (
                SELECT FROM notices e WHERE e.order_id = n.order_id AND e.state = 'queued'
                    AND (e.sequence, e.notice_id) < (n.sequence, n.notice_id))
            ORDER BY n.due_at LIMIT :limit FOR UPDATE SKIP LOCKED)
        RETURNING notice_id, order_id, sequence, kind, channel, locale, attempts, message
    )
    SELECT n.notice_id, n.order_id, n.kind, n.channel, n.locale, n.attempts, n.message, e.data,
        coalesce((SELECT jsonb_agg(t.facts ORDER BY t.sequence) FROM notices t
            WHERE t.order_id = n.order_id AND t.kind = n.kind AND t.facts IS NOT NULL), '[]'::jsonb) AS told,
        o.order_ref, CAST(o.snapshot AS text) AS snapshot,
        coalesce((SELECT jsonb_object_agg(l->>'line_id', l->>'name')
            FROM jsonb_array_elements(o.request->'lines') l), '{}'::jsonb) AS product_names,
        c.name, c.email, c.phone, c.locale AS customer_locale,
        EXISTS (SELECT FROM notices l WHERE l.order_id = n.order_id AND l.state = 'queued'
            AND l.notice_id <> n.notice_id) AS followed
    FROM claimed n
    JOIN orders o ON o.order_id = n.order_id
    JOIN order_events e ON e.order_id = n.order_id AND e.sequence = n.sequence
    CROSS JOIN LATERAL (
        SELECT * FROM order_contacts WHERE order_id = n.order_id ORDER BY revision DESC LIMIT 1
    ) c
    """
).bindparams(bindparam("lease", type_=Interval()))


async def claim(session: AsyncSession, *, limit: int, lease: timedelta) -> list[DueNotice]:
    """Up to *limit* notices that are due, leased; of one order only the earliest that is not settled."""
    rows = await session.execute(_CLAIM, {"limit": limit, "lease": lease})
    return [DueNotice(**row) for row in rows.mappings()]


async def write_ahead(
    session: AsyncSession, written: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]]
) -> None:
    """Keep what will be sent, (notice id, message, facts) each, so that a repeat is the same to the letter."""
    await session.execute(
        text(
            "UPDATE notices n SET message = CAST(w.message AS jsonb), facts = CAST(w.facts AS jsonb)"
            " FROM unnest(CAST(:ids AS text[]), CAST(:messages AS text[]), CAST(:facts AS text[]))"
            " AS w(notice_id, message, facts) WHERE n.notice_id = w.notice_id"
        ),
        {
            "ids": [notice_id for notice_id, _, _ in written],
            "messages": [orjson.dumps(message).decode() for _, message, _ in written],
            "facts": [orjson.dumps(facts).decode() for _, _, facts in written],
        },
    )


# One statement: the row's lock, the event behind the last one, the row's new last sequence, and the notice settled.
_SENT = text(
    """
    WITH o AS (
        SELECT order_id, last_sequence FROM orders WHERE order_id = :order_id FOR UPDATE
    ), settled AS (
        UPDATE notices SET state = 'sent', settled_at = :at, message = NULL, last_error = NULL FROM o
        WHERE notice_id = :notice_id AND state = 'queued'
        RETURNING kind, channel, locale
    ), told AS (
        INSERT INTO order_events (order_id, sequence, cause_id, ordinal, kind, at, actor_kind, data)
        SELECT o.order_id, o.last_sequence + 1, 'notice/' || :notice_id, 0, :event_kind, :at, 'system',
            jsonb_build_object('kind', kind, 'channel', channel, 'locale', locale)
        FROM o, settled
        RETURNING sequence
    )
    UPDATE orders SET last_sequence = told.sequence, changed_at = :at FROM told WHERE orders.order_id = :order_id
    """
).bindparams(bindparam("at", type_=DateTime(timezone=True)))


async def sent(session: AsyncSession, notice_id: str, order_id: str, *, at: datetime) -> None:
    """The notice was taken: it is settled, and the order's timeline says so, without anything personal; once."""
    await session.execute(
        _SENT,
        {"notice_id": notice_id, "order_id": order_id, "at": at, "event_kind": EventKind.NOTICE_SENT.value},
    )


async def dropped(session: AsyncSession, notice_ids: Sequence[str]) -> None:
    """There was nothing to tell any more."""
    await session.execute(
        text(
            "UPDATE notices SET state = 'dropped', settled_at = now(), message = NULL"
            " WHERE notice_id = ANY(:ids) AND state = 'queued'"
        ),
        {"ids": list(notice_ids)},
    )


async def put_off(session: AsyncSession, notice_id: str, *, wait: timedelta, error: str) -> None:
    """Try the notice again after *wait*."""
    await session.execute(
        text(
            "UPDATE notices SET due_at = now() + :wait, last_error = :error WHERE notice_id = :id AND state = 'queued'"
        ).bindparams(bindparam("wait", type_=Interval())),
        {"id": notice_id, "wait": wait, "error": error[:500]},
    )


async def give_up(session: AsyncSession, notice_id: str, *, error: str) -> None:
    """The notice will not be tried again; what it told was not told."""
    await session.execute(
        text(
            "UPDATE notices SET state = 'given_up', settled_at = now(), message = NULL, facts = NULL,"
            " last_error = :error WHERE notice_id = :id AND state = 'queued'"
        ),
        {"id": notice_id, "error": error[:500]},
    )


async def next_due_in(session: AsyncSession) -> float | None:
    """Seconds until the earliest notice is due, 0 when one is; None when none waits."""
    found = await session.execute(
        text("SELECT extract(epoch FROM min(due_at) - now()) FROM notices WHERE state = 'queued'")
    )
    seconds = found.scalar()
    return None if seconds is None else max(0.0, float(seconds))


async def of_order(session: AsyncSession, order_id: str) -> list[Notice]:
    """The order's notices, in the order of the events that called for them."""
    found = await session.execute(
        select(Notice).where(Notice.order_id == order_id).order_by(Notice.sequence, Notice.notice_id)
    )
    return list(found.scalars())
