"""Many at once over HTTP: the last units, carts that lock in opposite order, one key fifty times."""

import asyncio
from collections import Counter
from typing import Any

import httpx

from tests.fixtures import bodies
from tests.fixtures.shop import Shop

BUYERS, UNITS = 200, 50
CALLERS = 50
CARTS = 24


async def test_fifty_units_are_promised_to_exactly_fifty_of_two_hundred_buyers(shop: Shop):
    sku = await shop.product(UNITS)

    answers = await asyncio.gather(*(shop.post(bodies.order([bodies.line(sku, 1, 700)])) for _ in range(BUYERS)))

    assert Counter(answer.status_code for answer in answers) == {201: BUYERS}
    ids = [answer.json()["order_id"] for answer in answers]
    await shop.until_over(ids, within=90)
    ends = await shop.rows("SELECT state, count(*) AS times FROM orders WHERE order_id = ANY($1) GROUP BY state", ids)
    assert {row["state"]: row["times"] for row in ends} == {"delivered": UNITS, "rejected": BUYERS - UNITS}
    assert await shop.stock(sku) == {"on_hand": 0, "reserved": 0, "unavailable": 0, "available": 0}


async def test_carts_that_name_the_same_goods_in_opposite_order_never_lock_each_other_out(shop: Shop):
    skus = [await shop.product({"LEEDS": 40, "BRISTOL": 40}) for _ in range(3)]

    def cart(place: int) -> dict[str, Any]:
        mine = skus if place % 2 else skus[::-1]
        return bodies.order([bodies.line(sku, 1) for sku in mine], payments=[bodies.prepaid()])

    answers = await asyncio.gather(*(shop.post(cart(place)) for place in range(CARTS)))

    assert Counter(answer.status_code for answer in answers) == {201: CARTS}
    ends = await shop.until_over([answer.json()["order_id"] for answer in answers], within=60)
    assert Counter(view["state"] for view in ends.values()) == {"delivered": CARTS}


async def test_one_key_fifty_times_at_once_is_one_order_and_one_authorization(shop: Shop):
    body = bodies.order([bodies.line(await shop.product(CALLERS), 1)])

    answers = await asyncio.gather(*(shop.post(body, key=f"key-{body['order_ref']}") for _ in range(CALLERS)))

    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {201, 409}, statuses
    made = [answer for answer in answers if answer.status_code == httpx.codes.CREATED]
    busy = [answer for answer in answers if answer.status_code == httpx.codes.CONFLICT]
    assert {answer.json()["code"] for answer in busy} <= {"idempotency_in_flight"}
    assert all("retry-after" in answer.headers for answer in busy)
    [order_id] = {answer.json()["order_id"] for answer in made}
    assert sum("idempotent-replayed" not in answer.headers for answer in made) == 1
    await shop.until_over([order_id])
    assert len(await shop.ledger(order_id, "authorization")) == 1


async def test_one_identity_fifty_times_at_once_without_a_key_is_one_order(shop: Shop):
    body = bodies.order([bodies.line(await shop.product(CALLERS), 1)])

    answers = await asyncio.gather(*(shop.post(body) for _ in range(CALLERS)))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: CALLERS - 1}
    [order_id] = {answer.json()["order_id"] for answer in answers}
    await shop.until_over([order_id])
    assert len(await shop.ledger(order_id, "authorization")) == 1


async def test_an_identity_is_known_again_under_another_key_and_refused_with_other_content(shop: Shop):
    sku = await shop.product(10)
    body = bodies.order([bodies.line(sku, 1)])
    first = await shop.post(body, key=f"{body['order_ref']}-a")

    same = await shop.post(body | {"source": "default", "allow_split": True}, key=f"{body['order_ref']}-b")
    other = await shop.post(body | {"lines": [bodies.line(sku, 2)]}, key=f"{body['order_ref']}-c")
    mismatch = await shop.post(body | {"lines": [bodies.line(sku, 2)]}, key=f"{body['order_ref']}-a")

    assert (same.status_code, same.json()["order_id"]) == (200, first.json()["order_id"])
    assert (other.status_code, other.json()["code"]) == (409, "order_ref_taken")
    assert (mismatch.status_code, mismatch.json()["code"]) == (422, "idempotency_mismatch")
    await shop.until_over([first.json()["order_id"]])
