"""A database, a client and a stage; the database tells the stage of every change."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from temporalio.client import Client

from contracts import names
from db.listening import listen
from db.session import Sessions, create_sessions, dispose
from runtime.wire import data_converter
from tests.workflows.stage import Stage


@pytest_asyncio.fixture(scope="module")
async def sessions(database_url: str) -> AsyncIterator[Sessions]:
    """Transactions on a migrated database of this module."""
    made = create_sessions(database_url, pool_size=20)
    yield made
    await dispose(made)


@pytest_asyncio.fixture(scope="module")
async def client(temporal_server: str) -> Client:
    """A client whose name is the same on every machine: it stands in histories that are kept."""
    return await Client.connect(temporal_server, data_converter=data_converter, identity="doorstep-tests")


@pytest_asyncio.fixture(scope="module")
async def changed(database_url: str) -> AsyncIterator[asyncio.Condition]:
    """Notified whenever anything was told of any order."""
    condition = asyncio.Condition()
    tasks: set[asyncio.Task[None]] = set()

    async def notify() -> None:
        async with condition:
            condition.notify_all()

    def heard(channel: str, payload: str) -> None:
        task = asyncio.create_task(notify())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listening = asyncio.create_task(listen(database_url, [names.WORK_CHANNEL, names.DECIDED_CHANNEL], heard))
    yield condition
    listening.cancel()
    await asyncio.gather(listening, *tasks, return_exceptions=True)


@pytest.fixture
def stage(sessions: Sessions, client: Client, changed: asyncio.Condition) -> Stage:
    """A task queue and providers of this test alone."""
    return Stage(sessions, client, changed)
