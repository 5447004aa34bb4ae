"""Where a stream's events come from: one order by sequence, or all that a key may see by position."""

import asyncio
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Protocol

from api.streams.hub import PAGE, Hub, told
from api.streams.wire import message
from contracts import views
from db.reading import feed, orders


class Source(Protocol):
    """Events behind a place, and word of new ones."""

    def watch(self) -> AbstractContextManager[asyncio.Event]:
        """An event that is set whenever reading may find something, for as long as the block lasts."""
        ...

    async def read(self) -> tuple[bytes, bool]:
        """The next events as they go over the wire, and whether there may be more at once."""
        ...


class OrderSource:
    """One order's events behind sequence *after*; they are committed in that order, under the row's lock."""

    def __init__(self, hub: Hub, order_id: str, *, after: int) -> None:
        self._hub = hub
        self._order_id = order_id
        self._after = after

    def watch(self) -> AbstractContextManager[asyncio.Event]:
        """Set at each announcement of the order."""
        return self._hub.watch_order(self._order_id)

    async def read(self) -> tuple[bytes, bool]:
        """A page of the order's events."""
        async with self._hub.reading, self._hub.sessions() as session:
            found = await orders.list_events(session, self._order_id, limit=PAGE, after=self._after)
        if found:
            self._after = found[-1].sequence
        chunks = [
            message(kind=event.kind, place=event.sequence, data=views.event_view(**asdict(event))) for event in found
        ]
        return b"".join(chunks), len(found) == PAGE


class FeedSource:
    """Published events behind position *after*, those of *sources* or all: from the shared tail, or by its own page."""

    def __init__(self, hub: Hub, *, after: int, sources: frozenset[str] | None) -> None:
        self._hub = hub
        self._after = after
        self._sources = sources

    def watch(self) -> AbstractContextManager[asyncio.Event]:
        """Set whenever the tail has grown."""
        return self._hub.watch_feed()

    async def read(self) -> tuple[bytes, bool]:
        """What comes next, as far as the tail knows of it."""
        tail = self._hub.tail
        if tail is None:
            return b"", False
        if self._after < tail.floor:
            return await self._catch_up(tail.last), True
        found = tail.after(self._after, limit=PAGE)
        if found:
            self._after = found[-1].position
        mine = [event.chunk for event in found if self._sources is None or event.source in self._sources]
        return b"".join(mine), len(found) == PAGE

    async def _catch_up(self, upto: int) -> bytes:
        """A page by this reader's own query; a last page that is not full ends at *upto*."""
        async with self._hub.reading, self._hub.sessions() as session:
            found = await feed.published(session, after=self._after, upto=upto, sources=self._sources, limit=PAGE)
        self._after = found[-1].position if len(found) == PAGE else upto
        return b"".join(told(event).chunk for event in found)
