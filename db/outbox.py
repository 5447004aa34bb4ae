"""What the engine must still be told, in SQL: claimed with leases, in order per workflow; nothing is sent from here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import cast, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import OrderRow
from domain.attention import CASES, AttentionCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One row to send."""

    outbox_id: int
    workflow_id: str
    order_id: str
    kind: str
    name: str | None
    payload: dict[str, Any] | None
    attempts: int


async def claim(session: AsyncSession, *, limit: int, lease: timedelta) -> list[Outgoing]:
    """Up to *limit* rows that are due, oldest first, leased; none of a workflow whose earlier row is leased or waits."""
    rows = await session.execute(
        text(
            "UPDATE outbox SET due_at = now() + :lease, attempts = attempts + 1"
            " WHERE outbox_id IN ("
            "  SELECT o.outbox_id FROM outbox o WHERE o.parked_at IS NULL AND o.due_at <= now()"
            "  AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.workflow_id = o.workflow_id"
            "   AND e.outbox_id < o.outbox_id AND e.parked_at IS NULL AND e.due_at > now())"
            "  ORDER BY o.outbox_id LIMIT :limit FOR UPDATE SKIP LOCKED)"
            " RETURNING outbox_id, workflow_id, order_id, kind, name, payload, attempts"
        ),
        {"lease": lease, "limit": limit},
    )
    return sorted((Outgoing(**row) for row in rows.mappings()), key=lambda row: row.outbox_id)


async def claim_start(session: AsyncSession, order_id: str, *, lease: timedelta) -> Outgoing | None:
    """The order's start, leased; None when it was sent, or is being sent by another."""
    rows = await session.execute(
        text(
            "UPDATE outbox SET due_at = now() + :lease, attempts = attempts + 1"
            " WHERE outbox_id IN (SELECT outbox_id FROM outbox WHERE order_id = :order_id AND kind = 'start'"
            "  AND parked_at IS NULL AND attempts = 0 FOR UPDATE SKIP LOCKED)"
            " RETURNING outbox_id, workflow_id, order_id, kind, name, payload, attempts"
        ),
        {"lease": lease, "order_id": order_id},
    )
    row = rows.mappings().first()
    return None if row is None else Outgoing(**row)


async def finish(session: AsyncSession, outbox_ids: Sequence[int]) -> None:
    """Forget rows that were sent."""
    if outbox_ids:
        await session.execute(text("DELETE FROM outbox WHERE outbox_id = ANY(:ids)"), {"ids": list(outbox_ids)})


async def postpone(session: AsyncSession, outbox_ids: Sequence[int], *, wait: timedelta, error: str) -> None:
    """Try rows again after *wait*."""
    if outbox_ids:
        await session.execute(
            text("UPDATE outbox SET due_at = now() + :wait, last_error = :error WHERE outbox_id = ANY(:ids)"),
            {"ids": list(outbox_ids), "wait": wait, "error": error[:500]},
        )


async def park(session: AsyncSession, outbox_id: int, *, error: str) -> None:
    """Set a row aside for people; the later rows of its workflow go on."""
    await session.execute(
        text("UPDATE outbox SET parked_at = now(), last_error = :error WHERE outbox_id = :id"),
        {"id": outbox_id, "error": error[:500]},
    )


async def next_due_in(session: AsyncSession) -> float | None:
    """Seconds until the earliest unparked row is due, 0 when one is; None when there is none."""
    found = await session.execute(
        text("SELECT extract(epoch FROM min(due_at) - now()) FROM outbox WHERE parked_at IS NULL")
    )
    seconds = found.scalar()
    return None if seconds is None else max(0.0, float(seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Startable:
    """What an order's workflow is started, or judged to be gone, by."""

    order_id: str
    snapshot: dict[str, Any]
    version: int
    is_closed: bool


async def startable(session: AsyncSession, order_id: str) -> Startable | None:
    """The order's stored value; None when there is no such order."""
    found = await session.execute(
        select(OrderRow.order_id, OrderRow.snapshot, OrderRow.version, OrderRow.closed_at).where(
            OrderRow.order_id == order_id
        )
    )
    row = found.first()
    if row is None:
        return None
    return Startable(
        order_id=row.order_id, snapshot=row.snapshot, version=row.version, is_closed=row.closed_at is not None
    )


async def open_orders(session: AsyncSession, *, after: str, limit: int) -> list[Startable]:
    """Open orders by id behind *after*, at most *limit*: a keyset page."""
    found = await session.execute(
        select(OrderRow.order_id, OrderRow.snapshot, OrderRow.version)
        .where(OrderRow.closed_at.is_(None), OrderRow.order_id > after)
        .order_by(OrderRow.order_id)
        .limit(limit)
    )
    return [
        Startable(order_id=row.order_id, snapshot=row.snapshot, version=row.version, is_closed=False) for row in found
    ]


async def signal_again(session: AsyncSession, order_id: str, workflow_id: str, known: Sequence[str]) -> int:
    """Queue every inbox fact of the order that its state does not know; answers how many."""
    queued = await session.execute(
        text(
            "INSERT INTO outbox (workflow_id, order_id, kind, name, payload)"
            " SELECT :workflow_id, order_id, 'signal', signal, fact FROM inbox"
            " WHERE order_id = :order_id AND signal IS NOT NULL AND NOT (fact->>'id' = ANY(:known)) ORDER BY received_at"
        ),
        {"workflow_id": workflow_id, "order_id": order_id, "known": list(known)},
    )
    return int(getattr(queued, "rowcount", 0))


async def unpark(session: AsyncSession, order_id: str) -> None:
    """Let the order's parked rows be sent again."""
    await session.execute(
        text("UPDATE outbox SET parked_at = NULL, due_at = now(), attempts = 0 WHERE order_id = :order_id"),
        {"order_id": order_id},
    )


async def open_engine_lost(session: AsyncSession, order_id: str) -> None:
    """Open the case on the order's own row, once: its workflow cannot say it, for the engine lost it."""
    rule = CASES[AttentionCode.ENGINE_LOST]
    now = datetime.now(UTC)
    case = {
        "attention_id": f"att_{order_id.removeprefix('ord_')}_engine",
        "code": AttentionCode.ENGINE_LOST.value,
        "subject": order_id,
        "owner": rule.owner.value,
        "since": now.isoformat(),
        "due_at": (now + rule.allowed).isoformat(),
        "cause": "the engine does not know the order's workflow",
    }
    await session.execute(
        update(OrderRow)
        .where(OrderRow.order_id == order_id, ~OrderRow.row_attention.contains([{"code": case["code"]}]))
        .values(
            row_attention=OrderRow.row_attention + func.jsonb_build_array(cast(case, JSONB)),
            attention=func.array_append(OrderRow.attention, case["code"]),
        )
    )


async def close_engine_lost(session: AsyncSession, order_id: str) -> None:
    """The engine has the order again."""
    await session.execute(
        text(
            "UPDATE orders SET row_attention = coalesce((SELECT jsonb_agg(c) FROM jsonb_array_elements(row_attention) c"
            " WHERE c->>'code' <> 'engine_lost'), '[]'::jsonb), attention = array_remove(attention, 'engine_lost')"
            " WHERE order_id = :order_id"
            " AND row_attention <> '[]'::jsonb"
        ),
        {"order_id": order_id},
    )
