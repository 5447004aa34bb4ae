"""The facts of one order in other orders than they happened, and more than once: always the same end."""

import asyncio
import random
from typing import Any
from uuid import uuid4

from tests.fixtures import bodies
from tests.fixtures.playing import STORY, Hand
from tests.fixtures.shop import Shop, View

SEED = 20_261
PERMUTATIONS = 20
DUPLICATES = 3


def orderings() -> list[list[int]]:
    """A seeded sample of permutations of the eight facts, some facts told again somewhere later."""
    dice = random.Random(SEED)
    found = []
    for _ in range(PERMUTATIONS):
        told = dice.sample(range(len(STORY)), len(STORY))
        for _ in range(DUPLICATES):
            first = dice.randrange(len(told))
            told.insert(dice.randint(first + 1, len(told)), told[first])
        found.append(told)
    return found


def end(view: View) -> dict[str, Any]:
    """What must not depend on the order in which facts come in."""
    [fulfillment] = view["fulfillments"]
    [parcel] = fulfillment["parcels"]
    return {
        "state": view["state"],
        "outcome": view["outcome"],
        "quantities": [line["quantities"] for line in view["lines"]],
        "amounts": view["amounts"],
        "payments": [payment["state"] for payment in view["payments"]],
        "attention": view["attention"],
        "fulfillment": fulfillment["state"],
        "parcel": [parcel[name] for name in ("state", "tracking_status", "lines", "carrier", "parcel_ref")],
        "proof": parcel["proof_url"] is not None,
    }


async def test_every_ordering_of_the_facts_leads_to_the_same_end(hands: Shop):
    sku = await hands.product(200)
    orders = [
        await hands.order(bodies.order([bodies.line(sku, 2, 333), bodies.line(sku, 1, 100)], shipping_minor=195))
        for _ in range(PERMUTATIONS)
    ]
    views = [await hands.until_state(order["order_id"], "fulfilling") for order in orders]

    async def tell(view: View, ordering: list[int]) -> None:
        hand = Hand(hands, view, label=("swift", f"SW{uuid4().hex[:11].upper()}GB"))
        for step in ordering:
            await hand.tell(step, event_id=f"{hand.fulfillment_id}-{step}")

    await asyncio.gather(*(tell(view, told) for view, told in zip(views, orderings(), strict=True)))
    ends = await hands.until_over([order["order_id"] for order in orders])

    found = [(told, end(view)) for told, view in zip(orderings(), ends.values(), strict=True)]
    wanted = {
        "state": "delivered",
        "outcome": None,
        "amounts": {
            "ordered_total_minor": 961,
            "total_minor": 961,
            "authorized_minor": 961,
            "captured_minor": 961,
            "refunded_minor": 0,
        },
        "payments": ["captured"],
        "attention": [],
        "proof": True,
    }
    assert {name: found[0][1][name] for name in wanted} == wanted
    different = [([STORY[step] for step in told], other) for told, other in found if other != found[0][1]]
    assert different == []
