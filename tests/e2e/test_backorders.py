"""Orders that wait for stock: served in the order of their promise, exactly, and never overtaken."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.fixtures import bodies
from tests.fixtures.playing import Hand
from tests.fixtures.shop import Shop, View

NEWCOMERS, WAITING, UNITS = 50, 8, 5


def waiting_order(sku: str, quantity: int = 1, **more: Any) -> bodies.Body:
    """An order that accepts to wait."""
    return bodies.order([bodies.line(sku, quantity, 600)], allow_backorder=True, payments=[bodies.prepaid()], **more)


async def receive(shop: Shop, sku: str, quantity: int, location_id: str = "LEEDS") -> None:
    """Goods come in."""
    lines = [{"sku": sku, "quantity": quantity}]
    body = {"location_id": location_id, "reference": bodies.new_ref("R"), "lines": lines}
    await shop.done("POST", "/v1/stock/receipts", role="warehouse", body=body)


def bucket(view: View, name: str) -> int:
    count: int = view["lines"][0]["quantities"][name]
    return count


def released_at(place: int) -> Callable[[View], bool]:
    """Whether an order has a fulfillment of that place, and it was released."""

    def true_of(view: View) -> bool:
        found = view["fulfillments"][place : place + 1]
        return bool(found) and found[0]["released_at"] is not None

    return true_of


async def queue_of(shop: Shop, sku: str, count: int) -> list[str]:
    """The ids of *count* orders that wait for a unit each, in their turn."""
    ids = []
    for _ in range(count):
        order = await shop.order(waiting_order(sku))
        await shop.until(order["order_id"], lambda view: bucket(view, "backordered") == 1, "in the queue")
        ids.append(order["order_id"])
    return ids


async def test_what_is_there_ships_and_the_rest_follows_when_it_comes(hands: Shop):
    sku = await hands.product(2)
    order = await hands.order(bodies.order([bodies.line(sku, 5, 600)], allow_backorder=True))
    order_id = order["order_id"]

    view = await hands.until_state(order_id, "fulfilling")
    assert (bucket(view, "at_warehouse"), bucket(view, "backordered")) == (2, 3)
    assert view["promise"]["deliver_by"] > view["promise"]["first_deliver_by"] == order["promise"]["deliver_by"]
    assert ("inventory", "restock") in {(wait["owner"], wait["next_step"]) for wait in view["waits"]}

    await receive(hands, sku, 10)
    view = await hands.until(order_id, lambda v: len(v["fulfillments"]) == 2 and bucket(v, "at_warehouse") == 5, "all")
    for place in range(2):
        hand = Hand(hands, view, place=place)
        await hand.report("accepted")
        await hand.pick()
        await hand.pack()
        parcels = await hand.labelled(place + 1)
        await hand.hand_over()
        await hand.track("delivered", parcels[place])
    end = (await hands.until_over([order_id]))[order_id]

    assert (end["state"], end["amounts"]["captured_minor"]) == ("delivered", 3000)
    assert await hands.stock(sku) == {"on_hand": 7, "reserved": 0, "unavailable": 0, "available": 7}
    kinds = await hands.kinds(order_id)
    assert (kinds.count("stock.backordered"), kinds.count("order.promise_changed")) == (1, 2)


async def test_an_order_that_is_not_to_be_split_waits_whole(hands: Shop):
    sku, other = await hands.product(1), await hands.product(1)
    lines = [bodies.line(sku, 2), bodies.line(other, 1)]
    order = await hands.order(bodies.order(lines, allow_backorder=True, allow_split=False, payments=[bodies.prepaid()]))
    view = await hands.until_state(order["order_id"], "confirmed")
    assert all(one["released_at"] is None for one in view["fulfillments"])

    await receive(hands, sku, 1)
    view = await hands.until_state(order["order_id"], "fulfilling")
    assert all(one["released_at"] is not None for one in view["fulfillments"])
    asked = await hands.call("POST", f"/v1/orders/{order['order_id']}/cancel", role="support", body={"reason": "other"})
    assert asked.status_code == 202
    for place in range(len(view["fulfillments"])):
        hand = Hand(hands, view, place=place)
        shown = await hands.done("GET", f"/v1/fulfillments/{hand.fulfillment_id}", role="warehouse")
        await hand.report("request_accepted", request_id=shown["requests"][0]["request_id"])
    await hands.until_over([order["order_id"]])


async def test_last_units_go_to_the_queue_in_turn_while_others_cancel_and_many_arrive(hands: Shop):
    sku = await hands.product(0)
    queue = await queue_of(hands, sku, WAITING)
    gone = queue[1]

    async def cancel() -> None:
        path = f"/v1/orders/{gone}/cancel"
        answer = await hands.call("POST", path, role="storefront", body={"reason": "customer"})
        assert answer.status_code in {200, 202}, answer.text

    newcomers = [hands.order(bodies.order([bodies.line(sku, 1)])) for _ in range(NEWCOMERS)]
    arrived, *_ = await asyncio.gather(asyncio.gather(*newcomers), receive(hands, sku, UNITS), cancel())
    late = [order["order_id"] for order in arrived]

    ends = await hands.until_over(late, within=90)
    assert {view["state"] for view in ends.values()} == {"rejected"}
    first = [order_id for order_id in queue if order_id != gone]
    view = await hands.view(gone)
    if view["state"] != "cancelled":  # It was served and released before it was cancelled: the warehouse says yes.
        hand = Hand(hands, view)
        shown = await hands.done("GET", f"/v1/fulfillments/{hand.fulfillment_id}", role="warehouse")
        await hand.report("request_accepted", request_id=shown["requests"][0]["request_id"])
    await hands.until_over([gone])
    for order_id in first[:UNITS]:
        await hands.until_state(order_id, "fulfilling")
    assert [bucket(await hands.view(order_id), "backordered") for order_id in first[UNITS:]] == [1] * (
        WAITING - 1 - UNITS
    )
    assert await hands.stock(sku) == {"on_hand": UNITS, "reserved": UNITS, "unavailable": 0, "available": 0}

    for order_id in first[UNITS:]:
        await hands.done("POST", f"/v1/orders/{order_id}/cancel", role="support", body={"reason": "support"})
    served = [Hand(hands, await hands.view(order_id)) for order_id in first[:UNITS]]
    await asyncio.gather(*(hand.deliver_all() for hand in served))
    await hands.until_over(first, within=60)
    assert await hands.rows("SELECT * FROM backorders WHERE sku = $1", sku) == []


async def test_stock_that_is_given_back_goes_to_the_queue_first(hands: Shop):
    sku = await hands.product(1)
    holder = await hands.order(bodies.order([bodies.line(sku, 1)], payments=[bodies.card(None)]))
    await hands.until(holder["order_id"], lambda view: view["payments"][0]["action"], "the link to pay by")
    [waiting] = await queue_of(hands, sku, 1)

    await hands.done("POST", f"/v1/orders/{holder['order_id']}/cancel", role="support", body={"reason": "support"})

    view = await hands.until_state(waiting, "fulfilling")
    await Hand(hands, view).deliver_all()
    await hands.until_over([waiting, holder["order_id"]])


async def test_what_one_warehouse_lacks_another_serves_and_the_rest_is_cancelled(hands: Shop):
    sku = await hands.product({"LEEDS": 5, "BRISTOL": 2})
    order = await hands.order(bodies.order([bodies.line(sku, 5, 500)]))
    view = await hands.until_state(order["order_id"], "fulfilling")
    assert [one["location_id"] for one in view["fulfillments"]] == ["LEEDS"]
    leeds = Hand(hands, view)
    await leeds.report("picked", lines=[{"line_id": "1", "quantity": 2}])
    await leeds.report("short_picked", lines=[{"line_id": "1", "missing": 3, "reason": "mismatch"}])

    view = await hands.until(order["order_id"], lambda v: len(v["fulfillments"]) == 2, "sourced again")
    assert (view["fulfillments"][1]["location_id"], bucket(view, "cancelled")) == ("BRISTOL", 1)
    view = await hands.until(order["order_id"], lambda v: bucket(v, "reserved") == 0, "released")
    leeds.lines = [{"line_id": "1", "quantity": 2}]
    await leeds.pack()
    bristol = Hand(hands, view, place=1)
    await bristol.pick()
    await bristol.pack()
    for hand, parcel in zip((leeds, bristol), await leeds.labelled(2), strict=True):
        await hand.hand_over()
        await hand.track("delivered", parcel)
    end = (await hands.until_over([order["order_id"]]))[order["order_id"]]

    assert (end["state"], end["amounts"]["captured_minor"], end["amounts"]["total_minor"]) == ("delivered", 2000, 2000)
    assert await hands.stock(sku) == {"on_hand": 0, "reserved": 0, "unavailable": 0, "available": 0}
    assert (await hands.stock(sku, "BRISTOL"))["on_hand"] == 0


async def test_an_order_that_every_warehouse_refuses_is_confirmed_again_and_then_cancelled(hands: Shop):
    sku = await hands.product({"LEEDS": 2, "BRISTOL": 2})
    order = await hands.order(bodies.order([bodies.line(sku, 2, 500)]))
    for place in range(2):
        view = await hands.until(order["order_id"], released_at(place), "released")
        await Hand(hands, view, place=place).report("refused", reason="capacity")
    end = (await hands.until_over([order["order_id"]]))[order["order_id"]]

    assert (end["state"], end["outcome"]["reason"]) == ("cancelled", "inventory")
    kinds = await hands.kinds(order["order_id"])
    assert kinds.count("order.confirmed") == 3  # At first, and each time that it is looked for elsewhere.
    assert kinds.count("payment.voided") == 2
    assert (await hands.stock(sku))["available"] == (await hands.stock(sku, "BRISTOL"))["available"] == 2


async def test_a_safety_stock_that_is_lowered_serves_the_queue(hands: Shop):
    sku = await hands.product(1, safety_stock=1)
    [waiting] = await queue_of(hands, sku, 1)
    size = {"weight_g": 300, "length_mm": 120, "width_mm": 100, "height_mm": 100}

    await hands.done("PUT", f"/v1/products/{sku}", role="operations", body={"name": "Thing", "safety_stock": 0} | size)

    await Hand(hands, await hands.until_state(waiting, "fulfilling")).deliver_all()
    await hands.until_over([waiting])
