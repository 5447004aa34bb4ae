"""Waiting for word of an order: one listening connection per process, shared by all who wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import structlog
from sqlalchemy import make_url

from contracts.names import DECIDED_CHANNEL

log = structlog.get_logger(__name__)

CONNECT_WITHIN = 2.0


class Decisions:
    """Tells waiters that an order changed; they look for themselves what it is now."""

    def __init__(self, database_url: str) -> None:
        self._dsn = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._connection: asyncpg.Connection | None = None
        self._connecting = asyncio.Lock()

    @asynccontextmanager
    async def watch(self, order_id: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set at each change of the order, for as long as the block lasts."""
        changed = asyncio.Event()
        self._waiting.setdefault(order_id, set()).add(changed)
        try:
            await self._listen()
            yield changed
        finally:
            watchers = self._waiting[order_id]
            watchers.discard(changed)
            if not watchers:
                del self._waiting[order_id]

    async def _listen(self) -> None:
        """Listen, again if the connection was lost; without a database the waiters' own looking must do."""
        async with self._connecting:
            if self._connection is not None and not self._connection.is_closed():
                return
            try:
                connection = await asyncpg.connect(self._dsn, timeout=CONNECT_WITHIN)
                await connection.add_listener(DECIDED_CHANNEL, self._tell)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("listening_failed", error=type(error).__name__)
                return
            self._connection = connection

    def _tell(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        for changed in self._waiting.get(str(payload), ()):
            changed.set()

    async def close(self) -> None:
        """Stop listening."""
        if self._connection is not None and not self._connection.is_closed():
            await self._connection.close(timeout=CONNECT_WITHIN)
