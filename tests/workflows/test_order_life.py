"""An order on a real engine: its ends, its budgets, and what it survives."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from contracts import names
from domain.orders import closed, order_state
from domain.policy import DEFAULT_RULES
from domain.vocabulary import OrderState, PaymentMethod, PaymentState
from tests.fixtures.waiting import until
from tests.workflows.personal import personal_words
from tests.workflows.shop import Shop

MOST_EVENTS = 80
MOST_ACTIONS = 30
# The design says 15,000; docs/decisions/0007 says what the rest is for.
MOST_BYTES = 17_000
MOST_EVENTS_OF_AN_IDLE_FIRING = 5


async def _history(shop: Shop) -> tuple[Counter[str], int]:
    events = [event async for event in shop.handle.fetch_history_events()]
    return Counter(str(event.WhichOneof("attributes")) for event in events), sum(event.ByteSize() for event in events)


def _actions(kinds: Counter[str]) -> int:
    """Billable actions: start, signals, activities, timers, upserts, and local activities once per workflow task."""
    tasks_with_writes = min(
        kinds["marker_recorded_event_attributes"], kinds["workflow_task_completed_event_attributes"]
    )
    counted = (
        "workflow_execution_started",
        "workflow_execution_signaled",
        "activity_task_scheduled",
        "timer_started",
        "upsert_workflow_search_attributes",
    )
    return tasks_with_writes + sum(kinds[f"{name}_event_attributes"] for name in counted)


async def _moved_on(shop: Shop, version: int) -> None:
    await shop.until(lambda order: order.version > version, f"a version after {version}")


async def test_an_order_is_delivered_within_its_budget(shop: Shop) -> None:
    async with shop.worker():
        await shop.place()
        await shop.until(lambda order: order.fulfillments and order.fulfillments[0].released_at, "released")
        everything = [{"line_id": "1", "quantity": 6}, {"line_id": "2", "quantity": 2}]
        facts: list[tuple[str, dict[str, Any]]] = [("accepted", {}), ("picked", {"lines": everything}), ("packed", {})]
        for kind, fact in facts:
            known = (await shop.order()).version
            await shop.warehouse(kind, **fact)
            await _moved_on(shop, known)
        await shop.until(lambda order: order.parcels[0].tracking_number, "labelled")
        await shop.warehouse("handed_over", parcel_refs=["A"])
        await shop.until(lambda order: order.authorizations[0].state is PaymentState.CAPTURED, "captured")
        for status in ("picked_up", "in_transit", "out_for_delivery", "delivered"):
            known = (await shop.order()).version
            await shop.carrier_says(status)
            await _moved_on(shop, known)
        end = await shop.handle.result()

    kinds, size = await _history(shop)
    assert end == "delivered"
    assert sum(kinds.values()) <= MOST_EVENTS
    assert _actions(kinds) <= MOST_ACTIONS
    assert size <= MOST_BYTES
    assert [(kind, amount) for kind, _, amount in shop.payments.effects] == [("authorization", 2224), ("capture", 2224)]


async def test_facts_in_a_burst_cost_less(shop: Shop) -> None:
    async with shop.worker():
        await shop.place()
        await shop.pack_all()
        await shop.deliver()
        end = await shop.handle.result()

    kinds, _ = await _history(shop)
    assert end == "delivered"
    assert sum(kinds.values()) < MOST_EVENTS


async def test_a_declined_card_ends_the_order_and_gives_the_stock_back(shop: Shop) -> None:
    shop.payments.answers = ["insufficient_funds"]
    async with shop.worker():
        await shop.place()
        end = await shop.handle.result()

    order = await shop.order()
    assert end == "rejected"
    assert order.outcome is not None
    assert (order.outcome.reason, order.outcome.detail) == ("payment_declined", "insufficient_funds")
    assert "stock.unreserved" in await shop.kinds()


async def test_the_second_decline_gives_the_first_hold_back(shop: Shop) -> None:
    shop.payments.answers = ["yes", "card_declined"]
    async with shop.worker():
        await shop.place(payments=[(PaymentMethod.CARD, 1000), (PaymentMethod.CARD, 1224)])
        end = await shop.handle.result()

    order = await shop.order()
    held = [a.state for a in order.authorizations]
    assert end == "rejected"
    assert PaymentState.AUTHORIZED not in held
    assert sorted(kind for kind, _, _ in shop.payments.effects) == ["authorization", "authorization", "void"]


async def test_a_customer_who_acts_lets_the_order_go_on(shop: Shop) -> None:
    shop.payments.answers = ["action"]
    async with shop.worker():
        await shop.place()
        waiting = await shop.until(lambda order: order.holds, "held for the customer")
        await shop.signal(
            names.PAYMENT_FACT, authorization_id=waiting.authorizations[0].authorization_id, outcome="authorized"
        )
        released = await shop.until(lambda order: order.fulfillments[0].released_at, "released")

    assert waiting.authorizations[0].action_url is not None
    assert not released.holds


async def test_a_customer_who_does_not_act_in_time_loses_the_order(shop: Shop) -> None:
    shop.payments.answers = ["action"]
    async with shop.worker():
        await shop.place(rules=replace(DEFAULT_RULES, payment_action_within=timedelta(seconds=1)))
        end = await shop.handle.result()

    order = await shop.order()
    assert end == "rejected"
    assert order.outcome is not None
    assert order.outcome.reason == "payment_expired"


async def test_a_provider_that_is_away_shows_as_attention_and_the_case_closes_itself(shop: Shop) -> None:
    shop.payments.down = True
    async with shop.worker():
        await shop.place(rules=replace(DEFAULT_RULES, payment_patience=timedelta(seconds=1)))
        open_case = await shop.until(lambda order: order.attention, "a case")
        shop.payments.down = False
        settled = await shop.until(lambda order: order.fulfillments[0].released_at, "released")

    assert [case.code for case in open_case.attention] == ["payment_unreachable"]
    assert not settled.attention
    assert (await shop.kinds()).count("attention.resolved") == 1


async def test_an_idle_firing_of_the_timer_costs_five_events(shop: Shop) -> None:
    async def since_it_fired() -> list[str]:
        events = [str(event.WhichOneof("attributes")) async for event in shop.handle.fetch_history_events()]
        fired = "timer_fired_event_attributes"
        return events[events.index(fired) :] if fired in events else []

    async def rearmed() -> list[str]:
        events = await since_it_fired()
        return events if "timer_started_event_attributes" in events else []

    async with shop.worker():
        await shop.place(rules=replace(DEFAULT_RULES, stock_patience=timedelta(milliseconds=1500)))
        costs = await until(rearmed, "the timer is armed again")

    assert len(costs) <= MOST_EVENTS_OF_AN_IDLE_FIRING


async def test_continuing_as_new_at_every_quiet_point_changes_nothing(shop: Shop) -> None:
    async with shop.worker():
        await shop.place(continue_after=1)
        await shop.pack_all()
        await shop.deliver()
        end = await shop.handle.result()

    order = await shop.order()
    assert end == "delivered"
    assert order_state(order) is OrderState.DELIVERED
    assert closed(order)
    assert [kind for kind, _, _ in shop.payments.effects] == ["authorization", "capture"]


async def test_every_task_replayed_from_scratch_gives_the_same_end(shop: Shop) -> None:
    async with shop.worker(max_cached_workflows=0):
        await shop.place()
        await shop.pack_all()
        await shop.deliver()
        end = await shop.handle.result()

    assert end == "delivered"
    assert [kind for kind, _, _ in shop.payments.effects] == ["authorization", "capture"]


async def test_another_worker_goes_on_where_one_stopped(shop: Shop) -> None:
    async with shop.worker():
        await shop.place()
        await shop.pack_all()
    async with shop.worker():
        await shop.deliver()
        end = await shop.handle.result()

    assert end == "delivered"
    assert len(shop.carrier.sold) == 1


async def test_an_unknown_signal_is_dropped(shop: Shop) -> None:
    async with shop.worker():
        await shop.place()
        await shop.handle.signal("from_the_future", {"a": 1})
        await shop.pack_all()
        await shop.deliver()
        end = await shop.handle.result()

    assert end == "delivered"


async def test_a_label_nobody_sells_is_a_case_for_dispatch(shop: Shop) -> None:
    shop.carrier.refused = "too_heavy"
    async with shop.worker():
        await shop.place()
        await shop.until(lambda order: order.fulfillments and order.fulfillments[0].released_at, "released")
        await shop.warehouse("picked", lines=[{"line_id": "1", "quantity": 6}, {"line_id": "2", "quantity": 2}])
        await shop.warehouse("packed")
        order = await shop.until(lambda order: order.attention, "a case")

    assert [(case.code, case.owner) for case in order.attention] == [("label_failed", "dispatch")]


async def test_a_history_holds_nothing_personal(shop: Shop) -> None:
    async with shop.worker():
        await shop.place()
        await shop.pack_all()
        await shop.deliver()
        await shop.handle.result()

    assert personal_words(await shop.handle.fetch_history()) == []


@pytest.mark.parametrize("method", [PaymentMethod.PREPAID, PaymentMethod.CASH_ON_DELIVERY])
async def test_an_order_that_is_paid_elsewhere_calls_no_provider(shop: Shop, method: PaymentMethod) -> None:
    async with shop.worker():
        await shop.place(payments=[(method, 2224)])
        packed = await shop.pack_all()
        await shop.warehouse("handed_over", parcel_refs=["A"])
        await shop.carrier_says("delivered", collected_minor=packed.parcels[0].collect_minor or None)
        end = await shop.handle.result()

    assert end == "delivered"
    assert shop.payments.effects == []
