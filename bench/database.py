"""What the measurements ask of PostgreSQL; nothing here is part of the program."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from sqlalchemy import text

from db.session import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """How far the database has come: bytes of write-ahead log, transactions, rows written."""

    wal_bytes: int
    transactions: int
    rows_written: int


async def counters(sessions: Sessions) -> Counters:
    """The counters now; sessions report theirs up to a second late."""
    async with sessions() as session:
        row = (
            await session.execute(
                text(
                    "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint AS wal_bytes,"
                    " (xact_commit + xact_rollback)::bigint AS transactions,"
                    " (tup_inserted + tup_updated + tup_deleted)::bigint AS rows_written"
                    " FROM pg_stat_database WHERE datname = current_database()"
                )
            )
        ).one()
    return Counters(wal_bytes=row.wal_bytes, transactions=row.transactions, rows_written=row.rows_written)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where all orders stand."""

    states: dict[str, int]
    open: int

    @property
    def orders(self) -> int:
        """How many there are."""
        return sum(self.states.values())


async def standing(sessions: Sessions) -> Standing:
    """How many orders are in which state, and how many are not closed."""
    async with sessions() as session:
        rows = await session.execute(
            text(
                "SELECT state, count(*) AS orders, count(*) FILTER (WHERE closed_at IS NULL) AS open FROM orders GROUP BY 1"
            )
        )
        found = rows.all()
    return Standing(states={row.state: row.orders for row in found}, open=sum(row.open for row in found))


async def order_ids(sessions: Sessions) -> list[str]:
    """Every order, oldest first."""
    async with sessions() as session:
        return list((await session.execute(text("SELECT order_id FROM orders ORDER BY order_id"))).scalars())


class Rows:
    """How far orders are, read on a connection of its own: the driver asks often, and must not weigh on what it measures."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def versions(self, order_ids: Sequence[str]) -> dict[str, int]:
        """Order -> messages applied and written."""
        rows = await self._connection.fetch(
            "SELECT order_id, version FROM orders WHERE order_id = ANY($1)", list(order_ids)
        )
        return {row["order_id"]: row["version"] for row in rows}


@asynccontextmanager
async def rows(database_url: str) -> AsyncIterator[Rows]:
    """The rows of orders, read fast."""
    connection = await asyncpg.connect(database_url)
    try:
        yield Rows(connection)
    finally:
        await connection.close()


async def stop_webhooks(sessions: Sessions) -> None:
    """Queue no webhooks: nobody listens."""
    async with sessions.begin() as session:
        await session.execute(text("UPDATE webhook_endpoints SET disabled_at = now()"))


async def vacuum(sessions: Sessions) -> None:
    """Tidy up and write everything out, so that one round does not pay for the one before."""
    engine = sessions.kw["bind"].execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text("VACUUM ANALYZE"))
        await connection.execute(text("CHECKPOINT"))
