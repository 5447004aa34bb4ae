"""What all streams of one process share: one listening connection, the newest published events, who waits for what."""

import asyncio
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from api.streams.wire import message
from contracts import views
from contracts.names import EVENTS_CHANNEL, PUBLISHED_CHANNEL
from db.listening import listen
from db.reading import feed
from db.reading.feed import PublishedEvent
from db.session import Sessions
from domain.errors import Refused

log = structlog.get_logger(__name__)

AWAY = (DBAPIError, PoolTimeoutError, OSError, TimeoutError)
"""What reading raises while the database is away."""
AGAIN_AFTER = 1.0
MOST_STREAMS = 2000
# Streams read at most so many at a time: the connections are the requests' too.
READERS = 4
# The newest events that readers find without asking the database.
KEPT = 2000
PAGE = 200


@dataclass(frozen=True, slots=True)
class Told:
    """A published event as it goes over the wire, the same for every reader."""

    position: int
    source: str
    chunk: bytes


def told(event: PublishedEvent) -> Told:
    """The event with its order's names beside its own view."""
    view = views.event_view(
        sequence=event.sequence,
        kind=event.kind,
        at=event.at,
        actor_kind=event.actor_kind,
        actor_id=event.actor_id,
        data=event.data,
    )
    order = {name: getattr(event, name) for name in ("order_id", "channel", "source", "order_ref")}
    chunk = message(kind=event.kind, place=event.position, data={"position": event.position} | view | order)
    return Told(event.position, event.source, chunk)


class Tail:
    """The newest published events, contiguous: everything behind *floor* up to *last*."""

    def __init__(self, last: int) -> None:
        self.floor = self.last = last
        self._events: list[Told] = []

    def extend(self, events: list[Told]) -> None:
        """Add what comes next, and let go of the oldest."""
        self._events += events
        self.last = events[-1].position
        if len(self._events) > 2 * KEPT:
            self.floor = self._events[-KEPT - 1].position
            del self._events[:-KEPT]

    def after(self, position: int, *, limit: int) -> list[Told]:
        """At most *limit* events behind *position*, which is not before the floor."""
        first = bisect_right(self._events, position, key=lambda event: event.position)
        return self._events[first : first + limit]


class Hub:
    """Wakes each stream when there is something for it; connects with the first stream."""

    def __init__(self, sessions: Sessions, database_url: str) -> None:
        self.sessions = sessions
        self.reading = asyncio.Semaphore(READERS)
        self.ended = False
        self.open = 0
        self._database_url = database_url
        self._orders: dict[str, set[asyncio.Event]] = {}
        self._followers: set[asyncio.Event] = set()
        self._published = asyncio.Event()
        self._tail: Tail | None = None
        self._listening: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None

    def admit(self) -> None:
        """Return when one more stream may be opened.

        Raises:
            Refused: (busy) there are too many, or the process is about to end.
        """
        if self.ended or self.open >= MOST_STREAMS:
            raise Refused("there are too many open streams here; try again", code="busy")

    @contextmanager
    def watch_order(self, order_id: str) -> Iterator[asyncio.Event]:
        """An event that is set now, at each announcement of the order, and at the end of the process."""
        with self._counted() as woken:
            watchers = self._orders.setdefault(order_id, set())
            watchers.add(woken)
            try:
                yield woken
            finally:
                watchers.discard(woken)
                if not watchers:
                    del self._orders[order_id]

    @contextmanager
    def watch_feed(self) -> Iterator[asyncio.Event]:
        """An event that is set now, whenever the tail has grown, and at the end of the process."""
        with self._counted() as woken:
            self._followers.add(woken)
            if self._following is None:
                self._following = asyncio.create_task(self._follow())
            try:
                yield woken
            finally:
                self._followers.discard(woken)
                if not self._followers:
                    self._following.cancel()
                    self._following = self._tail = None

    @contextmanager
    def _counted(self) -> Iterator[asyncio.Event]:
        if self._listening is None:
            channels = (EVENTS_CHANNEL, PUBLISHED_CHANNEL)
            self._listening = asyncio.create_task(listen(self._database_url, channels, self._heard))
        woken = asyncio.Event()
        woken.set()
        self.open += 1
        try:
            yield woken
        finally:
            self.open -= 1

    @property
    def tail(self) -> Tail | None:
        """The newest events; None until the first look of the first reader of the feed."""
        return self._tail

    def _heard(self, channel: str, payload: str) -> None:
        if channel == PUBLISHED_CHANNEL:
            self._published.set()
        else:
            for order_id in (payload,) if payload else tuple(self._orders):
                for woken in self._orders.get(order_id, ()):
                    woken.set()

    async def _follow(self) -> None:
        """Keep the tail up to date: one query for each announcement, whatever the number of readers."""
        while True:
            self._published.clear()
            try:
                grown = await self._grow()
            except AWAY as error:
                log.warning("feed_not_read", error=type(error).__name__)
                await asyncio.sleep(AGAIN_AFTER)
                continue
            except Exception as error:  # the edge of a task that nobody awaits: its readers would wait for ever
                log.error("feed_failed", exc_info=error)
                await asyncio.sleep(AGAIN_AFTER)
                continue
            for woken in self._followers:
                woken.set()
            if not grown:
                await self._published.wait()

    async def _grow(self) -> bool:
        """Read what was published since; whether there may be more."""
        async with self.sessions() as session:
            if self._tail is None:
                self._tail = Tail(await feed.last_position(session))
                return True
            found = await feed.published(session, after=self._tail.last, limit=PAGE)
        if found:
            self._tail.extend([told(event) for event in found])
        return len(found) == PAGE

    def end(self) -> None:
        """End every stream; each reader can go on elsewhere from the last id it saw."""
        self.ended = True
        for watchers in (self._followers, *self._orders.values()):
            for woken in watchers:
                woken.set()

    async def close(self) -> None:
        """End every stream, and stop listening."""
        self.end()
        tasks = [task for task in (self._listening, self._following) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
