"""Sessions over this module's own database."""

from collections.abc import AsyncIterator

import pytest_asyncio

from db.session import Sessions, create_sessions, dispose


@pytest_asyncio.fixture(scope="module")
async def sessions(database_url: str) -> AsyncIterator[Sessions]:
    """Transactions on a migrated database of this module."""
    made = create_sessions(database_url, pool_size=20)
    yield made
    await dispose(made)
