"""People change their minds over HTTP, at any instant: cancelled, held, sent elsewhere, settled; once, everywhere alike."""

import asyncio
import random
from typing import Any

import httpx
import pytest

from tests.e2e.test_by_hand import released
from tests.fixtures import bodies
from tests.fixtures.playing import Hand
from tests.fixtures.shop import Shop, View

CANCEL = {"reason": "customer", "note": f"{bodies.MARK} wants it no more"}
SEED, RACES = 11, 8


async def ask(shop: Shop, order_id: str, path: str, body: Any, *, method: str = "POST", **more: Any) -> httpx.Response:
    """The answer to a command of an agent."""
    role = more.pop("role", "support")
    return await shop.call(method, f"/v1/orders/{order_id}/{path}", role=role, body=body, **more)


async def obeyed(shop: Shop, order_id: str, path: str, body: Any, **more: Any) -> View:
    """The view that a command answers with, which must be a success."""
    answer = await ask(shop, order_id, path, body, **more)
    assert answer.is_success, answer.text
    view: View = answer.json()
    return view


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["code"]


async def test_a_customer_cancels_before_the_release_and_the_same_key_gets_the_same_answer(hands: Shop):
    sku = await hands.product(5)
    order = await hands.order(bodies.order([bodies.line(sku, 2)], payments=[bodies.card(None)]))
    order_id = order["order_id"]
    await hands.until(order_id, lambda view: view["payments"][0]["action"], "the link to pay by")

    first = await ask(hands, order_id, "cancel", CANCEL, role="storefront", key="mind-1")
    again = await ask(hands, order_id, "cancel", CANCEL, role="storefront", key="mind-1")
    other = await ask(hands, order_id, "cancel", {"reason": "other"}, role="storefront", key="mind-1")

    assert first.status_code == httpx.codes.OK, first.text
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert refused(other) == (422, "idempotency_mismatch")
    view = (await hands.until_over([order_id]))[order_id]
    assert (view["state"], view["outcome"]["reason"], view["amounts"]["total_minor"]) == ("cancelled", "customer", 0)
    assert view["cancellations"][0]["note"] == CANCEL["note"]
    assert (await hands.stock(sku))["available"] == 5
    assert refused(await ask(hands, order_id, "cancel", CANCEL)) == (409, "already_cancelled")
    assert [entry["kind"] for entry in await hands.ledger(order_id)] == ["void"] or not await hands.ledger(
        order_id, "capture"
    )


async def test_a_part_is_cancelled_by_request_and_only_the_rest_is_paid(hands: Shop):
    sku = await hands.product(5)
    order, hand = await released(hands, bodies.line(sku, 3, 700))
    lines = [{"line_id": "1", "quantity": 1}]

    asked = await ask(hands, order["order_id"], "cancel", {"reason": "customer", "lines": lines})
    shown = await hands.done("GET", f"/v1/fulfillments/{hand.fulfillment_id}", role="warehouse")
    [request] = shown["requests"]
    await hand.report("request_accepted", request_id=request["request_id"])
    view = await hands.until(order["order_id"], lambda v: v["cancellations"][0]["state"] == "done", "done")
    shown = await hands.done("GET", f"/v1/fulfillments/{hand.fulfillment_id}", role="warehouse")

    assert asked.status_code == httpx.codes.ACCEPTED
    assert (request["kind"], request["lines"]) == ("cancel", lines)
    assert view["amounts"]["total_minor"] == 1400
    assert [line["quantity"] for line in shown["lines"]] == [2]
    hand.lines = [{"line_id": "1", "quantity": 2}]
    await hand.deliver_all()
    end = (await hands.until_over([order["order_id"]]))[order["order_id"]]
    assert (end["state"], end["amounts"]["captured_minor"]) == ("delivered", 1400)
    assert await hands.stock(sku) == {"on_hand": 3, "reserved": 0, "unavailable": 0, "available": 3}


async def test_goods_that_are_not_to_be_sold_again_are_set_aside(hands: Shop):
    sku = await hands.product(5)
    order, hand = await released(hands, bodies.line(sku, 2))
    await hand.pick()
    await obeyed(hands, order["order_id"], "cancel", {"reason": "other", "restock": False})
    shown = await hands.done("GET", f"/v1/fulfillments/{hand.fulfillment_id}", role="warehouse")
    await hand.report("request_accepted", request_id=shown["requests"][0]["request_id"])
    await hands.until_over([order["order_id"]])

    assert await hands.stock(sku) == {"on_hand": 5, "reserved": 0, "unavailable": 2, "available": 3}


async def test_a_held_order_stays_at_home_and_is_released_or_refused_by_a_person(hands: Shop):
    sku = await hands.product(9)
    held = []
    for _ in range(2):
        order = await hands.order(bodies.order([bodies.line(sku, 1)], payments=[bodies.card(None)]))
        view = await hands.until(order["order_id"], lambda v: v["payments"][0]["action"], "the link to pay by")
        body = {"reason": "high_risk_of_fraud", "note": f"{bodies.MARK} looks odd"}
        view = await obeyed(hands, order["order_id"], "holds", body)
        [mine] = [hold for hold in view["holds"] if hold["reason"] == "high_risk_of_fraud"]
        assert (mine["owner"], mine["note"]) == ("risk", body["note"])
        [own] = [hold["hold_id"] for hold in view["holds"] if hold["reason"] == "awaiting_payment"]
        assert refused(await ask(hands, order["order_id"], f"holds/{own}/release", {})) == (409, "awaits_payment")
        await hands.pay(view["payments"][0]["payment_id"], "succeeded")
        view = await hands.until_state(order["order_id"], "confirmed")
        assert [wait["next_step"] for wait in view["waits"]] == ["release_hold"]
        held.append((order["order_id"], mine["hold_id"]))
    (first, first_hold), (second, second_hold) = held

    await obeyed(hands, first, f"holds/{first_hold}/release", {"note": "called the customer"})
    await hands.until_state(first, "fulfilling")
    rejected = await obeyed(hands, second, f"holds/{second_hold}/release", {"decision": "reject"})
    again = await ask(hands, second, f"holds/{second_hold}/release", {})

    assert (rejected["state"], rejected["outcome"]["reason"]) == ("rejected", "fraud")
    assert refused(again) == (404, "unknown_hold")
    await hands.until_over([second])
    await Hand(hands, await hands.view(first)).deliver_all()
    await hands.until_over([first])


async def test_an_address_is_changed_until_it_is_packed_and_the_warehouse_sees_the_new_one(hands: Shop):
    order, hand = await released(hands)
    address = {"lines": [f"9 {bodies.MARK} Row"], "city": "Leeds", "postal_code": "LS2 7EW", "country": "GB"}

    wrong = await ask(hands, order["order_id"], "shipping-address", address | {"postal_code": "?"}, method="PATCH")
    abroad = {"lines": [f"9 {bodies.MARK} Rue"], "city": "Lyon", "postal_code": "69001", "country": "FR"}
    far = await ask(hands, order["order_id"], "shipping-address", abroad, method="PATCH")
    view = await obeyed(hands, order["order_id"], "shipping-address", address, method="PATCH", role="storefront")
    shown = await hands.done("GET", f"/v1/fulfillments/{hand.fulfillment_id}", role="warehouse")
    await hand.pick()
    await hand.pack()
    await hand.labelled()
    late = await ask(hands, order["order_id"], "shipping-address", address, method="PATCH")

    assert [entry["field"] for entry in wrong.json()["errors"]] == ["postal_code"]
    assert refused(far) == (409, "other_country")
    assert view["shipping_address"]["lines"] == address["lines"]
    assert shown["ship_to"]["lines"] == address["lines"]
    assert [request["kind"] for request in shown["requests"]] == ["change_address"]
    assert refused(late) == (409, "already_packed")
    await hand.finish()
    await hands.until_over([order["order_id"]])


async def test_notes_are_told_in_the_timeline_and_kept_out_of_it(hands: Shop):
    order, hand = await released(hands)
    text = f"{bodies.MARK} called twice"
    note = (await ask(hands, order["order_id"], "notes", {"text": text})).json()
    view = await hands.view(order["order_id"])
    events = [event for event in await hands.events(order["order_id"]) if event["kind"] == "order.note_added"]

    assert [(one["note_id"], one["text"]) for one in view["notes"]] == [(note["note_id"], text)]
    assert [event["data"] for event in events] == [{"note_id": note["note_id"]}]
    await hand.deliver_all()
    await hands.until_over([order["order_id"]])


async def test_a_case_is_settled_only_by_a_fix_that_is_legal(hands: Shop):
    order, hand = await released(hands)
    parcel = await hand.send_off()
    await hand.track("lost", parcel)
    view = await hands.until(order["order_id"], lambda v: v["attention"], "a case")
    [case] = view["attention"]
    path = f"attention/{case['attention_id']}/resolve"

    illegal = await ask(hands, order["order_id"], path, {"fix": "retry"})
    nobody = await ask(hands, order["order_id"], path, {"fix": "assign"})
    mine = await obeyed(hands, order["order_id"], path, {"fix": "assign", "parameters": {"person": "ada"}})
    end = await obeyed(hands, order["order_id"], path, {"fix": "mark_delivered"})

    assert {fix["fix"] for fix in case["fixes"]} == {"wait_longer", "mark_delivered", "assign"}
    assert refused(illegal) == (409, "fix_not_allowed")
    assert "mark_delivered" in illegal.json()["detail"]
    assert [entry["field"] for entry in nobody.json()["errors"]] == ["parameters.person"]
    assert mine["attention"][0]["person"] == "ada"
    assert end["attention"] == []
    await hands.until_over([order["order_id"]])


@pytest.mark.parametrize("place", range(RACES))
async def test_a_cancellation_that_races_the_hand_over_has_one_winner_everywhere(hands: Shop, place: int):
    dice = random.Random(f"{SEED}-{place}")
    sku = await hands.product(2)
    order, hand = await released(hands, bodies.line(sku, 2, 450))
    await hand.pick()
    await hand.pack()
    await hand.labelled()
    asked = await ask(hands, order["order_id"], "cancel", CANCEL)
    shown = await hands.done("GET", f"/v1/fulfillments/{hand.fulfillment_id}", role="warehouse")
    request_id = shown["requests"][0]["request_id"]
    racers = [hand.report("request_accepted", request_id=request_id), hand.hand_over()]
    dice.shuffle(racers)

    await asyncio.gather(*racers)

    assert asked.status_code == httpx.codes.ACCEPTED
    view = await hands.until(
        order["order_id"], lambda v: v["state"] in {"shipped", "cancelled"}, "one of the two has won"
    )
    if view["state"] == "shipped":
        assert view["cancellations"][0]["state"] == "refused"
        await hand.finish()
    end = (await hands.until_over([order["order_id"]]))[order["order_id"]]
    captured = 900 if end["state"] == "delivered" else 0
    assert end["amounts"]["captured_minor"] == captured
    assert sum(entry["amount_minor"] for entry in await hands.ledger(order["order_id"], "capture")) == captured
    assert (await hands.stock(sku))["on_hand"] == (0 if captured else 2)


async def test_a_command_that_makes_no_sense_names_the_field_and_the_rule(hands: Shop):
    order, hand = await released(hands)
    other = await ask(hands, order["order_id"], "cancel", CANCEL, role="warehouse")
    nowhere = await ask(hands, "ord_00000000000000000000", "cancel", CANCEL)
    unknown = await ask(hands, order["order_id"], "cancel", CANCEL | {"lines": [{"line_id": "9", "quantity": 1}]})
    too_many = await ask(hands, order["order_id"], "cancel", CANCEL | {"lines": [{"line_id": "1", "quantity": 3}]})

    assert refused(other) == (403, "forbidden")
    assert refused(nowhere) == (404, "not_found")
    assert [entry["field"] for entry in unknown.json()["errors"]] == ["lines[0].line_id"]
    assert [entry["rule"] for entry in too_many.json()["errors"]] == ["too_many"]
    await hand.deliver_all()
    await hands.until_over([order["order_id"]])


async def test_another_means_of_payment_takes_the_place_of_the_one_that_is_waited_for(hands: Shop):
    sku = await hands.product(5)
    order = await hands.order(bodies.order([bodies.line(sku, 2, 700)], payments=[bodies.card(None)]))
    order_id = order["order_id"]
    waiting = await hands.until(order_id, lambda view: view["payments"][0]["action"], "the link to pay by")

    cash = await ask(hands, order_id, "payments", {"method": "cash_on_delivery"})
    view = await obeyed(hands, order_id, "payments", {"method": "card", "token": "pm_card_visa"}, role="storefront")
    view = await hands.until_state(order_id, "fulfilling")
    late = await ask(hands, order_id, "payments", {"method": "card", "token": "pm_card_visa"})

    assert refused(cash) == (409, "method_not_possible")
    assert refused(late) == (409, "not_awaiting_payment")
    old, new = view["payments"]
    assert (old["payment_id"], old["state"], old["action"]) == (waiting["payments"][0]["payment_id"], "voided", None)
    assert (new["state"], new["amount_minor"], view["holds"]) == ("authorized", 1400, [])
    await Hand(hands, view).deliver_all()
    end = (await hands.until_over([order_id]))[order_id]
    assert (end["state"], end["amounts"]["captured_minor"]) == ("delivered", 1400)
    assert [entry["amount_minor"] for entry in await hands.ledger(order_id, "capture")] == [1400]


async def test_a_case_on_an_order_that_has_ended_is_settled_too(hands: Shop):
    order, hand = await released(hands)
    parcel = await hand.send_off()
    await hand.track("delivered", parcel)
    await hands.until_over([order["order_id"]])
    await hand.track("lost", parcel)
    view = await hands.until(order["order_id"], lambda v: v["attention"], "a case")
    path = f"attention/{view['attention'][0]['attention_id']}/resolve"

    illegal = await ask(hands, order["order_id"], path, {"fix": "mark_lost"})
    mine = await obeyed(hands, order["order_id"], path, {"fix": "assign", "parameters": {"person": "ada"}})
    end = await obeyed(hands, order["order_id"], path, {"fix": "close", "note": "the carrier was wrong"})

    assert {fix["fix"] for fix in view["attention"][0]["fixes"]} == {"wait_longer", "close", "assign"}
    assert refused(illegal) == (409, "fix_not_allowed")
    assert mine["attention"][0]["person"] == "ada"
    assert end["attention"] == []
    listed = await hands.done("GET", "/v1/orders?attention=contradicting_fact&limit=200", role="operations")
    assert order["order_id"] not in {item["order_id"] for item in listed["items"]}
    assert "attention.resolved" in await hands.kinds(order["order_id"])
