"""What happens to an order is seen as it happens: by whoever follows it, and by the shop that is told of it."""

import asyncio
import os
import signal
import sys
from typing import Any

import httpx

from devstack.children import ROOT
from devstack.ports import HOST, free_base
from tests.fixtures import bodies
from tests.fixtures.shop import TERMINAL, Shop
from tests.fixtures.sse import Event, reading
from tests.fixtures.waiting import until


def headers(shop: Shop, role: str) -> dict[str, str]:
    return {"authorization": f"Bearer {shop.info['keys'][role]}"}


async def told(shop: Shop, order_id: str, count: int) -> list[dict[str, Any]]:
    """What the shop has kept of the order, once it is *count* webhooks that need no repetition."""

    async def look() -> list[dict[str, Any]]:
        found = await shop.heard(order_id)
        return found if len(found) >= count else []

    return await until(look, f"{count} webhooks for {order_id}")


async def test_an_order_is_followed_from_its_first_event_to_its_last(shop: Shop) -> None:
    sku = await shop.product()
    api = shop.info["api_url"]
    async with reading(shop.http, f"{api}/v1/events", headers=headers(shop, "storefront")) as feed:
        order_id = (await shop.order(bodies.order([bodies.line(sku, 2)])))["order_id"]
        async with reading(
            shop.http, f"{api}/v1/orders/{order_id}/events", headers=headers(shop, "storefront")
        ) as stream:
            view = await shop.until_state(order_id, *TERMINAL)
            await stream.until_events(view["version"])

        def mine() -> list[Event]:
            return [event for event in feed.events if event.data["order_id"] == order_id]

        async def all_told() -> bool:
            return len(mine()) >= int(view["version"])

        await until(all_told, "the feed to have it all")

    listed = await shop.events(order_id)
    assert view["state"] == "delivered"
    assert [event.data for event in stream.events] == listed[: len(stream.events)]
    assert stream.ids == list(range(1, len(stream.ids) + 1))
    assert [event.data["sequence"] for event in mine()] == list(range(1, len(mine()) + 1))
    assert feed.ids == sorted(set(feed.ids))


async def test_a_shop_is_told_of_each_step_once_though_it_stumbles(shop: Shop) -> None:
    sku = await shop.product()
    await shop.turn(storefront={"fail_next": 2, "timeout_after_next": 1})
    order_id = (await shop.order(bodies.order([bodies.line(sku, 1)])))["order_id"]
    await shop.until_state(order_id, "delivered")

    steps = [kind for kind in await shop.kinds(order_id) if kind.startswith("order.")]
    found = await told(shop, order_id, len(steps))

    assert [one["type"] for one in found] == steps
    assert [one["altered"] for one in found] == [False] * len(steps)
    assert [one["order"]["version"] >= one["event"]["sequence"] for one in found] == [True] * len(steps)
    assert max(one["copies"] for one in found) >= 2
    assert found[-1]["order"]["state"] == "delivered"


async def test_an_api_process_that_is_told_to_stop_ends_its_streams_in_good_order(shop: Shop) -> None:
    sku = await shop.product()
    order_id = (await shop.order(bodies.order([bodies.line(sku, 1)])))["order_id"]
    port = free_base(1)
    env = {**os.environ, "DATABASE_URL": shop.info["database_url"], "DOORSTEP_API_PORT": str(port)}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "api", cwd=ROOT, env=env)
    api = f"http://{HOST}:{port}"

    async def up() -> bool:
        try:
            return (await shop.http.get(f"{api}/healthz")).is_success
        except httpx.TransportError:
            return False

    try:
        await until(up, "the process to serve")
        async with (
            reading(shop.http, f"{api}/v1/events", headers=headers(shop, "support")) as feed,
            reading(shop.http, f"{api}/v1/orders/{order_id}/events", headers=headers(shop, "support")) as stream,
        ):
            await stream.until_events(1)
            process.send_signal(signal.SIGTERM)
            await feed.until_over()
            await stream.until_over()
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert (feed.ended, stream.ended) == (True, True)
    assert status in (0, -signal.SIGTERM)
    await shop.until_state(order_id, "delivered")
