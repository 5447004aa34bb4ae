"""What a stranger sees of an order in the Temporal UI: card, search attributes, and a summary on all that happens."""

from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowHandle
from temporalio.converter import PayloadConverter

from contracts import names
from tests.fixtures import bodies
from tests.fixtures.playing import Hand
from tests.fixtures.shop import Shop, View
from tests.invariants import settle
from workflows import cards


async def handle_of(shop: Shop, order_id: str) -> WorkflowHandle[Any, Any]:
    """The order's workflow."""
    return (await shop.temporal()).get_workflow_handle(names.order_workflow_id(order_id))


async def card_of(shop: Shop, order_id: str) -> str:
    """The card that the UI shows now."""
    handle = await handle_of(shop, order_id)
    metadata: WorkflowMetadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return metadata.current_details


async def summaries(shop: Shop, order_id: str) -> dict[str, list[str]]:
    """What the history says beside its activities, local activities and timers, by kind."""
    history = await (await handle_of(shop, order_id)).fetch_history()
    converter, found = PayloadConverter.default, dict[str, list[str]]()
    kinds = {
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: "activity",
        EventType.EVENT_TYPE_MARKER_RECORDED: "local activity",
        EventType.EVENT_TYPE_TIMER_STARTED: "timer",
    }
    for event in history.events:
        if kind := kinds.get(event.event_type):
            summary = event.user_metadata.summary
            text = converter.from_payload(summary, str) if event.user_metadata.HasField("summary") else ""
            found.setdefault(kind, []).append(text)
    return found


async def shown(shop: Shop, order_id: str) -> dict[str, Any]:
    """The order's search attributes."""
    attributes = (await (await handle_of(shop, order_id)).describe()).typed_search_attributes
    keys = (
        *(cards.STATE, cards.OWNER, cards.CHANNEL, cards.NEXT_STEP, cards.ATTENTION, cards.LOCATION, cards.CARRIER),
        *(cards.DUE_AT, cards.PLACED_AT, cards.TOTAL_MINOR),
    )
    return {key.name: attributes.get(key) for key in keys}


async def released(shop: Shop) -> View:
    """An order at its warehouse."""
    order = await shop.order(bodies.order([bodies.line(await shop.product(3), 2, 500)]))
    view = await shop.until_state(order["order_id"], "fulfilling")
    await settle(shop, [order["order_id"]])
    return view


async def test_the_card_says_where_the_order_stands_and_who_must_act(hands: Shop):
    order = await released(hands)

    card = await card_of(hands, order["order_id"])

    waiting = order["waiting"]
    for words in (
        *("**fulfilling**", "web/default", "1000 GBP"),
        *(f"| {waiting['next_step']} | {waiting['owner']} | {waiting['subject']} |", "released"),
        *("fulfillment.released", "order.fulfilling"),
    ):
        assert words in card, card


async def test_the_card_follows_every_change_and_names_cases_and_parcels(hands: Shop):
    order = await released(hands)
    hand = Hand(hands, order)
    parcel = await hand.send_off()
    await hand.track("lost", parcel)
    view = await hands.until(order["order_id"], lambda v: v["attention"], "a case")
    await settle(hands, [order["order_id"]])

    card = await card_of(hands, order["order_id"])

    [case] = view["attention"]
    for words in (case["code"], case["subject"], case["owner"], parcel["tracking_number"], "lost", "parcel.lost"):
        assert words in card, card


async def test_search_attributes_are_true_after_every_coarse_change(hands: Shop):
    order = await released(hands)
    order_id = order["order_id"]

    found = await shown(hands, order_id)
    assert found["OrderState"] == "fulfilling"
    assert (found["Owner"], found["NextStep"]) == ("warehouse", "accept")
    assert (found["Channel"], found["Location"], found["TotalMinor"]) == ("web", ["LEEDS"], 1000)
    assert found["DueAt"].isoformat().replace("+00:00", "Z")[:19] == order["waiting"]["due_at"][:19]
    assert found["PlacedAt"].isoformat()[:19] == order["received_at"][:19]
    assert found["Attention"] is None

    hand = Hand(hands, order)
    await hand.track("lost", await hand.send_off())
    view = await hands.until(order_id, lambda v: v["attention"], "a case")
    await settle(hands, [order_id])
    found = await shown(hands, order_id)
    assert found["OrderState"] == view["state"]
    assert found["Attention"] == sorted(case["code"] for case in view["attention"])
    assert found["Carrier"] == [view["fulfillments"][0]["parcels"][0]["carrier"]]


async def test_everything_that_happens_has_a_readable_summary(hands: Shop):
    order = await released(hands)
    order_id = order["order_id"]
    hand = Hand(hands, order)
    await hand.track("delivered", await hand.send_off())
    await hands.until_over([order_id])

    found = await summaries(hands, order_id)
    described = await (await handle_of(hands, order_id)).describe()

    assert all(text for texts in found.values() for text in texts), found
    assert any(text.startswith("hold 1000 GBP") for text in found["activity"])
    assert any(text.startswith("take 1000 GBP") for text in found["activity"])
    assert any("label" in text for text in found["activity"])
    assert any("reserve 1 lines" in text for text in found["local activity"])
    assert any("order.delivered" in text for text in found["local activity"])
    assert all(text.startswith("look what is due at 20") for text in found["timer"])
    assert await described.static_summary() == "order web/default, 1 lines"
    assert (await hands.view(order_id))["links"]["temporal"].endswith(names.order_workflow_id(order_id))


async def test_a_story_costs_what_the_design_allows(hands: Shop):
    """Eight facts, one at a time: at most 80 history events and one execution (architecture.md)."""
    order = await released(hands)
    order_id = order["order_id"]
    hand = Hand(hands, order)
    await hand.report("accepted")
    await settle(hands, [order_id])
    await hand.pick()
    await settle(hands, [order_id])
    await hand.pack()
    [parcel] = await hand.labelled()
    await settle(hands, [order_id])
    await hand.hand_over()
    await settle(hands, [order_id])
    for status in ("picked_up", "in_transit", "out_for_delivery", "delivered"):
        await hand.track(status, parcel)
        await settle(hands, [order_id])
    await hands.until_over([order_id])

    described = await (await handle_of(hands, order_id)).describe()

    info = described.raw_description.workflow_execution_info
    assert info.history_length <= 80, info.history_length
    assert info.first_run_id == described.run_id
