"""Every path of an order on a real engine: it rests where it should, replays in the sandbox, and holds no word of anybody's."""

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from contracts import names
from domain.orders import closed, order_state
from runtime.wire import data_converter
from tests.domain.rules import check_order
from tests.replay.paths import PATHS
from tests.workflows.personal import WORDS, personal_words
from tests.workflows.shop import Shop
from workers.wiring import runner
from workflows.orders import OrderWorkflow

DELIVERED = ("delivered", ())
REJECTED = ("rejected", ())
CANCELLED = ("cancelled", ())
# Path -> the state in which it rests, and the cases that stand open then.
ENDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "delivered": DELIVERED,
    "declined": REJECTED,
    "second_payment_declined": REJECTED,
    "out_of_stock": REJECTED,
    "two_locations": DELIVERED,
    "customer_acts": DELIVERED,
    "customer_fails": REJECTED,
    "customer_never_acts": REJECTED,
    "provider_away": DELIVERED,
    "cash_on_delivery": DELIVERED,
    "prepaid": DELIVERED,
    "short_picked": DELIVERED,
    "nothing_found": CANCELLED,
    "refused": CANCELLED,
    "refused_after_packing": CANCELLED,
    "own_label": DELIVERED,
    "facts_before_their_time": DELIVERED,
    "two_parcels": DELIVERED,
    "delivery_failed_first": DELIVERED,
    "lost": ("shipped", ("parcel_lost",)),
    "sent_back": ("shipped", ("delivery_failed",)),
    "label_refused": ("fulfilling", ("label_failed",)),
    "capture_refused": ("shipped", ("capture_failed",)),
    "warehouse_silent": DELIVERED,
    "continued_as_new": DELIVERED,
    "cancelled_before_the_release": CANCELLED,
    "cancelled_by_request": CANCELLED,
    "cancellation_refused": DELIVERED,
    "cancellation_unanswered": CANCELLED,
    "part_cancelled": DELIVERED,
    "held_and_released": DELIVERED,
    "held_and_rejected": REJECTED,
    "address_changed": DELIVERED,
    "label_refused_and_retried": DELIVERED,
    "lost_and_marked_delivered": DELIVERED,
    "paid_otherwise": DELIVERED,
}


@pytest.mark.parametrize("path", PATHS)
async def test_a_path_rests_where_it_should_and_replays(shop: Shop, path: str):
    state, cases = ENDS[path]

    async with shop.worker():
        await PATHS[path](shop)
        order = await shop.until(
            lambda order: order_state(order).value == state and len(order.attention) == len(cases), f"{state} {cases}"
        )
    runs = await _runs(shop)

    assert tuple(case.code for case in order.attention) == cases
    assert closed(order) == (cases == ())
    check_order(order)
    replayer = Replayer(workflows=[OrderWorkflow], workflow_runner=runner(), data_converter=data_converter)
    for run in runs:
        await replayer.replay_workflow(run)
        assert personal_words(run) == []
    await _leave_nothing(shop, is_open=cases != ())


async def _runs(shop: Shop) -> list[WorkflowHistory]:
    """The histories of all runs, the last one first."""
    found = [await shop.handle.fetch_history()]
    while before := found[-1].events[0].workflow_execution_started_event_attributes.continued_execution_run_id:
        run = shop.client.get_workflow_handle(names.order_workflow_id(shop.order_id), run_id=before)
        found.append(await run.fetch_history())
    return found


async def _leave_nothing(shop: Shop, *, is_open: bool) -> None:
    if is_open:
        await shop.handle.terminate("the test is over")


async def test_the_canaries_would_be_found(shop: Shop):
    """Told to an order as a reason, which travels in a payload, each of them is seen."""
    async with shop.worker():
        await shop.place()
        await shop.until(lambda order: order.fulfillments and order.fulfillments[0].released_at, "released")
        for word in WORDS:
            await shop.warehouse("request_refused", request_id="req_1", reason=word)
        await shop.warehouse("refused", reason="other")
        await shop.handle.result()

    assert personal_words(await shop.handle.fetch_history()) == list(WORDS)
