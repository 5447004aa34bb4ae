"""What people, failures and the queue do to each other at awkward moments; each was found by ``test_machine``."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from domain import payments
from domain.commands import AddPayment, CancelOrder, LineUnits, PlaceHold, ResolveCase
from domain.messages import (
    Allocation,
    PlannedFulfillment,
    StepFailed,
    StockReserved,
    StockServed,
    StockShort,
)
from domain.orders import order_state
from domain.resolving import legal_fixes
from domain.steps import AuthorizePayment, BookLabel, CapturePayment, ReserveStock, reserve_key
from domain.units import Stage
from domain.vocabulary import (
    ActorKind,
    EventKind,
    Fix,
    HoldReason,
    OrderState,
    RequestState,
    WarehouseFactKind,
)
from domain.waits import waits
from tests.domain import making
from tests.domain.chance import action_required
from tests.domain.making import CARD, Warehouse
from tests.domain.story import Story, released

ALL = {"1": 6, "2": 2}
TWO_PARTS = [("LEEDS", {"1": 6}), ("DERBY", {"2": 2})]
BY: dict[str, Any] = {"actor": ActorKind.SUPPORT, "actor_id": "ada"}
SECOND_LINE = CancelOrder(id="c-1", lines=(LineUnits(line_id="2", quantity=2),), **BY)


def reserved_in_two_parts() -> Story:
    """Promised at two locations; the one card is asked for the first part, and for the second after it."""
    story = Story(making.make_order())
    return story.send(making.reserved(story.order, story.step(ReserveStock), TWO_PARTS))


def settle(story: Story, fix: Fix) -> Story:
    """Settle the only open case."""
    (case,) = story.order.attention
    number = len(story.sent)
    return story.send(ResolveCase(id=f"r-{number}", attention_id=case.attention_id, fix=fix, **BY))


def test_each_failure_of_a_step_and_its_end_are_told():
    story = Story(making.make_order())
    step = story.step(ReserveStock)

    for _ in range(2):
        settle(story.send(StepFailed(step_key=step.key, error="Timeout")), Fix.RETRY)
    story.send(making.reserved(story.order, step))

    assert story.kinds().count(EventKind.ATTENTION_OPENED) == 2
    assert EventKind.STOCK_RESERVED in story.kinds()


def test_a_part_that_is_cancelled_before_its_money_was_asked_for_keeps_nothing_at_home():
    story = reserved_in_two_parts().send(SECOND_LINE).finish_steps()

    assert order_state(story.order) is OrderState.FULFILLING
    assert [wait.next_step for wait in waits(story.order)] == ["accept"]


def test_a_hold_of_money_that_nobody_needs_any_more_keeps_nothing_at_home_while_it_is_given_back():
    story = reserved_in_two_parts()
    story.send(making.done(story.order, story.step(AuthorizePayment)))

    story.send(SECOND_LINE)

    assert story.order.fulfillments[0].released_at is not None
    assert {wait.next_step for wait in waits(story.order)} == {"accept", "void_payment"}


def test_the_units_of_a_refused_order_are_in_one_place_also_when_some_were_cancelled_before():
    story = Story(making.make_order())
    story.send(CancelOrder(id="c-1", lines=(LineUnits(line_id="1", quantity=1),), **BY))
    step = story.step(ReserveStock)

    story.send(StockShort(step_key=step.key, missing=(("A", 5),), decision=making.decision("sourcing", "ord_t")))

    assert [(portion.stage, portion.quantity) for portion in story.order.portions] == [
        (Stage.CANCELLED, 6),
        (Stage.CANCELLED, 2),
    ]


def test_a_link_that_had_run_out_when_we_heard_of_it_is_due_at_once():
    story = Story(making.make_order())
    story.send(making.reserved(story.order, story.step(ReserveStock)))
    answer = action_required(story.step(AuthorizePayment), story.now)

    story.now += timedelta(hours=2)
    story.send(answer)

    assert {wait.due_at for wait in waits(story.order)} == {story.now}


def test_what_the_first_card_held_before_the_customer_took_another_is_still_taken():
    story = reserved_in_two_parts()
    story.send(making.done(story.order, story.step(AuthorizePayment)))
    story.send(action_required(story.step(AuthorizePayment), story.now))

    story.send(AddPayment(id="p-1", payment_id="pay_t_2", method=CARD, **BY)).finish_steps()
    for number, lines in enumerate(({"1": 6}, {"2": 2}), start=1):
        warehouse, ref = Warehouse(f"ful_t_{number}"), str(number)
        story.send(warehouse.accepts(), warehouse.picks(lines), warehouse.packs({ref: lines}, own_label=True))
        story.send(warehouse.hands_over(ref)).finish_steps()

    assert payments.amounts(story.order).captured_minor == 2224


def packed_without_a_label() -> Story:
    """Packed; buying the label failed as nobody had planned, and a person chose to cancel for it."""
    story, warehouse = released(), Warehouse()
    story.send(warehouse.accepts(), warehouse.picks(ALL), warehouse.packs())
    return settle(story.send(StepFailed(step_key=story.step(BookLabel).key, error="Timeout")), Fix.CANCEL)


def answered(story: Story, kind: WarehouseFactKind) -> Story:
    """The warehouse answers the only request."""
    (request,) = story.order.requests
    return story.send(replace(Warehouse().answers(kind), id="answer/1", request_id=request.request_id))


def test_a_case_is_not_settled_by_a_cancellation_that_the_warehouse_may_refuse():
    story = answered(packed_without_a_label(), WarehouseFactKind.REQUEST_REFUSED)

    (case,) = story.order.attention

    assert Fix.RETRY in legal_fixes(story.order, case)
    assert settle(story, Fix.RETRY).step(BookLabel)


def test_a_case_is_settled_by_a_cancellation_that_the_warehouse_accepts():
    story = answered(packed_without_a_label(), WarehouseFactKind.REQUEST_ACCEPTED)

    assert order_state(story.order) is OrderState.CANCELLED
    assert story.cases() == []


def test_a_capture_that_failed_is_not_settled_by_cancelling_what_has_not_left():
    story = reserved_in_two_parts().send(
        PlaceHold(id="h-1", reason=HoldReason.OTHER, fulfillment_id="ful_t_2", **BY),
    )
    warehouse, lines = Warehouse(), {"1": 6}
    story.finish_steps().send(
        warehouse.accepts(), warehouse.picks(lines), warehouse.packs({"A": lines}, own_label=True)
    )
    story.send(warehouse.hands_over("A"))
    story.send(StepFailed(step_key=story.step(CapturePayment).key, error="Timeout"))

    settle(story, Fix.CANCEL)

    assert order_state(story.order) is OrderState.SHIPPED
    settle(story, Fix.RETRY).finish_steps()
    assert payments.amounts(story.order).captured_minor == 2025


def test_nobody_waits_for_an_answer_about_goods_that_have_left():
    story, warehouse = released(), Warehouse()
    story.send(PlaceHold(id="h-1", reason=HoldReason.OTHER, **BY))
    story.wait(timedelta(hours=3))
    assert story.cases() == ["warehouse_silent"]

    story.send(warehouse.accepts(), warehouse.picks(ALL), warehouse.packs({"A": ALL}, own_label=True))
    story.send(warehouse.hands_over("A"))

    assert [request.state for request in story.order.requests] == [RequestState.WITHDRAWN]
    assert story.cases() == []


def queued(story: Story, waiting: int) -> StockReserved:
    """The first line waits for *waiting* of its units, the rest is promised."""
    step = story.step(ReserveStock)
    lines = {line.line_id: line.quantity for line in step.lines} | {"1": step.lines[0].quantity - waiting}
    planned = PlannedFulfillment(
        fulfillment_id="ful_t_1",
        location_id="LEEDS",
        allocations=tuple(
            Allocation(line_id=line.line_id, sku=line.sku, quantity=lines[line.line_id], first_unit=0)
            for line in step.lines
        ),
    )
    return StockReserved(
        step_key=step.key,
        fulfillments=(planned,),
        decision=making.decision("sourcing", "ord_t"),
        backordered=(LineUnits(line_id="1", quantity=waiting),),
    )


def serving(story: Story, key: str) -> StockServed:
    """Stock for two units of the first line, which the attempt under *key* had queued."""
    return StockServed(
        id="serving/1",
        fulfillment_id="ful_t_b1",
        location_id="LEEDS",
        lines=(LineUnits(line_id="1", quantity=2),),
        occurred_at=story.now,
        queued_by=key,
    )


def test_stock_that_is_served_before_we_know_of_the_queue_is_not_lost():
    story = Story(making.make_order(allow_backorder=True))
    result = queued(story, 2)

    story.send(serving(story, result.step_key), result)

    assert [f.fulfillment_id for f in story.order.fulfillments] == ["ful_t_1", "ful_t_b1"]
    assert not any(portion.stage is Stage.BACKORDERED for portion in story.order.portions)


def test_stock_that_was_served_to_an_attempt_which_was_given_up_is_not_taken_for_the_next():
    story = Story(making.make_order(allow_backorder=True))
    given_up = reserve_key(story.order)
    story.send(CancelOrder(id="c-1", lines=(LineUnits(line_id="1", quantity=1),), **BY))

    story.send(queued(story, 2), serving(story, given_up))

    assert [f.fulfillment_id for f in story.order.fulfillments] == ["ful_t_1"]
