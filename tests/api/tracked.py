"""Orders that somebody follows by their link: taken by the API, moved on without an engine, and served for real."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import uvicorn
from standardwebhooks import Webhook

from api.__main__ import Server
from api.app import create_app
from devstack.ports import HOST, free_base
from domain.messages import CarrierFact
from domain.vocabulary import TrackingStatus
from tests.api.bodies import order
from tests.api.conftest import CARRIER_SECRET, Api, settings_for
from tests.fixtures.waiting import until
from tests.workers.desk import Desk

PERSONAL: dict[str, Any] = {
    "customer": {
        "customer_ref": "c-1",
        "name": "Amy Nightingale",
        "email": "amy.nightingale@example.org",
        "phone": "+441632960001",
        "locale": "en-GB",
    },
    "shipping_address": {
        "name": "Amy Nightingale",
        "lines": ["17 Canary Wharf Lane"],
        "city": "Leeds",
        "postal_code": "LS1 4DY",
        "country": "GB",
    },
    "note": "the canary sings at the back door",
    "gift": {"message": "sing for me", "hide_prices": True},
}


async def placed(api: Api, **changes: Any) -> tuple[Desk, str]:
    """A new order, and its token as the storefront sees it."""
    answer = await api["storefront"].post("/v1/orders", json=order(**PERSONAL | changes))
    assert answer.status_code == 201, answer.text
    view = answer.json()
    desk = await Desk.take_over(api.sessions, view["order_id"])
    return desk, str(view["links"]["tracking_page"]).removeprefix("/track/")


async def scan(api: Api, desk: Desk, status: str, **more: Any) -> None:
    """The carrier's signed word, and what the order makes of it."""
    parcel = desk.order.parcels[0]
    event = {
        "event_id": f"{desk.order.order_id}-{status}-{len(more)}",
        "tracking_number": parcel.tracking_number,
        "status": status,
        "occurred_at": datetime.now(UTC).isoformat(),
    } | more
    payload, now = json.dumps(event), datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": event["event_id"],
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(CARRIER_SECRET).sign(event["event_id"], now, payload),
    }
    answer = await api["nobody"].post("/v1/carriers/swift/events", content=payload, headers=headers)
    assert answer.status_code == 202, answer.text
    fact = CarrierFact(
        id=f"carrier:swift/{event['event_id']}",
        carrier="swift",
        tracking_number=str(parcel.tracking_number),
        status=TrackingStatus(status),
        occurred_at=datetime.now(UTC),
        has_proof="proof" in more,
    )
    await desk.send(fact)


@asynccontextmanager
async def served(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser at the API behind a real server."""
    app = create_app(settings_for(database_url))
    port = free_base(1)
    config = uvicorn.Config(app, host=HOST, port=port, log_level="critical", lifespan="off", ws="none")
    server = Server(config, app.state.context.streams)
    task = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await until(started, "the server to start")
    try:
        async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", trust_env=False, timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        await task
        await app.state.context.close()
