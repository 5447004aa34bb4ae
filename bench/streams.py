"""Many open streams on one API process: memory of each, and how long an event is on its way to those who follow."""

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

from bench import probe, usage
from cli.up import running_stack
from devstack.processes import Say
from devstack.stack import Stack, StackOptions

_LOCATION = "BENCH"
_SKU = "BENCH-STREAMS"
_STOCK = 1_000_000
_SETTLE = 3.0
_OVER_WITHIN = 120.0
_AT = b'"at":"'
_LARGEST_EVENT = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many streams, half of them of one order each and half of all orders; how many orders a second, and how long."""

    streams: int = 300
    rate: float = 1.2
    seconds: float = 30.0


@dataclass(slots=True)
class Heard:
    """What readers took in: seconds from each event's time until it was read."""

    delays: list[float] = field(default_factory=list)
    events: int = 0
    since: float = float("inf")
    """Events from before this moment are not timed: they are replayed."""

    def note(self, block: bytes) -> None:
        """One event as it came."""
        start = block.find(_AT)
        if start < 0:
            return
        self.events += 1
        start += len(_AT)
        at = datetime.fromisoformat(block[start : block.index(b'"', start)].decode()).timestamp()
        if at >= self.since:
            self.delays.append(time.time() - at)


async def measure(folder: Path, plan: Plan, say: Say) -> dict[str, Any]:
    """Memory per stream and delays, with a whole stack under *plan.rate* orders a second."""
    options = StackOptions(data=folder / "streams", speed=0.0, env={"DOORSTEP_LOG_LEVEL": "WARNING"})
    async with running_stack(options, say) as running, _client(running) as client:
        await _stock_up(client)
        half = plan.streams // 2
        say(f"placing {half} orders to follow")
        orders = [await _place(client) for _ in range(half)]
        await _until_over(client)
        return await _measure(running, client, orders, plan, say)


async def _measure(
    running: Stack, client: httpx.AsyncClient, orders: Sequence[str], plan: Plan, say: Say
) -> dict[str, Any]:
    api = psutil.Process(running.info["pids"]["api"])
    one, feed = Heard(), Heard()
    before = api.memory_info().rss
    async with AsyncExitStack() as stack:
        for order in orders:
            await stack.enter_async_context(_following(client, f"/v1/orders/{order}/events", one))
            await stack.enter_async_context(_following(client, "/v1/events", feed))
        count = 2 * len(orders)
        await asyncio.sleep(_SETTLE)
        idle = api.memory_info().rss
        say(f"{count} streams open, {plan.rate:g} orders a second for {plan.seconds:g} s")
        cpu, one.since, feed.since = usage.cpu_seconds({"api": api.pid}), time.time(), time.time()
        placed = await _drive(client, plan, one, stack)
        await _until_over(client)
        await asyncio.sleep(1.0)
        used = usage.since(cpu, usage.cpu_seconds({"api": api.pid}))["api"]
        busy = api.memory_info().rss
    return {
        "plan": asdict(plan),
        "streams": count,
        "orders": placed,
        "load_average": probe.load(),
        "idle_bytes_per_stream": round((idle - before) / max(1, count)),
        "busy_bytes_per_stream": round((busy - before) / max(1, count)),
        "api_cpu_ms_per_order": round(used * 1000 / max(1, placed), 1),
        "one_order": _summary(one),
        "all_orders": _summary(feed),
    }


def _summary(heard: Heard) -> dict[str, Any]:
    delays = sorted(heard.delays)
    if len(delays) < 2:
        return {"timed": len(delays), "p50_ms": None, "p99_ms": None}
    cuts = statistics.quantiles(delays, n=100)
    return {"timed": len(delays), "p50_ms": round(cuts[49] * 1000, 1), "p99_ms": round(cuts[98] * 1000, 1)}


async def _drive(client: httpx.AsyncClient, plan: Plan, heard: Heard, stack: AsyncExitStack) -> int:
    """Place orders at an even pace, whatever they take, and follow each of them as well; answers how many."""
    began = time.monotonic()
    count = max(1, round(plan.rate * plan.seconds))
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / plan.rate - time.monotonic()))
        order = await _place(client)
        await stack.enter_async_context(_following(client, f"/v1/orders/{order}/events", heard))
    return count


@asynccontextmanager
async def _client(running: Stack) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {running.info['keys']['admin']}"}
    async with httpx.AsyncClient(
        base_url=running.info["api_url"], headers=headers, trust_env=False, timeout=30
    ) as client:
        yield client


@asynccontextmanager
async def _following(client: httpx.AsyncClient, path: str, heard: Heard) -> AsyncIterator[None]:
    """A reader of its own connection, with no more of HTTP than that needs: it shares the cores with what it measures."""
    where = urlsplit(str(client.base_url))
    reader, writer = await asyncio.open_connection(where.hostname, where.port, limit=_LARGEST_EVENT)
    head = f"GET {path} HTTP/1.1\r\nhost: api\r\naccept: text/event-stream\r\n"
    writer.write(f"{head}authorization: {client.headers['authorization']}\r\n\r\n".encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"{path}: {answer.splitlines()[0].decode()}")

    async def read() -> None:
        while True:
            heard.note(await reader.readuntil(b"\n\n"))

    task = asyncio.create_task(read())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        writer.close()


async def _stock_up(client: httpx.AsyncClient) -> None:
    location = {"name": "Bench", "country": "GB", "postal_code": "LS1 4DY", "latitude": 53.8, "longitude": -1.55}
    size = {"weight_g": 300, "length_mm": 120, "width_mm": 100, "height_mm": 100}
    lines = [{"sku": _SKU, "quantity": _STOCK}]
    receipt = {"location_id": _LOCATION, "reference": "bench", "lines": lines}
    (await client.put(f"/v1/locations/{_LOCATION}", json=location)).raise_for_status()
    (await client.put(f"/v1/products/{_SKU}", json={"name": "Thing", **size})).raise_for_status()
    (await client.post("/v1/stock/receipts", json=receipt)).raise_for_status()


async def _place(client: httpx.AsyncClient) -> str:
    body = {
        "order_ref": os.urandom(8).hex(),
        "channel": "web",
        "currency": "GBP",
        "customer": {"customer_ref": "bench"},
        "shipping_address": {"lines": ["1 High St"], "city": "Leeds", "postal_code": "LS1 4DY", "country": "GB"},
        "lines": [{"sku": _SKU, "quantity": 1, "unit_price_minor": 500}],
        "payments": [{"method": "card", "token": "pm_card_visa"}],
    }
    answer = (await client.post("/v1/orders", json=body)).raise_for_status()
    return str(answer.json()["order_id"])


async def _until_over(client: httpx.AsyncClient) -> None:
    """Return once no order is open, or none seems to end any more."""
    async with asyncio.timeout(_OVER_WITHIN):
        for state in ("received", "confirmed", "fulfilling", "shipped"):
            while (await client.get("/v1/orders", params={"state": state, "limit": 1})).json()["items"]:
                await asyncio.sleep(0.25)


def show(result: Mapping[str, Any]) -> list[str]:
    """The figures for a person."""
    one, feed = result["one_order"], result["all_orders"]
    return [
        f"streams: {result['streams']} open on one API process, {result['orders']} orders at"
        f" {result['plan']['rate']:g}/s, load average {result['load_average']}",
        f"memory per stream: {result['idle_bytes_per_stream'] / 1024:.1f} KiB idle,"
        f" {result['busy_bytes_per_stream'] / 1024:.1f} KiB after the load; API CPU ms per order:"
        f" {result['api_cpu_ms_per_order']}",
        f"event -> client, one order:  p50 {one['p50_ms']} ms, p99 {one['p99_ms']} ms ({one['timed']} events)",
        f"event -> client, all orders: p50 {feed['p50_ms']} ms, p99 {feed['p99_ms']} ms ({feed['timed']} events)",
    ]
