"""One connection that listens for NOTIFY, outside any pool; it reconnects for ever."""

import asyncio
from collections.abc import Callable, Iterable

import asyncpg
import structlog
from sqlalchemy import make_url

log = structlog.get_logger(__name__)

# A connection that died without a word is found by asking: nothing else would ever be sent on it.
_ASK_EVERY = 20.0
_ANSWER_WITHIN = 5.0


async def listen(database_url: str, channels: Iterable[str], heard: Callable[[str, str], None]) -> None:
    """Call *heard* (channel, payload) for every notification, until cancelled.

    After a reconnection *heard* is called with an empty payload for each channel: something may have been missed.
    """
    dsn = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    names = tuple(channels)
    while True:
        try:
            connection = await asyncpg.connect(dsn, timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("listener_not_connected", error=str(error)[:200])
            await asyncio.sleep(1.0)
            continue
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _connection, lost=lost: lost.set())
        try:
            for name in names:
                await connection.add_listener(name, lambda _c, _pid, channel, payload: heard(channel, payload))
            for name in names:
                heard(name, "")
            await _until_lost(connection, lost)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("listener_lost", error=str(error)[:200])
        finally:
            connection.terminate()


async def _until_lost(connection: asyncpg.Connection, lost: asyncio.Event) -> None:
    while not lost.is_set():
        try:
            async with asyncio.timeout(_ASK_EVERY):
                await lost.wait()
        except TimeoutError:
            await connection.execute("SELECT 1", timeout=_ANSWER_WITHIN)
