"""The relays inside the worker: outbox to engine, events to the one feed, old things away; each beats its heart."""

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from temporalio.service import RPCError

from db import heartbeats, idempotency, inventory, outbox, publishing
from db.outbox import Outgoing
from db.session import Sessions, autocommit
from db.webhooks import deliveries
from runtime.dispatch import MOST_ATTEMPTS, Dispatcher, EngineLost

log = structlog.get_logger(__name__)

BEAT_EVERY = 4.0
LONGEST_SLEEP = 2.0
HOUSEKEEPING_EVERY = 600.0
BATCH = 1000
# How often a relay that is kept busy by announcements looks for what is due without one.
LOOK_EVERY = 0.25
MOST_ROWS = 100
MOST_EVENTS = 500


class Relay(ABC):
    """Goes round while there is work, sleeps until there is more, and says that it is alive."""

    name: str
    table: str = ""
    """The table whose new rows are its work; none for a relay that nothing announces work to."""
    pace: float = 0.0
    """Seconds that it waits after an announcement for more of them: a round costs the same for one row as for many."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._single = autocommit(sessions)
        self._woken = asyncio.Event()
        self._beat_at = 0.0
        self._look_at = 0.0

    def wake(self) -> None:
        """There may be work now."""
        self._woken.set()

    async def run(self) -> None:
        """For ever; the database going away is waited out."""
        try:
            while True:
                await self._round()
        finally:
            await self.lose()

    async def _round(self) -> None:
        try:
            self._woken.clear()
            did = await self.work()
            await self._beat()
            if not did:
                await self._sleep()
        except (DBAPIError, InterfaceError, OSError, TimeoutError) as error:
            log.warning("relay_interrupted", relay=self.name, error=str(error)[:200])
            await self.lose()
            await asyncio.sleep(1.0)

    @abstractmethod
    async def work(self) -> bool:
        """One round; whether there may be more at once."""

    async def lose(self) -> None:
        """Let go of what the database gave, after it went away; most relays hold nothing between rounds."""
        return

    async def next_due_in(self) -> float | None:
        """Seconds until work that is not announced is due."""
        return None

    async def _sleep(self) -> None:
        now = asyncio.get_running_loop().time()
        wait = self._look_at - now
        if wait <= 0:
            due_in = await self.next_due_in()
            self._look_at = now + LOOK_EVERY
            wait = LONGEST_SLEEP if due_in is None else min(LONGEST_SLEEP, max(0.02, due_in))
        try:
            await asyncio.wait_for(self._woken.wait(), wait)
        except TimeoutError:
            return
        await asyncio.sleep(self.pace)

    async def _beat(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._beat_at >= BEAT_EVERY:
            async with self._single() as session:
                await heartbeats.beat(session, self.name)
            self._beat_at = now


def waking(relays: Sequence[Relay]) -> Callable[[str, str], None]:
    """What a listener calls with (channel, table): wakes the relays of that table, all of them for an empty name."""

    def heard(_channel: str, table: str) -> None:
        for relay in relays:
            if table in ("", relay.table):
                relay.wake()

    return heard


class OutboxRelay(Relay):
    """Tells the engine what the outbox holds, in order per workflow."""

    name = "outbox"
    table = "outbox"
    pace = 0.01

    def __init__(self, sessions: Sessions, dispatcher: Dispatcher) -> None:
        super().__init__(sessions)
        self._dispatcher = dispatcher

    async def work(self) -> bool:
        """Send what is due."""
        async with self._single() as session:
            rows = await outbox.claim(session, limit=MOST_ROWS, lease=timedelta(seconds=15))
        if not rows:
            return False
        by_workflow: dict[str, list[Outgoing]] = defaultdict(list)
        for row in rows:
            by_workflow[row.workflow_id].append(row)
        sent = await asyncio.gather(*(self._send_in_order(queue) for queue in by_workflow.values()))
        async with self._single() as session:
            await outbox.finish(session, [outbox_id for ids in sent for outbox_id in ids])
        return len(rows) == MOST_ROWS

    async def next_due_in(self) -> float | None:
        """When a row that waits is due."""
        async with self._single() as session:
            return await outbox.next_due_in(session)

    async def _send_in_order(self, rows: list[Outgoing]) -> list[int]:
        """Send one workflow's rows; after a failure the rest wait. Answers what was sent."""
        sent: list[int] = []
        for place, row in enumerate(rows):
            try:
                await self._dispatcher.send(row)
            except (RPCError, EngineLost, LookupError) as error:
                await self._put_off(row, rows[place + 1 :], error)
                return sent
            sent.append(row.outbox_id)
        return sent

    async def _put_off(self, row: Outgoing, later: list[Outgoing], error: Exception) -> None:
        lost = isinstance(error, EngineLost | LookupError)
        wait = timedelta(seconds=min(30.0, 0.25 * 2 ** min(row.attempts, 8)))
        log.warning("outbox_row_not_sent", order_id=row.order_id, kind=row.kind, attempt=row.attempts, lost=lost)
        async with self._sessions.begin() as session:
            if lost and row.attempts >= MOST_ATTEMPTS:
                await outbox.park(session, row.outbox_id, error=type(error).__name__)
                await outbox.open_engine_lost(session, row.order_id)
            else:
                await outbox.postpone(session, [row.outbox_id], wait=wait, error=str(error))
            await outbox.postpone(
                session, [other.outbox_id for other in later], wait=wait, error="waits for an earlier row"
            )


class Publisher(Relay):
    """Stamps events with their place in the feed and queues their webhooks; one at a time over all workers.

    Args:
        queue: queues the webhooks of the events at the positions given, in the transaction that stamps them.
        published: called after a commit.
    """

    name = "publisher"
    table = "order_events"
    pace = 0.05

    def __init__(
        self,
        sessions: Sessions,
        *,
        queue: Callable[[AsyncSession, range], Awaitable[None]],
        published: Callable[[], None],
    ) -> None:
        super().__init__(sessions)
        self._queue = queue
        self._published = published
        self._connection: AsyncConnection | None = None
        self._leads = False

    async def work(self) -> bool:
        """Stamp what is committed, if this is the publisher."""
        if self._connection is None:
            self._connection = await self._sessions.kw["bind"].connect()
        async with AsyncSession(self._connection) as session, session.begin():
            # The lock is the connection's, and outlives the transaction.
            self._leads = self._leads or await publishing.become_publisher(session)
            if not self._leads:
                return False
            stamped = await publishing.stamp(session, limit=MOST_EVENTS)
            if stamped:
                await self._queue(session, stamped)
        if stamped:
            self._published()
        return len(stamped) == MOST_EVENTS

    async def lose(self) -> None:
        """A lost connection lost the lock with it."""
        self._leads = False
        if self._connection is not None:
            await self._connection.invalidate()
            await self._connection.close()
            self._connection = None


class Housekeeper(Relay):
    """Forgets what need not be kept, older than 30 days: stored answers, webhooks that are over; serves who waits unseen."""

    name = "housekeeping"

    async def work(self) -> bool:
        """Delete a batch; and serve who waits for stock that was freed unseen, between two transactions."""
        now = datetime.now(UTC)
        async with self._sessions.begin() as session:
            await inventory.serve_waiting(session, cause=f"housekeeping/{now.isoformat()}", at=now)
        async with self._sessions.begin() as session:
            answers = await idempotency.forget_expired(session, limit=BATCH)
            told = await deliveries.forget_old(session, limit=BATCH)
            return BATCH in (answers, told)

    async def _sleep(self) -> None:
        await asyncio.sleep(HOUSEKEEPING_EVERY)
