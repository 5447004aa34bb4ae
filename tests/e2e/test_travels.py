"""Orders that travel by themselves: the floor and the carriers of the world play, the order view tells it as api.md does."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.fixtures import bodies
from tests.fixtures.shop import TERMINAL, Shop
from tests.fixtures.stack import SPEED


def quantities(view: Mapping[str, Any], line: int = 0) -> dict[str, int]:
    """The line's buckets that hold anything."""
    found: dict[str, int] = view["lines"][line]["quantities"]
    return {bucket: count for bucket, count in found.items() if count}


async def test_an_order_by_card_travels_to_the_doorstep(shop: Shop):
    sku = await shop.product(10)

    order = await shop.order(bodies.order([bodies.line(sku, 6, 255)], shipping_minor=495), wait=10)
    view = await shop.until_state(order["order_id"], "delivered")

    assert order["state"] in {"confirmed", "fulfilling"}
    assert view["amounts"] == {
        "ordered_total_minor": 2025,
        "total_minor": 2025,
        "authorized_minor": 2025,
        "captured_minor": 2025,
        "refunded_minor": 0,
    }
    assert quantities(view) == {"ordered": 6, "delivered": 6}
    assert (view["waits"], view["waiting"], view["attention"], view["outcome"]) == ([], None, [], None)
    [payment] = view["payments"]
    assert (payment["state"], payment["amount_minor"], payment["decline_code"]) == ("captured", 2025, None)
    [fulfillment] = view["fulfillments"]
    [parcel] = fulfillment["parcels"]
    assert (fulfillment["location_id"], fulfillment["state"]) == ("LEEDS", "delivered")
    assert (parcel["state"], parcel["tracking_status"], parcel["lines"]) == (
        "delivered",
        "delivered",
        [{"line_id": "1", "quantity": 6}],
    )
    assert await shop.stock(sku) == {"on_hand": 4, "reserved": 0, "unavailable": 0, "available": 4}
    kinds = [entry["kind"] for entry in await shop.ledger(order["order_id"])]
    assert sorted(kinds) == ["authorization", "capture", "label", "pick_request"]
    kinds = await shop.kinds(order["order_id"])
    assert kinds[:6] == [
        *("order.received", "stock.reserved", "payment.authorized", "order.confirmed"),
        *("fulfillment.released", "order.fulfilling"),
    ]
    assert kinds[-1] == "order.delivered" or kinds[-2:] == ["order.delivered", "payment.captured"], kinds


async def test_the_request_is_kept_byte_for_byte(shop: Shop):
    sku = await shop.product(1)
    body = bodies.order([bodies.line(sku, 1)])

    order = await shop.order(body)
    await shop.until_state(order["order_id"], "delivered")

    assert await shop.done("GET", f"/v1/orders/{order['order_id']}/request", role="support") == body


async def test_two_locations_are_two_fulfillments_charged_each_by_itself(shop: Shop):
    north = await shop.product({"LEEDS": 5})
    south = await shop.product({"BRISTOL": 5})

    order = await shop.order(
        bodies.order([bodies.line(north, 2, 1001), bodies.line(south, 1, 333)], shipping_minor=495)
    )
    view = await shop.until_state(order["order_id"], "delivered")

    assert {f["location_id"] for f in view["fulfillments"]} == {"LEEDS", "BRISTOL"}
    holds = await shop.ledger(order["order_id"], "authorization")
    captures = await shop.ledger(order["order_id"], "capture")
    assert sorted(hold["amount_minor"] for hold in holds) in ([333, 2497], [828, 2002])
    assert sorted(c["amount_minor"] for c in captures) == sorted(h["amount_minor"] for h in holds)
    assert view["amounts"]["captured_minor"] == 2 * 1001 + 333 + 495
    decision = next(d for d in view["decisions"] if d["kind"] == "sourcing")
    assert decision["chosen"] and decision["candidates"]


async def test_one_sku_on_two_lines_is_picked_line_by_line(shop: Shop):
    sku = await shop.product(5)

    order = await shop.order(bodies.order([bodies.line(sku, 2, 500), bodies.line(sku, 3, 450, discount_minor=100)]))
    view = await shop.until_state(order["order_id"], "delivered")

    assert [quantities(view, place) for place in (0, 1)] == [
        {"ordered": 2, "delivered": 2},
        {"ordered": 3, "delivered": 3},
    ]
    assert view["amounts"]["captured_minor"] == 2 * 500 + 3 * 450 - 100
    assert await shop.stock(sku) == {"on_hand": 0, "reserved": 0, "unavailable": 0, "available": 0}


async def test_a_prepaid_order_asks_no_provider(shop: Shop):
    sku = await shop.product(3)

    order = await shop.order(
        bodies.order([bodies.line(sku, 3, 700)], payments=[bodies.prepaid()], channel="marketplace", source="bazaar")
    )
    view = await shop.until_state(order["order_id"], "delivered")

    assert view["payments"][0]["state"] == "captured"
    assert view["amounts"]["captured_minor"] == 2100
    assert await shop.ledger(order["order_id"], "authorization", "capture", "void") == []


async def test_cash_is_collected_at_the_door(shop: Shop):
    sku = await shop.product(3)

    order = await shop.order(
        bodies.order([bodies.line(sku, 2, 700)], payments=[{"method": "cash_on_delivery"}], shipping_minor=300)
    )
    view = await shop.until_state(order["order_id"], "delivered")

    assert (view["payments"][0]["state"], view["amounts"]["captured_minor"]) == ("captured", 1700)
    assert view["attention"] == []
    [delivered] = [event for event in await shop.events(order["order_id"]) if event["kind"] == "parcel.delivered"]
    assert delivered["data"]["collected_minor"] == 1700


async def test_two_payments_are_used_in_the_order_given(shop: Shop):
    sku = await shop.product(2)

    order = await shop.order(
        bodies.order([bodies.line(sku, 2, 1000)], payments=[bodies.prepaid(amount_minor=700), bodies.card()])
    )
    view = await shop.until_state(order["order_id"], "delivered")

    assert [(p["method"], p["amount_minor"], p["state"]) for p in view["payments"]] == [
        ("prepaid", 700, "captured"),
        ("card", 1300, "captured"),
    ]
    [capture] = await shop.ledger(order["order_id"], "capture")
    assert capture["amount_minor"] == 1300


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
    ],
)
async def test_a_declined_card_rejects_the_order_and_gives_the_stock_back(shop: Shop, token: str, code: str):
    sku = await shop.product(3)

    order = await shop.order(bodies.order([bodies.line(sku, 3)], payments=[bodies.card(token)]), wait=10)

    assert order["state"] == "rejected"
    assert order["outcome"] == {"state": "rejected", "reason": "payment_declined", "detail": code}
    assert (order["payments"][0]["state"], order["payments"][0]["decline_code"]) == ("declined", code)
    assert quantities(order) == {"ordered": 3, "cancelled": 3}
    assert await shop.stock(sku) == {"on_hand": 3, "reserved": 0, "unavailable": 0, "available": 3}


async def test_a_rejected_order_is_replaced_by_a_new_one_of_the_same_reference(shop: Shop):
    sku = await shop.product(3)
    body = bodies.order([bodies.line(sku, 3)], payments=[bodies.card("pm_card_chargeDeclined")])
    rejected = await shop.order(body, wait=10)

    same = await shop.post(body)
    second = await shop.order(body | {"payments": [bodies.card()]})
    view = await shop.until_state(second["order_id"], "delivered")

    assert (same.status_code, same.json()["order_id"]) == (200, rejected["order_id"])
    assert view["replaces"] == rejected["order_id"] != view["order_id"]
    assert view["related"] == [{"order_id": rejected["order_id"], "relation": "replaces"}]
    first = await shop.view(rejected["order_id"])
    assert {"order_id": view["order_id"], "relation": "replaced_by"} in first["related"]


async def test_what_is_out_of_stock_is_rejected_whole(shop: Shop):
    there, gone = await shop.product(5), await shop.product(0)

    order = await shop.order(bodies.order([bodies.line(there, 1), bodies.line(gone, 1)]), wait=10)

    assert (order["state"], order["outcome"]["reason"]) == ("rejected", "out_of_stock")
    assert (await shop.stock(there))["reserved"] == 0
    assert await shop.ledger(order["order_id"]) == []


@pytest.mark.parametrize("scenario", ["short_pick", "short_pick_damage"])
async def test_a_short_pick_charges_only_what_left(shop: Shop, scenario: str):
    sku = await shop.product(5)

    order = await shop.order(bodies.order([bodies.line(sku, 3, 500)], scenario=scenario, shipping_minor=495))
    view = await shop.until_state(order["order_id"], "delivered")

    assert quantities(view) == {"ordered": 3, "delivered": 2, "cancelled": 1}
    assert view["amounts"]["captured_minor"] == 2 * 500 + 495
    assert view["amounts"]["total_minor"] == 2 * 500 + 495
    damaged = int(scenario == "short_pick_damage")
    assert await shop.stock(sku) == {
        "on_hand": 2 + damaged,
        "reserved": 0,
        "unavailable": damaged,
        "available": 2,
    }


@pytest.mark.parametrize(("scenario", "left"), [("short_pick_all", 2), ("refuse", 5)])
async def test_an_order_of_which_nothing_can_leave_is_cancelled_and_nothing_charged(
    shop: Shop, scenario: str, left: int
):
    sku = await shop.product(5)

    order = await shop.order(bodies.order([bodies.line(sku, 3, 500)], scenario=scenario, shipping_minor=495))
    [view] = (await shop.until_over([order["order_id"]])).values()

    assert (view["state"], view["outcome"]["reason"]) == ("cancelled", "inventory")
    assert view["amounts"]["captured_minor"] == view["amounts"]["total_minor"] == 0
    assert view["payments"][0]["state"] == "voided"
    assert (await shop.stock(sku))["available"] == left
    [void] = await shop.ledger(order["order_id"], "void")
    assert void["amount_minor"] == 3 * 500 + 495


async def test_a_refused_label_is_shown_to_dispatch_and_charges_nothing(shop: Shop):
    sku = await shop.product(1)

    order = await shop.order(bodies.order([bodies.line(sku, 1)], scenario="label_refused"))
    view = await shop.until(order["order_id"], lambda v: v["attention"], "a case")

    [case] = view["attention"]
    assert (case["code"], case["owner"], case["cause"]) == ("label_failed", "dispatch", "address_not_served")
    assert view["state"] == "fulfilling"
    assert await shop.ledger(order["order_id"], "capture", "label") == []


async def test_a_warehouse_may_bring_its_own_label(shop: Shop):
    sku = await shop.product(1)

    order = await shop.order(bodies.order([bodies.line(sku, 1)], scenario="own_label"))
    view = await shop.until_state(order["order_id"], "delivered")

    [parcel] = view["fulfillments"][0]["parcels"]
    assert parcel["carrier"] == "swift" and parcel["tracking_number"] and parcel["label_url"] is None
    assert await shop.ledger(order["order_id"], "label") == []


async def test_two_parcels_are_labelled_and_delivered_each(shop: Shop):
    sku = await shop.product(4)

    order = await shop.order(bodies.order([bodies.line(sku, 4, 500)], scenario="two_parcels"))
    view = await shop.until_state(order["order_id"], "delivered")

    parcels = view["fulfillments"][0]["parcels"]
    assert [p["parcel_ref"] for p in parcels] == ["A", "B"]
    assert sum(p["lines"][0]["quantity"] for p in parcels) == 4
    assert len({p["tracking_number"] for p in parcels}) == len(await shop.ledger(order["order_id"], "label")) == 2
    assert len(await shop.ledger(order["order_id"], "capture")) == 1


async def test_heavy_goods_travel_in_as_many_parcels_as_the_carrier_takes(shop: Shop):
    sku = await shop.product(5, weight_g=9_000)

    order = await shop.order(bodies.order([bodies.line(sku, 5)]))
    view = await shop.until_state(order["order_id"], "delivered")

    parcels = view["fulfillments"][0]["parcels"]
    assert len(parcels) == 3
    assert max(p["weight_g"] for p in parcels) <= 20_000


@pytest.mark.parametrize("scenario", ["duplicates", "shuffled", "no_accept", "late_scan", "no_pickup_scan", "delayed"])
async def test_facts_in_any_manner_lead_to_the_same_end(shop: Shop, scenario: str):
    sku = await shop.product(2)

    order = await shop.order(bodies.order([bodies.line(sku, 2)], scenario=scenario))
    view = await shop.until_state(order["order_id"], "delivered")

    assert quantities(view) == {"ordered": 2, "delivered": 2}
    assert view["amounts"]["captured_minor"] == 1000
    assert view["fulfillments"][0]["parcels"][0]["tracking_status"] == "delivered"
    assert view["attention"] == []


async def test_a_failed_delivery_is_tried_again(shop: Shop):
    sku = await shop.product(1)

    order = await shop.order(bodies.order([bodies.line(sku, 1)], scenario="delivery_failed"))
    view = await shop.until_state(order["order_id"], "delivered")

    kinds = await shop.kinds(order["order_id"])
    assert "attention.opened" in kinds and "attention.resolved" in kinds
    assert view["attention"] == []


@pytest.mark.parametrize(
    ("scenario", "code", "bucket", "state"),
    [
        ("lost", "parcel_lost", "lost", None),
        ("return_to_sender", "delivery_failed", "sent_back", None),
        ("floor_silent", None, "at_warehouse", "fulfilling"),
        ("carrier_silent", None, "in_transit", "shipped"),
    ],
)
async def test_an_order_that_does_not_arrive_stays_open_for_people(
    shop: Shop, scenario: str, code: str | None, bucket: str, state: str | None
):
    sku = await shop.product(2)

    order = await shop.order(bodies.order([bodies.line(sku, 2)], scenario=scenario))
    view = await shop.until(order["order_id"], lambda v: v["lines"][0]["quantities"][bucket] == 2, bucket)

    assert view["state"] not in TERMINAL
    assert state is None or view["state"] == state
    assert view["waiting"] is not None
    if code is not None:
        assert code in {case["code"] for case in view["attention"]}
        assert await shop.ledger(order["order_id"], "refund", "void") == []


@pytest.mark.parametrize("token", ["pm_card_slow", "pm_card_timeoutBefore", "pm_card_timeoutAfter"])
async def test_an_uncertain_answer_of_the_provider_charges_once(shop: Shop, token: str):
    sku = await shop.product(1)

    order = await shop.order(bodies.order([bodies.line(sku, 1)], payments=[bodies.card(token)]))
    await shop.until_state(order["order_id"], "delivered")

    assert [e["kind"] for e in await shop.ledger(order["order_id"], "authorization", "capture", "void")] == [
        "authorization",
        "capture",
    ]


async def test_a_label_whose_answer_was_lost_is_bought_once(shop: Shop):
    sku = await shop.product(1)

    order = await shop.order(bodies.order([bodies.line(sku, 1)], scenario="label_timeout_after"))
    await shop.until_state(order["order_id"], "delivered")

    assert len(await shop.ledger(order["order_id"], "label")) == 1


async def test_a_capture_that_is_refused_after_the_goods_left_is_a_case_for_payments(shop: Shop):
    sku = await shop.product(1)

    order = await shop.order(bodies.order([bodies.line(sku, 1)], payments=[bodies.card("pm_card_captureFails")]))
    view = await shop.until(
        order["order_id"],
        lambda v: v["attention"] and v["lines"][0]["quantities"]["delivered"] == 1,
        "delivered, with a case",
    )

    [case] = view["attention"]
    assert (case["code"], case["owner"]) == ("capture_failed", "payments")
    assert view["state"] not in TERMINAL


@pytest.mark.parametrize(
    ("scenario", "state", "decided"),
    [(None, "cancelled", "done"), ("requests_refused", "delivered", "refused")],
)
async def test_a_warehouse_answers_what_it_is_asked(shop: Shop, scenario: str | None, state: str, decided: str):
    await shop.turn(speed=1.0)  # Slow enough to be asked in time.
    order = await shop.order(bodies.order([bodies.line(await shop.product(3), 2)], scenario=scenario))
    await shop.until_state(order["order_id"], "fulfilling")
    answer = await shop.call(
        "POST", f"/v1/orders/{order['order_id']}/cancel", role="storefront", body={"reason": "customer"}
    )
    await shop.turn(speed=SPEED)

    assert answer.status_code == 202, answer.text
    view = (await shop.until_over([order["order_id"]]))[order["order_id"]]
    assert (view["state"], view["cancellations"][0]["state"]) == (state, decided)
