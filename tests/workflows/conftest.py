"""A shop per test: own task queue, own skus; one database per module, one engine per session."""

from collections.abc import AsyncIterator

import pytest_asyncio

from db.session import create_sessions, dispose
from runtime import engine
from runtime.settings import Settings
from tests.workflows.shop import Shop


@pytest_asyncio.fixture
async def shop(database_url: str, temporal_server: str) -> AsyncIterator[Shop]:
    """An open shop with stock for a hundred of everything."""
    sessions = create_sessions(database_url, pool_size=5)
    client = await engine.connect_now(Settings(database_url=database_url, temporal_address=temporal_server))
    shop = Shop(sessions=sessions, client=client)
    await shop.open()
    yield shop
    await dispose(sessions)
