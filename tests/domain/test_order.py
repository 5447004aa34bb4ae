"""One order's paths: what each fact, result and due time makes of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain import payments, units
from domain.change import StockEffect, UndoStep
from domain.inventory import SHORT_EFFECTS
from domain.messages import (
    CaptureRefused,
    LabelRefused,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentDeclined,
    PaymentFact,
    StepFailed,
    StockShort,
)
from domain.orders import closed, fulfillment_state, order_state, parcel_state
from domain.steps import (
    AuthorizePayment,
    BookLabel,
    CapturePayment,
    ReserveStock,
    VoidAuthorization,
    VoidLabel,
    next_steps,
)
from domain.units import Stage
from domain.vocabulary import (
    EventKind,
    FulfillmentState,
    HoldReason,
    MovementKind,
    OrderState,
    ParcelState,
    PaymentState,
    RejectReason,
    ShortReason,
    TrackingStatus,
    WarehouseFactKind,
)
from domain.waits import waits
from tests.domain import making
from tests.domain.making import CARD, NOW, PREPAID, Carrier, Warehouse
from tests.domain.story import Story, handed_over, released

ALL = {"1": 6, "2": 2}
TWO_PARTS = [("LEEDS", {"1": 6}), ("DERBY", {"2": 2})]


def to_authorize(**more: object) -> Story:
    """An order whose stock is promised and whose money is about to be asked for."""
    story = Story(making.make_order(**more))  # type: ignore[arg-type]  # any field of an order
    return story.send(making.reserved(story.order, story.step(ReserveStock)))


def action_required(story: Story) -> Story:
    """The customer must act within a day."""
    step = story.step(AuthorizePayment)
    return story.send(
        PaymentActionRequired(
            step_key=step.key,
            authorization_id=step.authorization_id,
            reference="pi_1",
            url="https://pay.example/1",
            expires_at=story.now + timedelta(days=1),
        )
    )


def payment_fact(story: Story, outcome: str, **more: object) -> PaymentFact:
    """What the provider says of the first authorization."""
    return PaymentFact(
        id=f"payment:stripe/{outcome}",
        authorization_id=story.order.authorizations[0].authorization_id,
        outcome=outcome,
        occurred_at=story.now,
        **more,  # type: ignore[arg-type]  # the fact's other fields
    )


def test_an_order_is_promised_paid_released_shipped_and_delivered():
    story = released()
    warehouse, carrier = Warehouse(), Carrier("TN-par_t_1", "swift")
    story.send(warehouse.accepts(), warehouse.picks(ALL), warehouse.packs())
    story.finish_steps().send(warehouse.hands_over("A")).finish_steps()
    story.send(*(carrier.says(status) for status in (TrackingStatus.PICKED_UP, TrackingStatus.DELIVERED)))

    assert order_state(story.order) is OrderState.DELIVERED
    assert closed(story.order)
    assert [kind for kind in story.kinds() if kind.value.startswith("order.")] == [
        EventKind.ORDER_CONFIRMED,
        EventKind.ORDER_FULFILLING,
        EventKind.ORDER_SHIPPED,
        EventKind.ORDER_DELIVERED,
    ]
    assert payments.amounts(story.order).captured_minor == 2224


def test_stock_that_falls_short_ends_the_order_and_leaves_a_tombstone():
    story = Story(making.make_order())
    step = story.step(ReserveStock)

    story.send(
        StockShort(step_key=step.key, missing=(("A", 2),), decision=making.decision("sourcing", story.order.order_id))
    )

    assert order_state(story.order) is OrderState.REJECTED
    assert story.order.outcome is not None
    assert story.order.outcome.reason == RejectReason.OUT_OF_STOCK
    assert closed(story.order)
    assert [effect.step_key for effect in story.effects if isinstance(effect, UndoStep)] == [step.key]


def test_a_declined_card_ends_the_order_and_gives_the_stock_back():
    story = to_authorize()
    step = story.step(AuthorizePayment)

    story.send(PaymentDeclined(step_key=step.key, authorization_id=step.authorization_id, code="insufficient_funds"))

    assert order_state(story.order) is OrderState.REJECTED
    assert story.order.outcome is not None
    assert story.order.outcome.detail == "insufficient_funds"
    assert given_back(story) == ALL
    assert closed(story.order)


def given_back(story: Story) -> dict[str, int]:
    """Line id -> units whose promise was released."""
    found: dict[str, int] = {}
    for effect in story.effects:
        if isinstance(effect, StockEffect) and (MovementKind.UNRESERVED, 1) in effect.movements:
            for line in effect.lines:
                found[line.line_id] = found.get(line.line_id, 0) + line.quantity
    return found


def test_the_second_card_declining_voids_what_the_first_holds():
    story = to_authorize(payments=[(CARD, 1000), (CARD, 1224)])
    first, second = story.order.authorizations
    story.send(
        PaymentAuthorized(
            step_key=f"ord_t:authorize:{first.authorization_id}:1",
            authorization_id=first.authorization_id,
            reference="pi_1",
            expires_at=NOW + timedelta(days=7),
        ),
        PaymentDeclined(
            step_key=f"ord_t:authorize:{second.authorization_id}:1",
            authorization_id=second.authorization_id,
            code="card_declined",
        ),
    )

    assert order_state(story.order) is OrderState.REJECTED
    assert not closed(story.order)
    assert [wait.next_step for wait in waits(story.order)] == ["void_payment"]

    story.finish_steps()

    assert closed(story.order)
    assert story.order.authorizations[0].state is PaymentState.VOIDED


def test_a_hold_still_being_asked_for_when_the_order_ends_is_voided_too():
    story = to_authorize(payments=[(CARD, 1000), (CARD, 1224)])
    asked = story.order.authorizations[0]
    second = story.order.authorizations[1]

    story.send(
        PaymentDeclined(
            step_key=f"ord_t:authorize:{second.authorization_id}:1",
            authorization_id=second.authorization_id,
            code="card_declined",
        )
    )

    assert story.step(VoidAuthorization).authorization_id == asked.authorization_id
    assert not any(isinstance(step, AuthorizePayment) for step in next_steps(story.order).values())


def test_an_order_waits_for_the_customer_while_a_payment_needs_action():
    story = action_required(to_authorize())

    assert [hold.reason for hold in story.order.holds] == [HoldReason.AWAITING_PAYMENT]
    assert {wait.next_step for wait in waits(story.order)} == {"confirm_payment", "release_hold"}
    assert {wait.owner for wait in waits(story.order)} == {"customer"}
    assert order_state(story.order) is OrderState.RECEIVED


def test_the_customers_action_releases_the_hold_and_the_order_goes_on():
    story = action_required(to_authorize())

    story.send(payment_fact(story, "authorized", reference="pi_1", expires_at=NOW + timedelta(days=7)))

    assert story.order.holds == ()
    assert order_state(story.order) is OrderState.FULFILLING


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [("failed", RejectReason.PAYMENT_DECLINED), ("expired", RejectReason.PAYMENT_EXPIRED)],
)
def test_the_provider_can_end_what_the_customer_was_asked_for(outcome: str, reason: RejectReason):
    story = action_required(to_authorize())

    story.send(payment_fact(story, outcome)).finish_steps()

    assert story.order.outcome is not None
    assert story.order.outcome.reason == reason
    assert closed(story.order)
    assert given_back(story) == ALL


def test_an_action_that_is_not_taken_in_time_ends_the_order_and_its_link():
    story = action_required(to_authorize())

    story.wait_until_due()

    assert story.order.outcome is not None
    assert story.order.outcome.reason == RejectReason.PAYMENT_EXPIRED
    assert story.step(VoidAuthorization)
    assert closed(story.finish_steps().order)


def test_an_action_is_waited_for_no_longer_than_policy_allows():
    story = action_required(to_authorize())

    (authorization,) = story.order.authorizations
    assert authorization.action_due_at == NOW + story.order.policy.rules.payment_action_within


def test_a_word_of_the_provider_that_comes_after_the_end_changes_no_money():
    story = action_required(to_authorize()).wait_until_due().finish_steps()
    before = story.order

    story.send(payment_fact(story, "authorized", expires_at=NOW + timedelta(days=7)))

    assert replace(story.order, version=before.version, seen=before.seen) == before


def test_later_fulfillments_are_authorized_with_the_method_that_the_first_saved():
    story = Story(making.make_order())
    story.send(making.reserved(story.order, story.step(ReserveStock), TWO_PARTS))
    first = story.step(AuthorizePayment)
    assert first.saved_by is None

    story.send(making.done(story.order, first))

    assert story.step(AuthorizePayment).saved_by == f"pi_{first.authorization_id}"


def test_nothing_is_released_before_all_its_money_is_held():
    story = Story(making.make_order())
    story.send(making.reserved(story.order, story.step(ReserveStock), TWO_PARTS))
    story.send(making.done(story.order, story.step(AuthorizePayment)))

    assert {fulfillment_state(story.order, f) for f in story.order.fulfillments} == {FulfillmentState.PLANNED}

    story.finish_steps()

    assert {fulfillment_state(story.order, f) for f in story.order.fulfillments} == {FulfillmentState.RELEASED}


def test_a_prepaid_order_is_released_without_asking_a_provider():
    story = released(making.make_order(payments=[(PREPAID, 2224)]))

    assert story.order.authorizations == ()
    assert order_state(story.order) is OrderState.FULFILLING


@pytest.mark.parametrize("reason", list(ShortReason))
def test_a_short_pick_cancels_the_missing_units_and_books_what_its_reason_means(reason: ShortReason):
    story = released()
    warehouse = Warehouse()

    story.send(warehouse.picks({"1": 4, "2": 2}), warehouse.misses({"1": 2}, reason))

    assert units.by_line(story.order.portions, {Stage.CANCELLED}) == {"1": 2}
    (effect,) = (effect for effect in story.effects if isinstance(effect, StockEffect))
    assert effect.movements == SHORT_EFFECTS[reason]
    assert [(line.sku, line.quantity) for line in effect.lines] == [("A", 2)]


def test_only_what_left_is_charged_after_a_short_pick():
    story = released()
    warehouse = Warehouse()

    story.send(
        warehouse.picks({"1": 4, "2": 2}),
        warehouse.misses({"1": 2}),
        warehouse.packs({"A": {"1": 4, "2": 2}}, own_label=True),
        warehouse.hands_over("A"),
    )

    assert story.step(CapturePayment).amount_minor == 4 * 255 + 199 + 495


def test_an_order_of_which_nothing_was_found_is_cancelled_and_its_money_given_back():
    story = released()
    story.send(Warehouse().misses(ALL)).finish_steps()

    assert order_state(story.order) is OrderState.CANCELLED
    assert closed(story.order)
    assert story.order.authorizations[0].state is PaymentState.VOIDED
    assert payments.amounts(story.order).captured_minor == 0


def test_a_refused_fulfillment_is_given_back_and_paid_for_by_nobody():
    story = released(parts=TWO_PARTS)
    derby = Warehouse("ful_t_2")

    story.send(derby.refuses(ShortReason.CAPACITY)).finish_steps()

    states = [fulfillment_state(story.order, f) for f in story.order.fulfillments]
    assert states == [FulfillmentState.RELEASED, FulfillmentState.REFUSED]
    assert given_back(story) == {"2": 2}
    by_fulfillment = {a.fulfillment_id: a.state for a in story.order.authorizations}
    assert by_fulfillment == {"ful_t_1": PaymentState.AUTHORIZED, "ful_t_2": PaymentState.VOIDED}


def test_every_fulfillment_refused_cancels_the_order_with_its_shipping():
    story = released(parts=TWO_PARTS)

    story.send(Warehouse().refuses(), Warehouse("ful_t_2").refuses()).finish_steps()

    assert order_state(story.order) is OrderState.CANCELLED
    assert closed(story.order)
    assert payments.amounts(story.order).total_minor == 0


def test_a_part_of_a_fulfillment_can_be_refused():
    story = released()

    story.send(Warehouse().refuses(ShortReason.DAMAGE, {"1": 1}))

    assert fulfillment_state(story.order, story.order.fulfillments[0]) is FulfillmentState.RELEASED
    assert units.by_line(story.order.portions, {Stage.CANCELLED}) == {"1": 1}


def test_what_left_before_a_refusal_stays_left():
    story = released()
    warehouse = Warehouse()
    story.send(warehouse.picks({"1": 6}), warehouse.packs({"A": {"1": 6}}, own_label=True), warehouse.hands_over("A"))

    story.send(warehouse.refuses())

    assert units.by_line(story.order.portions, {Stage.IN_TRANSIT}) == {"1": 6}
    assert units.by_line(story.order.portions, {Stage.CANCELLED}) == {"2": 2}


def test_more_units_than_are_there_open_a_case_and_make_none():
    story = released()

    story.send(Warehouse().picks({"1": 7}))

    assert story.cases() == ["quantity_mismatch"]
    assert units.by_line(story.order.portions, {Stage.PICKED}) == {"1": 6}


def test_a_parcel_packed_twice_opens_a_case():
    story = released()
    warehouse = Warehouse()
    story.send(warehouse.picks(ALL), warehouse.packs({"A": {"1": 3}}), warehouse.packs({"A": {"1": 3}}))

    assert story.cases() == ["quantity_mismatch"]
    assert len(story.order.parcels) == 1


def test_packed_before_picked_is_parked_and_applied_later():
    story = released()
    warehouse = Warehouse()
    story.send(warehouse.packs())

    (parked,) = story.order.parked
    assert parked.fact == story.sent[-1]
    assert "explain_fact" in {wait.next_step for wait in waits(story.order)}

    story.send(warehouse.picks(ALL))

    assert story.order.parked == ()
    assert units.by_line(story.order.portions, {Stage.PACKED}) == ALL


def test_a_parked_fact_that_stays_unexplained_becomes_attention_and_closes_itself():
    story = released()
    warehouse = Warehouse()
    story.send(warehouse.packs())

    story.wait(story.order.policy.rules.parked_within)
    assert story.cases() == ["contradicting_fact"]

    story.send(warehouse.picks(ALL))
    assert story.cases() == []


def test_no_more_than_a_hundred_facts_are_parked():
    story = released()
    early = [
        replace(fact, id=f"carrier:own/{place}")
        for place, fact in enumerate([Carrier().says(TrackingStatus.IN_TRANSIT)] * 101)
    ]

    story.send(*early)

    assert len(story.order.parked) == 100
    assert story.cases() == ["contradicting_fact"]
    assert early[-1].id not in {parked.fact.id for parked in story.order.parked}


def test_an_answer_to_a_request_nobody_made_is_only_told():
    story = released()
    before = story.order.portions

    story.send(Warehouse().answers(WarehouseFactKind.REQUEST_ACCEPTED))

    assert story.order.portions == before
    assert story.kinds()[-1] is EventKind.REQUEST_ANSWERED


def test_a_label_nobody_would_sell_opens_a_case_and_is_not_asked_for_again():
    story = released()
    warehouse = Warehouse()
    story.send(warehouse.picks(ALL), warehouse.packs())
    step = story.step(BookLabel)

    story.send(LabelRefused(step_key=step.key, parcel_id=step.parcel_id, code="no_carrier"))

    assert story.cases() == ["label_failed"]
    assert next_steps(story.order) == {}
    assert "book_label" in {wait.next_step for wait in waits(story.order)}


def test_a_parcel_cancelled_while_its_label_is_bought_gets_the_label_voided():
    story = released()
    warehouse = Warehouse()
    story.send(warehouse.picks(ALL), warehouse.packs())
    bought = story.step(BookLabel)

    story.send(warehouse.refuses())

    assert parcel_state(story.order, story.order.parcels[0]) is ParcelState.CANCELLED
    assert story.step(VoidLabel).label_key == bought.key
    assert not closed(story.order)
    assert closed(story.finish_steps().order)


def test_a_capture_that_is_refused_after_the_goods_left_is_a_case_and_no_second_try():
    story = handed_over()
    step = story.step(CapturePayment)

    story.send(CaptureRefused(step_key=step.key, authorization_id=step.authorization_id, code="expired"))

    assert story.cases() == ["capture_failed"]
    assert next_steps(story.order) == {}
    story.send(Carrier().says(TrackingStatus.DELIVERED))
    assert order_state(story.order) is OrderState.SHIPPED
    assert waits(story.order)


def test_a_step_that_fails_for_no_planned_reason_is_left_to_people():
    story = Story(making.make_order())
    step = story.step(ReserveStock)

    story.send(StepFailed(step_key=step.key, error="KeyError"))

    assert story.cases() == ["unexpected_error"]
    assert next_steps(story.order) == {}
    assert waits(story.order)


def test_money_whose_hold_has_run_out_is_asked_for_anew_before_anything_is_released():
    story = to_authorize()
    first = story.step(AuthorizePayment)
    dead = PaymentAuthorized(
        step_key=first.key, authorization_id=first.authorization_id, reference="pi_1", expires_at=story.now
    )

    story.send(dead)

    again = story.step(AuthorizePayment)
    assert again.authorization_id.endswith(":2")
    assert again.key != first.key
    assert order_state(story.order) is not OrderState.FULFILLING
    assert order_state(story.finish_steps().order) is OrderState.FULFILLING


def test_one_dead_hold_keeps_every_fulfillment_at_home():
    """Were the other released, a decline of the new hold would reject an order that a warehouse works on."""
    story = Story(making.make_order())
    story.send(making.reserved(story.order, story.step(ReserveStock), TWO_PARTS))
    story.send(making.done(story.order, story.step(AuthorizePayment)))
    second = story.step(AuthorizePayment)

    story.send(making.done(story.order, second, expires_at=story.now))

    assert all(fulfillment.released_at is None for fulfillment in story.order.fulfillments)
