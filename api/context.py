"""What every request of one API process shares: settings, database, engine, keys; opened late, closed once."""

import asyncio
import os
from collections.abc import Coroutine
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import structlog
from temporalio.client import Client
from temporalio.service import RPCError

from api.decisions import Decisions
from api.geography import Geography, load
from api.keyring import KeyRing
from api.streams.hub import Hub
from db.session import Sessions, dispose
from runtime import engine
from runtime.dispatch import Dispatcher
from runtime.settings import Settings
from runtime.storage import DocumentStore

log = structlog.get_logger(__name__)

START_WITHIN = 1.0
MOST_STARTS = 64


class Context:
    """The process's shared things; nothing is connected before it is needed."""

    def __init__(self, settings: Settings, *, sessions: Sessions, client: Client | None = None) -> None:
        self.settings = settings
        self.sessions = sessions
        self.keys = KeyRing(sessions)
        self.decisions = Decisions(settings.database_url)
        self.streams = Hub(sessions, settings.database_url)
        self.documents = DocumentStore(sessions)
        self._client = client
        self._tasks: set[asyncio.Task[None]] = set()

    @cached_property
    def geography(self) -> Geography:
        """Where towns are; a second's work, once."""
        return load()

    def now(self) -> datetime:
        """The time, aware."""
        return datetime.now(UTC)

    def random_id(self) -> str:
        """An id for what the caller did not name."""
        return os.urandom(32).hex()

    async def client(self) -> Client:
        """The engine's client; it connects by itself when it is first used."""
        if self._client is None:
            self._client = await engine.connect(self.settings)
        return self._client

    def start_soon(self, order_id: str) -> None:
        """Try to start the order's workflow after the answer; what is missed here the relay does."""
        if len(self._tasks) < MOST_STARTS:
            self._run(self._start(order_id))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start(self, order_id: str) -> None:
        try:
            async with asyncio.timeout(START_WITHIN):
                await Dispatcher(self.sessions, await self.client(), self.settings.task_queue).start_order(order_id)
        except (RPCError, RuntimeError, OSError, TimeoutError) as error:
            log.warning("order_start_missed", order_id=order_id, error=type(error).__name__)
        except Exception as error:  # the edge of a task that nobody awaits: the relay goes on where it stopped
            log.error("order_start_failed", order_id=order_id, exc_info=error)

    async def close(self) -> None:
        """Let what runs finish, then let go of every connection."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2 * START_WITHIN)
        await self.streams.close()
        await self.decisions.close()
        await dispose(self.sessions)
