"""Orders on the stack that plays nothing by itself: the test is warehouse, carrier and paying customer."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import orjson

from tests.fixtures import bodies
from tests.fixtures.playing import Hand
from tests.fixtures.shop import JPEG, PNG, TERMINAL, Shop, View, proof_pictures
from tests.fixtures.waiting import until


async def released(shop: Shop, *lines: dict[str, Any], **more: Any) -> tuple[View, Hand]:
    """An order that the warehouse may begin with, of *lines* or of two units of something, and its hand."""
    wanted = list(lines) or [bodies.line(await shop.product(5), 2)]
    order = await shop.order(bodies.order(wanted, **more))
    view = await shop.until_state(order["order_id"], "fulfilling")
    return view, Hand(shop, view)


def standing(view: View) -> dict[str, Any]:
    """What one step of the way changes in the view of an order of one line and one parcel at most."""
    quantities = view["lines"][0]["quantities"]
    parcels = [parcel for fulfillment in view["fulfillments"] for parcel in fulfillment["parcels"]]
    return {
        "state": view["state"],
        "bucket": next(name for name, count in quantities.items() if count and name != "ordered"),
        "fulfillment": [fulfillment["state"] for fulfillment in view["fulfillments"]],
        "parcel": [(parcel["state"], parcel["tracking_status"]) for parcel in parcels],
        "waits": (view["waiting"]["owner"], view["waiting"]["next_step"]) if view["waiting"] else None,
    }


async def test_the_view_of_an_order_at_each_step(hands: Shop):
    order, hand = await released(hands)

    async def step(
        bucket: str, fulfillment: str, parcel: tuple[str, str] | None, waits: tuple[str, str] | None
    ) -> View:
        wanted = {
            "state": {"in_transit": "shipped", "delivered": "delivered"}.get(bucket, "fulfilling"),
            "bucket": bucket,
            "fulfillment": [fulfillment],
            "parcel": [parcel] if parcel else [],
            "waits": waits,
        }
        return await hands.until(order["order_id"], lambda view: standing(view) == wanted, str(wanted))

    await step("at_warehouse", "released", None, ("warehouse", "accept"))
    await hand.report("accepted")
    await step("at_warehouse", "accepted", None, ("warehouse", "pick"))
    await hand.pick()
    await step("at_warehouse", "picked", None, ("warehouse", "pack"))
    await hand.pack()
    view = await step("packed", "packed", ("labelled", "pending"), ("warehouse", "hand_over"))
    assert view["amounts"]["captured_minor"] == 0
    [parcel] = await hand.labelled()
    await hand.hand_over()
    view = await step("in_transit", "handed_over", ("handed_over", "pending"), ("carrier_desk", "deliver"))
    await hands.until(order["order_id"], lambda v: v["amounts"]["captured_minor"] == 1000, "captured at hand-over")
    for status in ("picked_up", "in_transit", "out_for_delivery"):
        await hand.track(status, parcel, location="Wakefield")
        await step("in_transit", "handed_over", ("handed_over", status), ("carrier_desk", "deliver"))
    await hand.track("delivered", parcel)
    view = await step("delivered", "delivered", ("delivered", "delivered"), None)

    assert set(view) >= {
        *("order_id", "kind", "state", "version", "priority", "policy_version", "received_at", "changed_at", "outcome"),
        *("replaces", "related", "promise", "amounts", "payments", "refunds", "lines", "holds", "cancellations"),
        *("waits", "waiting", "attention", "fulfillments", "decisions", "links", "order_ref", "channel", "source"),
        *("currency", "service_level", "customer", "shipping_address", "billing_address", "ip_country", "delivery"),
        *("gift", "prices_include_tax", "shipping_minor", "shipping_discount_minor", "shipping_tax_minor"),
        *("total_minor", "allow_backorder", "allow_split", "placed_at", "note", "metadata"),
    }
    assert set(view["lines"][0]["quantities"]) == {
        *("ordered", "open", "backordered", "reserved", "at_warehouse", "packed", "in_transit", "delivered"),
        *("cancelled", "lost", "sending_back", "sent_back", "returning", "returned"),
    }
    assert view["version"] == (await hands.events(order["order_id"]))[-1]["sequence"]
    tracking = await hands.done("GET", f"/v1/parcels/{parcel['parcel_id']}/tracking", role="support")
    assert [event["status"] for event in tracking["events"]] == [
        *("picked_up", "in_transit", "out_for_delivery", "delivered"),
    ]
    assert tracking["events"][0]["location"] == "Wakefield"


async def test_the_warehouse_finds_its_work_and_the_label(hands: Shop):
    order, hand = await released(hands)

    page = await hands.done("GET", "/v1/fulfillments?location_id=LEEDS&state=released&limit=200", role="warehouse")
    view = await hands.done("GET", f"/v1/fulfillments/{hand.fulfillment_id}", role="warehouse")
    await hand.pick()
    await hand.pack()
    [parcel] = await hand.labelled()
    label = await hands.call("GET", parcel["label_url"], role="warehouse")

    assert hand.fulfillment_id in {item["fulfillment_id"] for item in page["items"]}
    assert view["ship_to"]["lines"] == order["shipping_address"]["lines"]
    assert (view["order_ref"], view["lines"][0]["quantity"]) == (order["order_ref"], 2)
    assert (label.status_code, label.headers["content-type"]) == (200, "application/pdf")
    assert label.content.startswith(b"%PDF")


async def test_two_parcels_of_one_fulfillment_are_charged_once_the_last_has_left(hands: Shop):
    order, hand = await released(hands, bodies.line(await hands.product(5), 3, 333), shipping_minor=200)
    [line] = hand.lines
    await hand.pick()
    await hand.pack(
        {"parcel_ref": "A", "weight_g": 500, "lines": [line | {"quantity": 1}]},
        {"parcel_ref": "B", "weight_g": 900, "lines": [line | {"quantity": 2}]},
    )
    parcels = await hand.labelled(2)

    await hand.hand_over("A")
    view = await hands.until(
        order["order_id"], lambda v: v["lines"][0]["quantities"]["in_transit"] == 1, "the first to leave"
    )
    assert (view["state"], view["amounts"]["captured_minor"]) == ("fulfilling", 0)
    await hand.hand_over("B")
    for parcel in parcels:
        await hand.track("delivered", parcel)
    view = await hands.until_state(order["order_id"], "delivered")

    assert view["amounts"]["captured_minor"] == 3 * 333 + 200
    [capture] = await hands.ledger(order["order_id"], "capture")
    assert capture["amount_minor"] == 3 * 333 + 200


async def test_a_part_that_cannot_be_picked_is_neither_sent_nor_charged(hands: Shop):
    kept, short = await hands.product(5), await hands.product(5)
    order, hand = await released(
        hands, bodies.line(kept, 1, 1000), bodies.line(short, 3, 333, discount_minor=1), shipping_minor=495
    )
    await hand.report("short_picked", lines=[{"line_id": "2", "missing": 2, "reason": "mismatch"}])
    hand.lines = [{"line_id": "1", "quantity": 1}, {"line_id": "2", "quantity": 1}]

    parcel = await hand.send_off()
    await hand.track("delivered", parcel)
    view = await hands.until_state(order["order_id"], "delivered")

    each = (3 * 333 - 1) / 3
    assert abs(view["amounts"]["captured_minor"] - (1000 + each + 495)) < 1
    assert await hands.stock(short) == {"on_hand": 2, "reserved": 0, "unavailable": 0, "available": 2}


async def test_what_the_warehouse_refuses_whole_is_cancelled_and_its_hold_given_back(hands: Shop):
    order, hand = await released(hands)

    await hand.report("refused", reason="capacity")
    [view] = (await hands.until_over([order["order_id"]])).values()

    assert (view["state"], view["fulfillments"][0]["state"]) == ("cancelled", "refused")
    assert view["payments"][0]["state"] == "voided"


async def test_damaged_goods_are_kept_apart(hands: Shop):
    sku = await hands.product(5)
    order, hand = await released(hands, bodies.line(sku, 2))

    await hand.report("short_picked", lines=[{"line_id": "1", "missing": 2, "reason": "damage"}])
    await hands.until_over([order["order_id"]])

    assert await hands.stock(sku) == {"on_hand": 5, "reserved": 0, "unavailable": 2, "available": 3}


async def test_an_authentication_that_succeeds_releases_the_order(hands: Shop):
    sku = await hands.product(5)
    order = await hands.order(
        bodies.order([bodies.line(sku, 2)], payments=[bodies.card("pm_card_authenticationRequired")]), wait=10
    )

    assert (order["state"], order["holds"][0]["reason"]) == ("received", "awaiting_payment")
    [payment] = order["payments"]
    assert payment["state"] == "action_required"
    assert payment["action"]["type"] == "redirect" and payment["action"]["url"].startswith("http")
    assert (order["waiting"]["owner"], order["waiting"]["next_step"]) == ("customer", "confirm_payment")
    page = await hands.http.get(payment["action"]["url"])
    assert page.status_code == httpx.codes.OK

    await hands.pay(payment["payment_id"], "succeeded")
    view = await hands.until_state(order["order_id"], "fulfilling")
    assert (view["holds"], view["payments"][0]["state"], view["payments"][0]["action"]) == ([], "authorized", None)
    hand = Hand(hands, view)
    await hand.track("delivered", await hand.send_off())
    await hands.until_state(order["order_id"], "delivered")


async def test_an_authentication_that_fails_rejects_the_order(hands: Shop):
    sku = await hands.product(5)
    order = await hands.order(
        bodies.order([bodies.line(sku, 2)], payments=[bodies.card("pm_card_authenticationRequired")]), wait=10
    )

    await hands.pay(order["payments"][0]["payment_id"], "failed")
    [view] = (await hands.until_over([order["order_id"]])).values()

    assert (view["state"], view["outcome"]["reason"]) == ("rejected", "payment_declined")
    assert (await hands.stock(sku))["reserved"] == 0


async def test_a_link_that_is_paid_at_the_second_try_is_a_hold_like_any_other(hands: Shop):
    sku = await hands.product(5)
    order = await hands.order(bodies.order([bodies.line(sku, 2)], payments=[bodies.card(None)]), wait=10)
    payment_id = order["payments"][0]["payment_id"]
    assert order["payments"][0]["action"]["url"]

    await hands.pay(payment_id, "failed")
    await hands.pay(payment_id, "succeeded")
    view = await hands.until_state(order["order_id"], "fulfilling", "rejected")
    assert view["state"] == "fulfilling", view["outcome"]
    hand = Hand(hands, view)
    await hand.track("delivered", await hand.send_off())
    view = await hands.until_state(order["order_id"], "delivered")

    assert view["amounts"]["captured_minor"] == 1000


async def test_a_card_that_was_authenticated_pays_two_fulfillments(hands: Shop):
    north, south = await hands.product({"LEEDS": 5}), await hands.product({"BRISTOL": 5})
    body = bodies.order(
        [bodies.line(north, 1, 700), bodies.line(south, 1, 900)],
        payments=[bodies.card("pm_card_authenticationRequired")],
    )
    order = await hands.order(body, wait=10)

    await hands.pay(order["payments"][0]["payment_id"], "succeeded")
    view = await hands.until_state(order["order_id"], "fulfilling")

    assert len(await hands.ledger(order["order_id"], "authorization")) == 2
    for place in (0, 1):
        hand = Hand(hands, view, place=place)
        await hand.pick()
        await hand.pack()
    view = await hands.until(
        order["order_id"],
        lambda v: (
            all(p["tracking_number"] for f in v["fulfillments"] for p in f["parcels"])
            and all(f["parcels"] for f in v["fulfillments"])
        ),
        "both labels",
    )
    for place, fulfillment in enumerate(view["fulfillments"]):
        hand = Hand(hands, view, place=place)
        await hand.hand_over()
        await hand.track("delivered", fulfillment["parcels"][0])
    view = await hands.until_state(order["order_id"], "delivered")
    assert sorted(c["amount_minor"] for c in await hands.ledger(order["order_id"], "capture")) == [700, 900]


async def test_a_carriers_first_scan_counts_as_hand_over(hands: Shop):
    order, hand = await released(hands)
    await hand.pick()
    await hand.pack()
    [parcel] = await hand.labelled()

    await hand.track("in_transit", parcel)
    view = await hands.until_state(order["order_id"], "shipped")

    assert view["fulfillments"][0]["parcels"][0]["handed_over_at"] is not None
    await hands.until(order["order_id"], lambda v: v["amounts"]["captured_minor"] == 1000, "captured")
    await hand.hand_over()
    await hand.track("delivered", parcel)
    await hands.until_state(order["order_id"], "delivered")
    assert len(await hands.ledger(order["order_id"], "capture")) == 1


async def test_a_scan_that_is_earlier_than_our_knowledge_of_the_label_is_matched_later(hands: Shop):
    order, hand = await released(hands)
    number = f"SW{uuid4().hex[:11].upper()}GB"
    hand.label = ("swift", number)

    assert (await hands.track("swift", number, "picked_up")).json() == {"duplicate": False}
    await hand.pick()
    await hand.pack()
    view = await hands.until_state(order["order_id"], "shipped")

    assert view["fulfillments"][0]["parcels"][0]["tracking_status"] == "picked_up"
    await hand.track("delivered", {"carrier": "swift", "tracking_number": number})
    await hands.until_state(order["order_id"], "delivered")


async def test_a_proof_of_delivery_is_stored_and_served(hands: Shop):
    order, hand = await released(hands)
    parcel = await hand.send_off()

    await hand.track("delivered", parcel, proof={"signed_by": f"{bodies.MARK} Porter", **proof_pictures()})
    view = await hands.until_state(order["order_id"], "delivered")

    url = view["fulfillments"][0]["parcels"][0]["proof_url"]
    proof = await hands.done("GET", url, role="support")
    assert proof["signed_by"] == f"{bodies.MARK} Porter"
    for name, content in (("signature_url", PNG), ("photo_url", JPEG)):
        assert (await hands.call("GET", proof[name], role="support")).content == content


async def test_a_late_fact_that_fits_the_end_is_recorded_and_changes_nothing(hands: Shop):
    order, hand = await released(hands)
    parcel = await hand.send_off()
    await hand.track("delivered", parcel)
    before = await hands.until_state(order["order_id"], "delivered")
    await hands.until_over([order["order_id"]])

    await hand.report("accepted")
    await hand.track("in_transit", parcel, occurred_at=(datetime.now(UTC) - timedelta(hours=1)).isoformat())

    async def recorded() -> list[View]:
        late = [event for event in await hands.events(order["order_id"]) if event["data"].get("after_end")]
        return late if len(late) == 2 else []

    late = await until(recorded, "both recorded")
    view = await hands.view(order["order_id"])
    assert (view["state"], view["attention"], view["lines"]) == ("delivered", [], before["lines"])
    assert {event["kind"] for event in late} == {"fulfillment.accepted", "parcel.tracked"}


async def test_a_late_fact_that_contradicts_the_end_is_a_case_for_people(hands: Shop):
    order, hand = await released(hands)
    parcel = await hand.send_off()
    await hand.track("delivered", parcel)
    await hands.until_over([order["order_id"]])

    await hand.track("lost", parcel)
    view = await hands.until(order["order_id"], lambda v: v["attention"], "a case")

    [case] = view["attention"]
    assert (case["code"], view["state"]) == ("contradicting_fact", "delivered")
    listed = await hands.done("GET", "/v1/orders?attention=contradicting_fact&limit=200", role="operations")
    assert order["order_id"] in {item["order_id"] for item in listed["items"]}
    assert await hands.ledger(order["order_id"], "refund", "void") == []


async def test_goods_that_leave_after_their_refusal_open_a_case_and_charge_nothing(hands: Shop):
    order, hand = await released(hands)
    await hand.pick()
    await hand.pack()
    await hand.labelled()

    await hand.report("refused", reason="other")
    await hand.hand_over()
    view = await hands.until(order["order_id"], lambda v: v["attention"], "a case")

    assert {case["code"] for case in view["attention"]} <= {"contradicting_fact", "quantity_mismatch"}
    [view] = (await hands.until_over([order["order_id"]])).values()
    assert (view["state"], view["amounts"]["captured_minor"]) == ("cancelled", 0)


async def test_an_answer_is_held_until_the_first_decision_when_that_is_preferred(hands: Shop):
    sku = await hands.product(5)

    at_once = await hands.post(bodies.order([bodies.line(sku, 1)]))
    waited = await hands.post(bodies.order([bodies.line(sku, 1)]), wait=10)

    assert (at_once.status_code, at_once.json()["state"]) == (201, "received")
    assert waited.status_code == httpx.codes.CREATED
    assert waited.json()["state"] in {"confirmed", "fulfilling"}
    assert waited.headers["location"] == f"/v1/orders/{waited.json()['order_id']}"


async def test_a_fact_whose_signature_is_forged_or_stale_is_refused(hands: Shop):
    order, hand = await released(hands)
    parcel = await hand.send_off()
    event = {
        "event_id": uuid4().hex,
        "tracking_number": parcel["tracking_number"],
        "status": "delivered",
        "occurred_at": datetime.now(UTC).isoformat(),
    }
    url = f"{hands.info['api_url']}/v1/carriers/{parcel['carrier']}/events"
    stamp = str(int((datetime.now(UTC) - timedelta(hours=1)).timestamp()))
    for headers in (
        {},
        {"webhook-id": "x", "webhook-timestamp": stamp, "webhook-signature": "v1,AAAA"},
        {"webhook-id": "x", "webhook-timestamp": "soon", "webhook-signature": "nonsense"},
    ):
        answer = await hands.http.post(
            url, content=orjson.dumps(event), headers={"content-type": "application/json", **headers}
        )
        assert (answer.status_code, answer.json()["code"]) == (401, "bad_signature")

    assert (await hands.view(order["order_id"]))["state"] == "shipped"


async def test_cash_that_was_not_collected_is_a_case_and_keeps_the_order_open(hands: Shop):
    order, hand = await released(hands, payments=[{"method": "cash_on_delivery"}])
    parcel = await hand.send_off()

    await hand.track("delivered", parcel, collected_minor=999)
    view = await hands.until(order["order_id"], lambda v: v["attention"], "a case")

    assert [case["code"] for case in view["attention"]] == ["capture_failed"]
    assert view["amounts"]["captured_minor"] == 999


async def test_units_beyond_what_is_there_are_taken_note_of_by_people(hands: Shop):
    order, hand = await released(hands)
    [line] = hand.lines

    await hand.report("picked", lines=[line | {"quantity": 99}])
    view = await hands.until(order["order_id"], lambda v: v["attention"], "a case")
    unknown = await hands.report(hand.fulfillment_id, "picked", lines=[{"line_id": "nine", "quantity": 1}])
    nowhere = await hands.report("ful_nowhere", "accepted")

    assert [case["code"] for case in view["attention"]] == ["quantity_mismatch"]
    assert (unknown.status_code, nowhere.status_code) == (422, 404)
    assert view["state"] not in TERMINAL
