"""Engines and session makers; callers own the transaction."""

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

Sessions = async_sessionmaker[AsyncSession]


def create_engine(database_url: str, *, pool_size: int = 20) -> AsyncEngine:
    """An engine for *database_url*; a lock is waited for 5 s at most, a statement runs 30 s at most."""
    url = make_url(database_url).set(drivername="postgresql+asyncpg")
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=30,
        # An exception's text ends up in logs: without the values, which can be personal.
        hide_parameters=True,
        connect_args={
            "server_settings": {
                "application_name": "doorstep",
                "lock_timeout": "5s",
                "statement_timeout": "30s",
                "timezone": "UTC",
                "jit": "off",
            }
        },
    )


def create_sessions(database_url: str, *, pool_size: int = 20) -> Sessions:
    """A session maker over an engine of its own; ``sessions.kw["bind"]`` is that engine."""
    return async_sessionmaker(create_engine(database_url, pool_size=pool_size), expire_on_commit=False)


def autocommit(sessions: Sessions) -> Sessions:
    """Sessions on the same pool in which every statement is a transaction of its own: two round trips less for one."""
    engine: AsyncEngine = sessions.kw["bind"]
    return async_sessionmaker(engine.execution_options(isolation_level="AUTOCOMMIT"), expire_on_commit=False)


async def dispose(sessions: Sessions) -> None:
    """Close every pooled connection of *sessions*."""
    await sessions.kw["bind"].dispose()
