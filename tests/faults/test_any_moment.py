"""Any process dies at any moment, several times, while orders of every kind are on their way: a seeded sample."""

import asyncio
import random
from typing import Any

import httpx
import pytest

from tests.faults.conftest import Site
from tests.fixtures import bodies
from tests.fixtures.shop import Shop
from tests.fixtures.waiting import until

ORDERS, DEATHS = 16, 3
WITHIN = 200.0
PROCESSES = ("worker", "worker", "api", "world", "temporal", "postgres")
SCENARIOS = (
    *(None, None, None, "duplicates", "shuffled", "short_pick", "two_parcels", "refuse", "late_scan"),
    "label_timeout_after",
)
CARDS = (*["pm_card_visa"] * 4, "pm_card_chargeDeclined", "pm_card_timeoutAfter", "pm_card_slow")


def an_order(dice: random.Random, skus: list[str]) -> dict[str, Any]:
    """An order of one kind or another."""
    lines = [
        bodies.line(dice.choice(skus), dice.randint(1, 3), dice.randint(1, 999)) for _ in range(dice.randint(1, 2))
    ]
    card = bodies.card(dice.choice(CARDS))
    payment = dice.choice([card, card, card, card, bodies.prepaid(), {"method": "cash_on_delivery"}])
    scenario = dice.choice(SCENARIOS)
    return bodies.order(lines, payments=[payment], scenario=scenario, shipping_minor=dice.choice([0, 99]))


async def insist(shop: Shop, body: dict[str, Any]) -> str:
    """The id of an order that was posted until it was taken."""

    async def post() -> httpx.Response | None:
        try:
            answer = await shop.post(body, key=f"key-{body['order_ref']}")
        except httpx.TransportError:
            return None
        assert answer.status_code in {201, 409, 503}, answer.text
        return answer if answer.status_code == httpx.codes.CREATED else None

    order_id: str = (await until(post, "an answer", within=WITHIN)).json()["order_id"]
    return order_id


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
async def test_processes_that_die_at_any_moment_lose_nothing(site: Site, seed: int):
    shop, dice = site.shop, random.Random(seed)
    skus = [await shop.product({"LEEDS": 200}), await shop.product({"BRISTOL": 200})]

    posting = [asyncio.create_task(insist(shop, an_order(dice, skus))) for _ in range(ORDERS)]
    for _ in range(DEATHS):
        await asyncio.sleep(1.5 * dice.random())  # The moment itself is what is tried.
        name = dice.choice(PROCESSES)
        old = site.stack.kill(name)
        await site.stack.wait_for_new_pid(name, old)
    ids = await asyncio.gather(*posting)
    await site.stack.wait_until_ready()
    ends = await shop.until_over(ids, within=WITHIN)

    assert {view["state"] for view in ends.values()} <= {"delivered", "rejected", "cancelled"}
    assert [case for view in ends.values() for case in view["attention"]] == []
