"""When each relay last went round; the readiness page reads it."""

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Heartbeat


async def beat(session: AsyncSession, name: str) -> None:
    """Note that *name* is alive now, by the database's clock."""
    statement = insert(Heartbeat).values(name=name, at=func.now())
    await session.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"at": func.now()}))
