"""Commands on a running order: cancelled, held and changed at any instant, once, with what they cost."""

import asyncio
import os
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from temporalio.client import WorkflowUpdateFailedError

from contracts import names
from db.models import OrderContact, Stock
from domain.commands import CancelOrder, ChangeAddress, Command, CommandOutcome, LineUnits, PlaceHold, ReleaseHold
from domain.orders import closed, order_state
from domain.policy import DEFAULT_RULES
from domain.vocabulary import (
    ActorKind,
    CancellationState,
    CancelReason,
    HoldDecision,
    HoldReason,
    OrderState,
    PaymentState,
    RequestState,
)
from tests.fixtures.waiting import until
from tests.workflows.shop import Shop

MOST_EVENTS_OF_A_CANCELLATION = 28
# Eleven a command: docs/decisions/0008 says why the twenty of the design cannot be had.
MOST_EVENTS_OF_A_HOLD_AND_ITS_RELEASE = 22
BY: dict[str, Any] = {"actor": ActorKind.SUPPORT, "actor_id": "ada"}
UPDATES = {
    CancelOrder: names.CANCEL_ORDER,
    PlaceHold: names.PLACE_HOLD,
    ReleaseHold: names.RELEASE_HOLD,
    ChangeAddress: names.CHANGE_ADDRESS,
}


async def ask(shop: Shop, command: Command) -> CommandOutcome:
    """The outcome of *command*, sent as the API sends it."""
    outcome: CommandOutcome = await shop.handle.execute_update(
        UPDATES[type(command)], command, id=command.id, result_type=CommandOutcome, rpc_timeout=timedelta(seconds=20)
    )
    return outcome


def cancelling(**more: Any) -> CancelOrder:
    return CancelOrder(id=f"c-{os.urandom(6).hex()}", **{**BY, **more})


async def code_of(shop: Shop, command: Command) -> str:
    """The rule's code that *command* is refused with."""
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await ask(shop, command)
    return str(getattr(refused.value.cause, "type", None))


async def reserved(shop: Shop) -> int:
    async with shop.sessions() as session:
        rows = await session.execute(select(Stock.reserved).where(Stock.sku.in_([shop.sku("A"), shop.sku("B")])))
        return sum(row.reserved for row in rows)


async def events(shop: Shop) -> int:
    """The length of the history once no workflow task is under way."""

    async def at_rest() -> int:
        kinds = [str(event.WhichOneof("attributes")) async for event in shop.handle.fetch_history_events()]
        told = Counter(kinds)
        scheduled = told["workflow_task_scheduled_event_attributes"]
        return len(kinds) if scheduled == told["workflow_task_completed_event_attributes"] else 0

    return await until(at_rest, "no workflow task under way")


async def test_an_order_that_is_cancelled_while_its_payment_is_asked_for_holds_nothing(shop: Shop) -> None:
    shop.payments.down = True
    async with shop.worker():
        await shop.place()
        await shop.until(lambda order: order.authorizations, "the stock is promised")
        before = await events(shop)
        outcome = await ask(shop, cancelling(reason=CancelReason.CUSTOMER))
        shop.payments.down = False
        end = await shop.handle.result()
        after = await events(shop)

    order = await shop.order()
    assert (end, outcome.is_pending, outcome.refused) == ("cancelled", False, None)
    assert order.outcome is not None
    assert order.outcome.reason == "customer"
    assert order.cancellations[0].state is CancellationState.DONE
    assert {a.state for a in order.authorizations} == {PaymentState.VOIDED}
    assert await reserved(shop) == 0
    assert after - before <= MOST_EVENTS_OF_A_CANCELLATION


async def test_a_part_is_cancelled_before_the_release_and_the_rest_goes_on(shop: Shop) -> None:
    async with shop.worker():
        await shop.place(rules=DEFAULT_RULES)
        await ask(shop, PlaceHold(id="h-1", reason=HoldReason.OTHER, **BY))
        await shop.until(lambda order: order.authorizations and order.authorizations[0].expires_at, "authorized")
        await ask(shop, cancelling(lines=(LineUnits(line_id="1", quantity=2),)))
        assert await reserved(shop) == 6
        await ask(shop, ReleaseHold(id="h-2", hold_id=(await shop.order()).holds[0].hold_id, **BY))
        await shop.until(lambda order: order.fulfillments[0].released_at, "released")
        lines = [{"line_id": "1", "quantity": 4}, {"line_id": "2", "quantity": 2}]
        await shop.warehouse("picked", lines=lines)
        await shop.warehouse("packed")
        await shop.until(lambda order: order.parcels and order.parcels[0].tracking_number, "labelled")
        await shop.deliver()
        end = await shop.handle.result()

    order = await shop.order()
    assert end == "delivered"
    # Four of six A at 1530 in all, two B at 199 in all, shipping 495.
    assert order.authorizations[0].captured_minor == 1020 + 199 + 495
    assert await reserved(shop) == 0


async def test_a_held_order_is_not_released_and_a_rejected_one_gives_everything_back(shop: Shop) -> None:
    async with shop.worker():
        await shop.place()
        first = await ask(shop, PlaceHold(id="h-1", reason=HoldReason.HIGH_RISK_OF_FRAUD, note_id="note_1", **BY))
        second = await ask(shop, PlaceHold(id="h-2", reason=HoldReason.RECALL, **BY))
        held = await shop.until(lambda order: order.announced is OrderState.CONFIRMED, "confirmed")
        assert [hold.hold_id for hold in held.holds] == [first.subject, second.subject]
        assert held.fulfillments[0].released_at is None
        await ask(shop, ReleaseHold(id="h-3", hold_id=second.subject or "", **BY))
        assert (await shop.order()).fulfillments[0].released_at is None
        reject = ReleaseHold(id="h-4", hold_id=first.subject or "", decision=HoldDecision.REJECT, **BY)
        await ask(shop, reject)
        end = await shop.handle.result()

    order = await shop.order()
    assert end == "rejected"
    assert order.outcome is not None
    assert order.outcome.reason == "fraud"
    assert await reserved(shop) == 0
    assert {a.state for a in order.authorizations} == {PaymentState.VOIDED}


async def test_a_hold_and_its_release_stay_within_their_budget(shop: Shop) -> None:
    async with shop.worker():
        await shop.place()
        await shop.until(lambda order: order.fulfillments and order.fulfillments[0].released_at, "released")
        before = await events(shop)
        held = await ask(shop, PlaceHold(id="h-1", reason=HoldReason.OTHER, **BY))
        stopped = await shop.order()
        await ask(shop, ReleaseHold(id="h-2", hold_id=held.subject or "", **BY))
        after = await events(shop)

    order = await shop.order()
    assert [request.kind.value for request in stopped.requests] == ["hold"]
    assert [request.state for request in order.requests] == [RequestState.WITHDRAWN]
    assert after - before <= MOST_EVENTS_OF_A_HOLD_AND_ITS_RELEASE


async def test_after_the_release_the_warehouse_is_asked_and_says_yes(shop: Shop) -> None:
    async with shop.worker():
        await shop.place()
        await shop.until(lambda order: order.fulfillments and order.fulfillments[0].released_at, "released")
        before = await events(shop)
        outcome = await ask(shop, cancelling())
        asked = await shop.order()
        request = asked.requests[0]
        assert outcome.is_pending
        assert await code_of(shop, cancelling()) == "cancel_pending"
        await shop.warehouse("request_accepted", request_id=request.request_id)
        end = await shop.handle.result()
        after = await events(shop)

    order = await shop.order()
    assert end == "cancelled"
    assert order.cancellations[0].state is CancellationState.DONE
    assert await reserved(shop) == 0
    assert after - before <= MOST_EVENTS_OF_A_CANCELLATION


async def test_a_warehouse_that_says_no_keeps_the_order(shop: Shop) -> None:
    async with shop.worker():
        await shop.place()
        await shop.until(lambda order: order.fulfillments and order.fulfillments[0].released_at, "released")
        await ask(shop, cancelling())
        request = (await shop.order()).requests[0]
        await shop.warehouse("request_refused", request_id=request.request_id, reason="already_loaded")
        order = await shop.until(
            lambda order: order.cancellations[0].state is CancellationState.REFUSED, "the cancellation is refused"
        )

    assert order_state(order) is OrderState.FULFILLING
    assert not order.attention


async def test_a_time_out_is_not_a_yes_and_a_late_answer_still_counts(shop: Shop) -> None:
    async with shop.worker():
        await shop.place(rules=replace(DEFAULT_RULES, request_answer_within=timedelta(seconds=1)))
        await shop.until(lambda order: order.fulfillments and order.fulfillments[0].released_at, "released")
        await ask(shop, cancelling())
        silent = await shop.until(lambda order: order.attention, "a case")
        await shop.warehouse("request_accepted", request_id=silent.requests[0].request_id)
        end = await shop.handle.result()

    order = await shop.order()
    assert [case.code for case in silent.attention] == ["cancel_unanswered"]
    assert silent.cancellations[0].state is CancellationState.TIMED_OUT
    assert end == "cancelled"
    assert not order.attention


async def test_what_has_left_is_not_cancelled(shop: Shop) -> None:
    async with shop.worker():
        await shop.place()
        await shop.pack_all()
        asked = await ask(shop, cancelling())
        await shop.warehouse("handed_over", parcel_refs=["A"])
        left = await shop.until(lambda order: order.parcels[0].handed_over_at, "handed over")
        code = await code_of(shop, cancelling())

    assert asked.is_pending
    assert left.cancellations[0].state is CancellationState.REFUSED
    assert code == "already_shipped"


async def test_an_address_is_changed_until_a_parcel_is_packed(shop: Shop) -> None:
    async with shop.worker():
        await shop.place()
        await shop.until(lambda order: order.fulfillments and order.fulfillments[0].released_at, "released")
        await moved(shop)
        assert await code_of(shop, ChangeAddress(id="a-0", contact_revision=2, country="FR", **BY)) == "other_country"
        await ask(shop, ChangeAddress(id="a-1", contact_revision=2, country="GB", **BY))
        changed = await shop.order()
        await shop.pack_all()
        code = await code_of(shop, ChangeAddress(id="a-2", contact_revision=3, country="GB", **BY))

    assert changed.contact_revision == 2
    assert [request.kind.value for request in changed.requests] == ["change_address"]
    assert code == "already_packed"


async def test_the_same_command_has_one_outcome_also_in_a_new_run(shop: Shop) -> None:
    async with shop.worker():
        await shop.place(continue_after=1)
        command = PlaceHold(id="h-1", reason=HoldReason.OTHER, **BY)
        first, twin = await asyncio.gather(ask(shop, command), ask(shop, command))
        await ask(shop, PlaceHold(id="h-2", reason=HoldReason.OTHER, **BY))
        again = await ask(shop, command)

    assert first == twin == again
    assert len((await shop.order()).holds) == 2


async def test_two_cancellations_of_one_moment_end_in_one(shop: Shop) -> None:
    async with shop.worker():
        await shop.place()
        await ask(shop, PlaceHold(id="h-1", reason=HoldReason.OTHER, **BY))
        results = await asyncio.gather(*(ask(shop, cancelling()) for _ in range(2)), return_exceptions=True)
        await until_closed(shop)

    codes = Counter(
        result.refused if isinstance(result, CommandOutcome) else str(getattr(result.__cause__, "type", "gone"))
        for result in results
    )
    order = await shop.order()
    assert codes[None] == 1
    assert len(order.cancellations) == 1
    assert await reserved(shop) == 0


async def moved(shop: Shop) -> None:
    """The customer's second address is stored, as the API stores it before it asks."""
    async with shop.sessions.begin() as session:
        contact = await session.get_one(OrderContact, (shop.order_id, 1))
        session.add(OrderContact(order_id=shop.order_id, revision=2, shipping_address=contact.shipping_address))


async def until_closed(shop: Shop) -> None:
    async def over() -> bool:
        return closed(await shop.order())

    await until(over, "closed")
