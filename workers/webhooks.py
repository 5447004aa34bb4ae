"""Webhooks outward: signed, in order per order, each endpoint by itself, until they are taken or given up."""

import asyncio
import contextlib
from collections import Counter
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.exc import DBAPIError
from standardwebhooks import Webhook

from db.session import Sessions
from db.webhooks import deliveries
from db.webhooks.deliveries import Delivery
from providers.outward import NotAnswered, Outward
from workers.freezing import Freezer
from workers.relays import Relay

log = structlog.get_logger(__name__)

AT_ONCE = 64
SHARE = 8
"""So many deliveries to one endpoint are under way at once."""
# Longer than the longest answer takes.
LEASE = timedelta(seconds=30)


class WebhookRelay(Relay):
    """Sends what is due; a slow endpoint keeps no other waiting."""

    name = "webhooks"
    table = "webhook_deliveries"
    pace = 0.01

    def __init__(self, sessions: Sessions, outward: Outward, freezer: Freezer) -> None:
        super().__init__(sessions)
        self._outward = outward
        self._freezer = freezer
        self._sending: dict[asyncio.Task[None], str] = {}
        self._taken: dict[str, int] = {}
        self._failed: dict[str, tuple[int | None, str | None]] = {}

    async def run(self) -> None:
        """For ever; what is under way at the end is sent again by whoever comes next."""
        try:
            await super().run()
        finally:
            for task in self._sending:
                task.cancel()
            await asyncio.gather(*self._sending, return_exceptions=True)
            with contextlib.suppress(DBAPIError, OSError, TimeoutError):
                await self._note()

    async def work(self) -> bool:
        """Note what became of earlier attempts, then begin those that are due."""
        await self._note()
        limit = AT_ONCE - len(self._sending)
        if limit <= 0:
            return False
        async with self._single() as session:
            due = await deliveries.claim(session, limit=limit, share=SHARE, busy=self._busy(), lease=LEASE)
        for delivery in due:
            task = asyncio.create_task(self._send(delivery))
            self._sending[task] = delivery.endpoint_id
            task.add_done_callback(self._sent)
        return False

    async def next_due_in(self) -> float | None:
        """When a delivery that waits is due; never while as many are under way as may be."""
        if len(self._sending) >= AT_ONCE:
            return None
        async with self._single() as session:
            return await deliveries.next_due_in(session, busy=self._busy())

    def _busy(self) -> list[str]:
        return [endpoint_id for endpoint_id, count in Counter(self._sending.values()).items() if count >= SHARE]

    def _sent(self, task: asyncio.Task[None]) -> None:
        del self._sending[task]
        self.wake()

    async def _note(self) -> None:
        """Write down the results; what cannot be written now is kept for the next time."""
        if self._taken:
            noted = list(self._taken.items())
            async with self._single() as session:
                await deliveries.taken(session, noted)
            for delivery_id, _ in noted:
                del self._taken[delivery_id]
        for delivery_id, (status, error) in list(self._failed.items()):
            async with self._sessions.begin() as session:
                disabled = await deliveries.failed(session, delivery_id, status=status, error=error)
            del self._failed[delivery_id]
            log.info("webhook_not_taken", delivery_id=delivery_id, status=status, error=error)
            if disabled is not None:
                log.warning("webhook_endpoint_disabled", delivery_id=delivery_id, reason=disabled)

    async def _send(self, delivery: Delivery) -> None:
        try:
            status = await self._post(delivery)
        except NotAnswered as failure:
            self._failed[delivery.delivery_id] = (None, failure.reason)
        except Exception as error:  # the edge of a task that nobody awaits: the attempt failed, and the log has why
            log.error("webhook_not_sent", delivery_id=delivery.delivery_id, exc_info=error)
            self._failed[delivery.delivery_id] = (None, "internal_error")
        else:
            if 200 <= status < 300:
                self._taken[delivery.delivery_id] = status
            else:
                self._failed[delivery.delivery_id] = (status, "redirect" if 300 <= status < 400 else None)

    async def _post(self, delivery: Delivery) -> int:
        body = delivery.body
        if body is None:
            async with self._sessions.begin() as session:
                body = await self._freezer.body_of(session, delivery)
            if body is None:
                raise NotAnswered("not_visible")
        at = datetime.now(UTC)
        signatures = [Webhook(secret).sign(delivery.delivery_id, at, body) for secret in delivery.secrets]
        headers = {
            "content-type": "application/json",
            "webhook-id": delivery.delivery_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
        return await self._outward.post(delivery.url, headers=headers, body=body.encode())
