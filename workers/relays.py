"""The relays inside the worker: outbox to engine, events to the one feed, webhooks outward; each beats its heart."""

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import httpx
import orjson
import structlog
from pydantic import TypeAdapter
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.ext.asyncio import AsyncConnection
from standardwebhooks import Webhook
from temporalio.service import RPCError

from contracts import views
from db import heartbeats, idempotency, outbox, publishing, webhooks
from db.outbox import Outgoing
from db.session import Sessions, autocommit
from db.webhooks import Delivery
from domain.orders import Order
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
MOST_DELIVERIES = 50
_ORDER: TypeAdapter[Order] = TypeAdapter(Order)


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
    """Stamps events with their place in the feed; one at a time over all workers."""

    name = "publisher"
    table = "order_events"
    pace = 0.05

    def __init__(self, sessions: Sessions, *, published: Callable[[], None]) -> None:
        super().__init__(sessions)
        self._published = published
        self._connection: AsyncConnection | None = None
        self._leads = False

    async def work(self) -> bool:
        """Stamp what is committed, if this is the publisher."""
        if self._connection is None:
            engine = self._sessions.kw["bind"]
            # Each statement by itself: the lock is the session's, and stamping is one statement.
            self._connection = await engine.execution_options(isolation_level="AUTOCOMMIT").connect()
        self._leads = self._leads or await publishing.become_publisher(self._connection)
        if not self._leads:
            return False
        stamped = await publishing.stamp(self._connection, limit=MOST_EVENTS)
        if stamped:
            self._published()
        return stamped == MOST_EVENTS

    async def lose(self) -> None:
        """A lost connection lost the lock with it."""
        self._leads = False
        if self._connection is not None:
            await self._connection.invalidate()
            await self._connection.close()
            self._connection = None


class WebhookRelay(Relay):
    """Sends webhooks, signed, until they are taken: again after 1 s, doubling to 60 s."""

    name = "webhooks"
    table = "webhook_deliveries"

    def __init__(self, sessions: Sessions, client: httpx.AsyncClient) -> None:
        super().__init__(sessions)
        self._client = client

    async def work(self) -> bool:
        """Send what is due."""
        async with self._single() as session:
            due = await webhooks.claim(session, limit=MOST_DELIVERIES, lease=timedelta(seconds=30))
        if not due:
            return False
        taken = await asyncio.gather(*(self._deliver(delivery) for delivery in due))
        async with self._single() as session:
            await webhooks.delivered(
                session, [delivery.delivery_id for delivery, ok in zip(due, taken, strict=True) if ok]
            )
        return len(due) == MOST_DELIVERIES

    async def next_due_in(self) -> float | None:
        """When a delivery that waits is due."""
        async with self._single() as session:
            return await webhooks.next_due_in(session)

    async def _deliver(self, delivery: Delivery) -> bool:
        body, at = await self._body(delivery)
        signature = Webhook(delivery.secret).sign(delivery.delivery_id, at, body.decode())
        headers = {
            "content-type": "application/json",
            "webhook-id": delivery.delivery_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signature,
        }
        status, error = None, None
        try:
            answer = await self._client.post(delivery.url, content=body, headers=headers)
            if answer.is_success:
                return True
            status = answer.status_code
        except httpx.HTTPError as failure:
            error = f"{type(failure).__name__}: {failure}"
        wait = timedelta(seconds=min(60.0, 2.0 ** min(delivery.attempts - 1, 6)))
        log.info("webhook_not_taken", delivery_id=delivery.delivery_id, status=status, error=error)
        async with self._sessions.begin() as session:
            await webhooks.failed(session, delivery.delivery_id, wait=wait, status=status, error=error)
        return False

    async def _body(self, delivery: Delivery) -> tuple[bytes, datetime]:
        """The payload, made from how things stand now, and the time it is signed with."""
        async with self._sessions() as session:
            source = await webhooks.fulfillment_source(session, delivery.order_id, delivery.sequence)
        order = _ORDER.validate_python(source.snapshot)
        event = source.event
        at = datetime.now(UTC)
        payload = {
            "type": delivery.kind,
            "timestamp": at,
            "data": {
                "event": views.event_view(
                    sequence=event.sequence,
                    kind=event.kind,
                    at=event.at,
                    actor_kind=event.actor_kind,
                    actor_id=event.actor_id,
                    data=event.data,
                ),
                "fulfillment": views.fulfillment_view(
                    order,
                    order.fulfillment(event.data["fulfillment_id"]),
                    order_ref=source.order_ref,
                    priority=source.priority,
                    ship_to=views.ship_to_view(
                        name=source.contact.name, phone=source.contact.phone, address=source.contact.shipping_address
                    ),
                    gift=source.contact.gift,
                    products=source.products,
                ),
            },
        }
        return orjson.dumps(payload), at


class Housekeeper(Relay):
    """Forgets what need not be kept: stored answers older than 30 days."""

    name = "housekeeping"

    async def work(self) -> bool:
        """Delete a batch."""
        async with self._sessions.begin() as session:
            return await idempotency.forget_expired(session, limit=BATCH) == BATCH

    async def _sleep(self) -> None:
        await asyncio.sleep(HOUSEKEEPING_EVERY)
