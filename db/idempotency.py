"""What was answered to a request that named an Idempotency-Key, in SQL; whose request it is, the caller decides."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import IdempotencyKey

KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """The answer to the first request, and the hash of the body that it came with."""

    body_hash: bytes
    status: int
    headers: Mapping[str, str]
    answer: bytes


async def claim(session: AsyncSession, request_id: bytes, body_hash: bytes) -> StoredAnswer | None:
    """None when the request is ours to do now, else what was answered before; waits for one that is under way.

    The claim lives and dies with the transaction. A row older than 30 days counts as none.

    Raises:
        DBAPIError: (lock_not_available) the other request is still running.
    """
    expired = IdempotencyKey.created_at < func.now() - KEPT
    made = await session.execute(
        insert(IdempotencyKey)
        .values(request_id=request_id, body_hash=body_hash)
        .on_conflict_do_update(
            index_elements=[IdempotencyKey.request_id],
            set_={"body_hash": body_hash, "status": None, "headers": None, "answer": None, "created_at": func.now()},
            where=expired,
        )
        .returning(IdempotencyKey.request_id)
    )
    if made.first() is not None:
        return None
    found = (
        await session.execute(
            select(
                IdempotencyKey.body_hash, IdempotencyKey.status, IdempotencyKey.headers, IdempotencyKey.answer
            ).where(IdempotencyKey.request_id == request_id)
        )
    ).one()
    return StoredAnswer(
        body_hash=found.body_hash, status=found.status or 0, headers=found.headers or {}, answer=found.answer or b""
    )


async def store(
    session: AsyncSession, request_id: bytes, *, status: int, headers: Mapping[str, str], answer: bytes
) -> None:
    """Keep the answer of a claimed request."""
    await session.execute(
        update(IdempotencyKey)
        .where(IdempotencyKey.request_id == request_id)
        .values(status=status, headers=dict(headers), answer=answer)
    )


async def forget_expired(session: AsyncSession, *, limit: int) -> int:
    """Delete up to *limit* rows older than 30 days; answers how many."""
    old = select(IdempotencyKey.request_id).where(IdempotencyKey.created_at < func.now() - KEPT).limit(limit)
    gone = await session.execute(
        delete(IdempotencyKey).where(IdempotencyKey.request_id.in_(old)).returning(IdempotencyKey.request_id)
    )
    return len(gone.all())
