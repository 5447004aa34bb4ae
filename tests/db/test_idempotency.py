"""Stored answers are forgotten after thirty days, and not before."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, select

from db import idempotency
from db.models import IdempotencyKey
from db.session import create_sessions, dispose


async def test_only_what_is_older_than_thirty_days_is_forgotten(database_url: str):
    sessions = create_sessions(database_url, pool_size=1)
    now = datetime.now(UTC)
    ages = {b"young": timedelta(days=29), b"old": timedelta(days=31)}
    async with sessions.begin() as session:
        for name, age in ages.items():
            await session.execute(insert(IdempotencyKey).values(request_id=name, body_hash=b"", created_at=now - age))

        forgotten = await idempotency.forget_expired(session, limit=10)

        left = (await session.execute(select(IdempotencyKey.request_id))).scalars().all()
    await dispose(sessions)
    assert (forgotten, left) == (1, [b"young"])
