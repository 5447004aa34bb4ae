"""Stripe's events: made in the transaction of their cause, signed and delivered until our API takes them."""

import hashlib
import hmac
import secrets
import time
from typing import Any

import orjson

from devstack.world.config import WorldConfig
from devstack.world.deliveries import Deliveries, Job, again
from devstack.world.outbound import ApiRefused, Outbound

API_VERSION = "2026-10-28.endive"
PATH = "/v1/payments/stripe/events"
JOB = "stripe_event"


class Events:
    """The provider's webhook; without an API to call, or for a type it did not ask for, nothing is made."""

    def __init__(self, config: WorldConfig, deliveries: Deliveries, outbound: Outbound | None) -> None:
        self._secret = config.stripe_webhook_secret
        self._wanted = config.stripe_events
        self._deliveries = deliveries
        self._outbound = outbound
        deliveries.handle(JOB, self.deliver)

    def emit(self, type: str, subject: dict[str, Any], *, key: str | None) -> None:
        """The event *type* about *subject* as it is now will be delivered."""
        if self._outbound is None or (self._wanted is not None and type not in self._wanted):
            return
        event = {
            "id": f"evt_{secrets.token_hex(12)}",
            "object": "event",
            "api_version": API_VERSION,
            "created": int(time.time()),
            "data": {"object": subject},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": key},
            "type": type,
        }
        job = Job(id=str(event["id"]), kind=JOB, due_at=time.time(), body={"payload": orjson.dumps(event).decode()})
        self._deliveries.plan(job)

    async def deliver(self, job: Job) -> Job | None:
        """One attempt; any answer but a 2xx means another one later."""
        if self._outbound is None:
            return None
        payload: str = job.body["payload"]
        headers = {"stripe-signature": signature(payload, self._secret, int(time.time()))}
        try:
            await self._outbound.post(PATH, headers, payload.encode())
        except ApiRefused:
            return again(job)
        return None


def signature(payload: str, secret: str, now: int) -> str:
    """The `Stripe-Signature` header: HMAC-SHA256 over time and payload (Stripe's webhook signing scheme v1)."""
    digest = hmac.new(secret.encode(), f"{now}.{payload}".encode(), hashlib.sha256).hexdigest()
    return f"t={now},v1={digest}"
