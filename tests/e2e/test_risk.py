"""An order that much speaks against waits for a person, who lets it go or refuses it; then nothing of it is left."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fixtures import bodies
from tests.fixtures.playing import Hand
from tests.fixtures.shop import Shop, View

# More than all the other rules together, so that the amount alone decides.
HELD = {"risk_hold_score": 1000, "risk_amount_weight": 1000, "risk_amount_minor": 90_000}
USUAL = {"risk_hold_score": 0, "risk_amount_weight": 30, "risk_amount_minor": 100_000}


async def set_rules(shop: Shop, changed: dict[str, int]) -> None:
    """A policy with *changed*."""
    await shop.done("PUT", "/v1/policy", role="operations", body={"rules": changed})


@pytest.fixture
async def wary(hands: Shop) -> AsyncIterator[Shop]:
    """The silent stack under a policy that holds orders from 900.00 on."""
    await set_rules(hands, HELD)
    try:
        yield hands
    finally:
        await set_rules(hands, USUAL)


async def held(shop: Shop, sku: str, price: int) -> tuple[View, View]:
    """An order of that price once it waits for nothing but a person, and its hold."""
    order = await shop.order(bodies.order([bodies.line(sku, 1, price)]), wait=5)
    assert [hold["reason"] for hold in order["holds"]] == ["high_risk_of_fraud"], order["decisions"]
    view = await shop.until_state(order["order_id"], "confirmed")
    assert [(wait["owner"], wait["next_step"]) for wait in view["waits"]] == [("risk", "release_hold")]
    return view, view["holds"][0]


async def decide(shop: Shop, order_id: str, hold_id: str, **body: Any) -> View:
    """The order after a named person's decision."""
    answer = await shop.call(
        "POST",
        f"/v1/orders/{order_id}/holds/{hold_id}/release",
        role="support",
        body=body,
        headers={"Doorstep-Actor": "ada"},
    )
    assert answer.is_success, answer.text
    view: View = answer.json()
    return view


async def test_a_named_person_lets_a_held_order_go_and_it_is_delivered(wary: Shop):
    sku = await wary.product(2)
    view, hold = await held(wary, sku, 90_000)
    order_id = view["order_id"]

    assert hold["note"].startswith("score 1")
    assert "it costs 90000, 90000 or more" in hold["note"]
    assert view["fulfillments"][0]["released_at"] is None
    await decide(wary, order_id, hold["hold_id"], note=f"{bodies.MARK} answered the telephone")
    fulfilling = await wary.until_state(order_id, "fulfilling")
    await Hand(wary, fulfilling).deliver_all()
    end = (await wary.until_over([order_id]))[order_id]

    events = await wary.events(order_id)
    assert [event["kind"] for event in events[:2]] == ["order.received", "hold.placed"]
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    (gone,) = (event for event in events if event["kind"] == "hold.released")
    assert (gone["actor"]["id"], gone["data"]["hold_id"]) == ("ada", hold["hold_id"])
    assert (end["state"], end["amounts"]["captured_minor"]) == ("delivered", 90_000)
    assert end["decisions"][0]["chosen"] == "hold"


async def test_a_named_person_refuses_a_held_order_and_everything_is_given_back(wary: Shop):
    sku = await wary.product(2)
    view, hold = await held(wary, sku, 95_000)
    order_id = view["order_id"]
    assert (await wary.stock(sku))["available"] == 1

    await decide(wary, order_id, hold["hold_id"], decision="reject")
    end = (await wary.until_over([order_id]))[order_id]

    assert (end["state"], end["outcome"]["reason"], end["holds"]) == ("rejected", "fraud", [])
    assert (await wary.stock(sku)) == {"on_hand": 2, "reserved": 0, "unavailable": 0, "available": 2}
    assert [entry["kind"] for entry in await wary.ledger(order_id)] == ["authorization", "void"]
    assert end["amounts"] | {"ordered_total_minor": 95_000, "captured_minor": 0} == end["amounts"]


async def test_an_order_just_below_goes_to_the_warehouse_by_itself(wary: Shop):
    order = await wary.order(bodies.order([bodies.line(await wary.product(1), 1, 89_999)]))

    view = await wary.until_state(order["order_id"], "fulfilling")
    await Hand(wary, view).deliver_all()
    await wary.until_over([order["order_id"]])

    assert view["holds"] == []
