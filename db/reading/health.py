"""Whether the database answers and how long ago each relay went round; what is too long is judged by the caller."""

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Heartbeat


async def heartbeat_ages(session: AsyncSession) -> dict[str, timedelta]:
    """Relay -> time since it last went round, by the database's clock."""
    rows = await session.execute(select(Heartbeat.name, (func.now() - Heartbeat.at).label("age")))
    return {row.name: row.age for row in rows}
