"""Our own processes die at any moment: worker, API, database; nothing is lost and nothing happens twice."""

import asyncio
import json
import random
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.conftest import Site, plain
from tests.fixtures import bodies
from tests.fixtures.shop import Shop
from tests.fixtures.waiting import until

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
SAMPLE, SEED, WORKER_DEATHS = 40, 7, 2
# An activity that died with its worker is tried again when its time is up: after 30 s where a carrier is asked.
WITHIN = 150.0


def sample_orders() -> list[dict[str, Any]]:
    """Orders of the sample, a seeded choice with every sort in it, under references of this run."""
    lines = (EXAMPLES / "orders.jsonl").read_text().splitlines()
    by_sort: dict[str, list[dict[str, Any]]] = {}
    for order in map(json.loads, lines):
        by_sort.setdefault(order["metadata"]["sort"], []).append(order)
    dice = random.Random(SEED)
    chosen = [dice.choice(orders) for orders in by_sort.values()]
    others = [order for orders in by_sort.values() for order in orders if order not in chosen]
    chosen += dice.sample(others, SAMPLE - len(chosen))
    return [order | {"order_ref": bodies.new_ref("S")} for order in chosen]


async def fill_shelves(shop: Shop) -> None:
    """Locations, products and stock of the sample; a second time books nothing."""
    read = {
        name: [json.loads(line) for line in (EXAMPLES / f"{name}.jsonl").read_text().splitlines()]
        for name in ("locations", "products", "stock")
    }
    for place in read["locations"]:
        await shop.done("PUT", f"/v1/locations/{place.pop('location_id')}", role="operations", body=place)
    for product in read["products"]:
        await shop.done("PUT", f"/v1/products/{product.pop('sku')}", role="operations", body=product)
    shelves: dict[str, list[dict[str, Any]]] = {}
    for row in read["stock"]:
        shelves.setdefault(row.pop("location_id"), []).append(row)
    for location_id, lines in shelves.items():
        receipt = {"location_id": location_id, "reference": "sample", "lines": lines}
        await shop.done("POST", "/v1/stock/receipts", role="operations", body=receipt)


async def test_a_worker_that_dies_again_and_again_in_the_middle_of_the_sample_loses_nothing(site: Site):
    shop = site.shop
    await fill_shelves(shop)
    orders = sample_orders()

    posted = await asyncio.gather(*(shop.post({k: v for k, v in o.items() if k != "expect"}) for o in orders))
    ids = [answer.json()["order_id"] for answer in posted]
    for death in range(WORKER_DEATHS):
        more = partial(_has_grown, shop, ids, await _events(shop, ids))
        await until(more, f"some work before death {death + 1}", within=WITHIN)
        await site.kill_and_wait("worker")
    ends = await shop.until_over(ids, within=WITHIN)

    assert [answer.status_code for answer in posted] == [201] * SAMPLE
    wrong = [
        (order["metadata"], order["expect"], plain(view), view["outcome"])
        for order, view in zip(orders, ends.values(), strict=True)
        if not _as_expected(order["expect"], view)
    ]
    assert wrong == []


async def _events(shop: Shop, ids: list[str]) -> int:
    [row] = await shop.rows("SELECT count(*) AS told FROM order_events WHERE order_id = ANY($1)", ids)
    told: int = row["told"]
    return told


async def _has_grown(shop: Shop, ids: list[str], told: int) -> bool:
    closed = await shop.rows("SELECT 1 FROM orders WHERE order_id = ANY($1) AND closed_at IS NULL", ids)
    return not closed or await _events(shop, ids) >= told + 20


def _as_expected(expect: dict[str, Any], view: dict[str, Any]) -> bool:
    found = {
        "state": view["state"],
        "outcome": (view["outcome"] or {}).get("reason"),
        "captured_minor": view["amounts"]["captured_minor"],
    }
    return all(found[name] == value for name, value in expect.items())


async def test_an_api_that_dies_right_after_its_commit_has_taken_the_order(site: Site):
    shop = site.shop
    sku = await shop.product(50)
    body = bodies.order([bodies.line(sku, 1)])
    key = f"key-{body['order_ref']}"
    # The engine is away, so that the answer is held back after the commit.
    await site.kill_and_keep_down("temporal")

    call = asyncio.create_task(shop.post(body, key=key, wait=10))
    found = await until(
        lambda: shop.rows("SELECT order_id FROM orders WHERE order_ref = $1", body["order_ref"]), "the commit"
    )
    old = site.stack.kill("api")
    [broken] = await asyncio.gather(call, return_exceptions=True)
    await site.stack.wait_for_new_pid("api", old)
    again = await until(lambda: _post_again(shop, body, key), "the API to answer again")
    await site.stack.start_child("temporal")
    await site.stack.wait_until_ready()

    assert isinstance(broken, httpx.TransportError)
    assert (again.status_code, again.headers.get("idempotent-replayed")) == (201, "true")
    assert again.json()["order_id"] == found[0]["order_id"]
    [view] = (await shop.until_over([found[0]["order_id"]], within=WITHIN)).values()
    assert plain(view) == ("delivered", 500)


@pytest.mark.long
async def test_an_api_that_dies_under_load_loses_no_order_it_has_answered(site: Site):
    shop = site.shop
    sku = await shop.product(100)
    todo = [bodies.order([bodies.line(sku, 1)], payments=[bodies.prepaid()]) for _ in range(30)]

    async def insist(body: dict[str, Any]) -> str:
        answer = await until(lambda: _post_again(shop, body, f"key-{body['order_ref']}"), "an answer")
        assert answer.status_code == httpx.codes.CREATED, answer.text
        order_id: str = answer.json()["order_id"]
        return order_id

    calls = [asyncio.create_task(insist(body)) for body in todo]
    await until(lambda: _some_rows(shop, sku, 3), "some commits")
    old = site.stack.kill("api")
    await site.stack.wait_for_new_pid("api", old)
    ids = await asyncio.gather(*calls)

    assert len(set(ids)) == len(todo)
    ends = await shop.until_over(ids, within=WITHIN)
    assert {plain(view) for view in ends.values()} == {("delivered", 500)}


async def _some_rows(shop: Shop, sku: str, count: int) -> bool:
    return len(await shop.rows("SELECT 1 FROM orders WHERE $1 = ANY(skus)", sku)) >= count


async def _post_again(shop: Shop, body: dict[str, Any], key: str) -> httpx.Response | None:
    """An answer that is more than "later"."""
    try:
        answer = await shop.post(body, key=key)
    except httpx.TransportError:
        return None
    return None if answer.status_code in {409, 503} else answer


async def test_a_database_that_is_killed_and_comes_back_has_lost_nothing(site: Site):
    shop = site.shop
    sku = await shop.product(100)
    first = [(await shop.order(bodies.order([bodies.line(sku, 1)])))["order_id"] for _ in range(6)]

    old = site.stack.kill("postgres")
    todo = [bodies.order([bodies.line(sku, 1)]) for _ in range(6)]
    statuses: set[int] = set()

    async def insist(body: dict[str, Any]) -> str:
        async def post() -> httpx.Response | None:
            answer = await shop.post(body, key=f"key-{body['order_ref']}")
            statuses.add(answer.status_code)
            assert answer.status_code in {201, 409, 503}, answer.text
            return answer if answer.status_code == httpx.codes.CREATED else None

        answer = await until(post, "an answer", within=60)
        order_id: str = answer.json()["order_id"]
        return order_id

    second = await asyncio.gather(*(insist(body) for body in todo))
    await site.stack.wait_for_new_pid("postgres", old)
    await site.stack.wait_until_ready()

    assert httpx.codes.SERVICE_UNAVAILABLE in statuses
    ends = await shop.until_over([*first, *second], within=WITHIN)
    assert {plain(view) for view in ends.values()} == {("delivered", 500)}


@pytest.mark.long
async def test_the_outside_world_is_killed_and_remembers_what_it_did(site: Site):
    shop = site.shop
    sku = await shop.product(50)
    ids = [(await shop.order(bodies.order([bodies.line(sku, 1)])))["order_id"] for _ in range(8)]

    await until(lambda: shop.ledger(ids[0]), "the first effect")
    await site.kill_and_wait("world")
    ends = await shop.until_over(ids, within=WITHIN)

    assert {plain(view) for view in ends.values()} == {("delivered", 500)}
