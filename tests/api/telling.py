"""Webhooks from the event to the receiver: the API, the relays of a worker, and somebody who listens, in one process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy import text

from api.app import create_app
from providers.outward import Outward
from tests.api.bodies import order
from tests.api.conftest import KEYS, Api, settings_for
from tests.fixtures.receiver import Receiver, receiving
from tests.fixtures.waiting import until
from workers.freezing import Freezer
from workers.relays import Publisher
from workers.webhooks import WebhookRelay


@dataclass
class Told:
    """The API where loopback may be called, the relays of a worker, and somebody who listens."""

    api: Api
    clients: dict[str, httpx.AsyncClient]
    receiver: Receiver
    publisher: Publisher
    relay: WebhookRelay

    def __getitem__(self, name: str) -> httpx.AsyncClient:
        return self.clients[name]

    async def endpoint(self, *events: str, who: str = "support") -> dict[str, Any]:
        """A new endpoint of that key at a path of its own, which the view has as *path*."""
        path = f"/{uuid4().hex}"
        body = {"url": self.receiver.url + path, "events": list(events)}
        answer = await self[who].post("/v1/webhook-endpoints", json=body)
        assert answer.status_code == 201, answer.text
        view: dict[str, Any] = answer.json()
        return view | {"path": path}

    async def shown(self, endpoint: dict[str, Any], *, who: str = "support") -> dict[str, Any]:
        """The endpoint as it is now."""
        view: dict[str, Any] = (await self[who].get(f"/v1/webhook-endpoints/{endpoint['endpoint_id']}")).json()
        return view

    async def log(self, endpoint: dict[str, Any], *, who: str = "support") -> list[dict[str, Any]]:
        """The endpoint's deliveries, the oldest first."""
        path = f"/v1/webhook-endpoints/{endpoint['endpoint_id']}/deliveries?limit=200"
        items: list[dict[str, Any]] = (await self[who].get(path)).json()["items"]
        return items[::-1]

    async def order(self, who: str = "storefront", **changes: Any) -> str:
        """The id of a new order."""
        return str((await self[who].post("/v1/orders", json=order(**changes))).json()["order_id"])

    async def publish(self) -> None:
        """Stamp what is committed, and let the relay know."""
        while await self.publisher.work():
            pass
        self.relay.wake()

    async def until_log(self, endpoint: dict[str, Any], *states: tuple[str, int]) -> list[dict[str, Any]]:
        """The log once its deliveries are in these states after so many attempts."""

        found: list[dict[str, Any]] = []

        async def look() -> bool:
            found[:] = await self.log(endpoint)
            return [(one["state"], one["attempts"]) for one in found] == list(states)

        await until(look, f"deliveries {states}")
        return found

    async def until_disabled(self, endpoint: dict[str, Any]) -> dict[str, Any]:
        """The endpoint once it is disabled."""

        async def look() -> dict[str, Any] | None:
            found = await self.shown(endpoint)
            return found if found["disabled_at"] else None

        return await until(look, "the endpoint to be disabled")

    async def pass_time(self, endpoint: dict[str, Any]) -> None:
        """Let the pauses of the endpoint's failed deliveries be over."""
        async with self.api.sessions.begin() as session:
            await session.execute(
                text(
                    "UPDATE webhook_deliveries SET due_at = now() WHERE endpoint_id = :id AND leased_until IS NULL"
                    " AND attempts > 0 AND due_at > now()"
                ),
                {"id": endpoint["endpoint_id"]},
            )
        self.relay.wake()


@contextlib.asynccontextmanager
async def telling(api: Api, database_url: str) -> AsyncIterator[Told]:
    """All of it, running; loopback may be called."""
    settings = replace(settings_for(database_url), webhooks_allow_loopback=True)
    app = create_app(settings, sessions=api.sessions)
    freezer = Freezer(settings)
    outward = Outward(allow_loopback=True, answer_within=2)
    async with contextlib.AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(app), base_url="http://api", headers=api[name].headers, timeout=60
                )
            )
            for name in KEYS
        }
        receiver = await stack.enter_async_context(receiving())
        relay = WebhookRelay(api.sessions, outward, freezer)
        publisher = Publisher(api.sessions, queue=freezer.queue, published=relay.wake)
        running = asyncio.create_task(relay.run())
        yield Told(api=api, clients=clients, receiver=receiver, publisher=publisher, relay=relay)
        assert not running.done(), "the relay ended by itself"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await publisher.lose()
        await outward.close()


async def begin_quietly(told: Told) -> None:
    """The receiver takes everything and has nothing yet; no endpoint or event is left from before."""
    told.receiver.answer = lambda _: 204
    told.receiver.received.clear()
    async with told.api.sessions.begin() as session:
        await session.execute(text("DELETE FROM webhook_endpoints"))
    await told.publish()
