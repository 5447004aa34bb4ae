"""Attention cases that stand on an order's row beside its value: opened and settled without its workflow. SQL only."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import cast, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from db import projection
from db.models import OrderRow
from domain.attention import CASES, AttentionCode
from domain.change import Event
from domain.vocabulary import ActorKind, EventKind, Fix


async def open_case(session: AsyncSession, order_id: str, case: Mapping[str, Any], *, at: datetime) -> None:
    """Stand *case* on the row and tell of it, once per ``attention_id``. Locks the row."""
    found = await _locked(session, order_id)
    if any(other["attention_id"] == case["attention_id"] for other in found):
        return
    told = {name: case[name] for name in ("attention_id", "code", "subject", "owner", "cause")}
    await _write(session, order_id, [*found, dict(case)], EventKind.ATTENTION_OPENED, told, at=at)


def new_case(code: AttentionCode, *, attention_id: str, subject: str, cause: str, at: datetime) -> dict[str, Any]:
    """A case of that code, owned and timed by its rule."""
    rule = CASES[code]
    return {
        "attention_id": attention_id,
        "code": code.value,
        "subject": subject,
        "owner": rule.owner.value,
        "since": at.isoformat(),
        "due_at": (at + rule.allowed).isoformat(),
        "cause": cause,
    }


async def find_case(session: AsyncSession, order_id: str, attention_id: str) -> Mapping[str, Any] | None:
    """The open case of that id on the order's row; None when it stands elsewhere or nowhere."""
    found = await session.scalar(select(OrderRow.row_attention).where(OrderRow.order_id == order_id))
    return next((case for case in found or () if case["attention_id"] == attention_id), None)


async def settle_case(
    session: AsyncSession,
    order_id: str,
    attention_id: str,
    fix: Fix,
    *,
    person: str | None,
    hours: int | None,
    actor: tuple[ActorKind, str],
    at: datetime,
) -> bool:
    """Whether the case stood open and was closed, assigned or given more time, as *fix* says. Locks the row."""
    found = await _locked(session, order_id)
    case = next((case for case in found if case["attention_id"] == attention_id), None)
    if case is None:
        return False
    others = [other for other in found if other is not case]
    told = {"attention_id": attention_id, "code": case["code"], "subject": case["subject"], "fix": fix.value}
    kind = EventKind.ATTENTION_REMINDED
    if fix is Fix.CLOSE:
        kind = EventKind.ATTENTION_RESOLVED
    elif fix is Fix.ASSIGN:
        others.append({**case, "person": person})
        told["person"] = person
    else:
        due_at = (at + timedelta(hours=hours or 24)).isoformat()
        others.append({**case, "due_at": due_at})
        told["due_at"] = due_at
    await _write(session, order_id, others, kind, told, at=at, actor=actor)
    return True


async def _locked(session: AsyncSession, order_id: str) -> list[dict[str, Any]]:
    found = await session.scalar(select(OrderRow.row_attention).where(OrderRow.order_id == order_id).with_for_update())
    return list(found or ())


async def _write(
    session: AsyncSession,
    order_id: str,
    cases: list[dict[str, Any]],
    kind: EventKind,
    told: dict[str, Any],
    *,
    at: datetime,
    actor: tuple[ActorKind, str | None] = (ActorKind.SYSTEM, None),
) -> None:
    """The row's cases are *cases*, also where lists find them; the event is told."""
    standing = await projection.lock_order(session, order_id)
    assert standing is not None  # its row is locked already
    event = Event(
        cause_id=f"case/{told['attention_id']}/{kind.value}/{at.isoformat()}",
        ordinal=0,
        kind=kind,
        at=at,
        actor=actor[0],
        actor_id=actor[1],
        data=told,
    )
    last = await projection.add_events(session, order_id, [event], after=standing.last_sequence)
    snapshot = await session.scalar(select(OrderRow.snapshot).where(OrderRow.order_id == order_id))
    codes = {case["code"] for case in [*cases, *(snapshot or {}).get("attention", [])]}
    await session.execute(
        update(OrderRow)
        .where(OrderRow.order_id == order_id)
        .values(row_attention=cast(cases, JSONB), attention=sorted(codes), last_sequence=last, changed_at=at)
    )
