"""Alembic's entry: runs the migrations against DATABASE_URL, never waiting long for a lock."""

import asyncio
import os

from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from db.models import Base
from db.session import create_engine


def run(connection: Connection) -> None:
    """Migrate over *connection*, one transaction for all."""
    context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=False)
    with context.begin_transaction():
        connection.execute(text("SET LOCAL lock_timeout = '4s'"))
        context.run_migrations()


async def main() -> None:
    """Connect and migrate."""
    url = create_engine(os.environ["DATABASE_URL"]).url
    engine = create_async_engine(url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


asyncio.run(main())
