"""Two transactions at once: one is made to wait for the other, and the test knows when it does."""

import asyncio

from sqlalchemy import text

from db.session import Sessions

LIMIT = 10.0


async def until_one_waits(sessions: Sessions, task: "asyncio.Task[object]") -> None:
    """Return once a transaction waits for a lock that another one holds; the database tells nobody, so it is asked."""

    async def waits() -> bool:
        async with sessions() as session:
            waiting = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted"
            found = await session.execute(text(f"{waiting} AND a.datname = current_database()"))
            return bool(found.scalar_one())

    async with asyncio.timeout(LIMIT):
        while not await waits():
            assert not task.done(), "it did not wait"
            await asyncio.sleep(0.01)
