"""What carriers say: the latest word by their own clock counts, the final one stays, and no status moves money."""

from datetime import timedelta
from typing import Any

import pytest

from domain import payments, units
from domain.orders import closed, fulfillment_state, order_state, parcel_state
from domain.steps import CapturePayment
from domain.units import Stage
from domain.vocabulary import FulfillmentState, OrderState, ParcelState, Party, TrackingStatus
from domain.waits import waits
from tests.domain import making
from tests.domain.making import CASH, NOW, Carrier, Warehouse
from tests.domain.story import Story, handed_over, released

ALL = {"1": 6, "2": 2}


def shipped() -> Story:
    """An order on its way, its money taken."""
    return handed_over().finish_steps()


def test_a_late_word_changes_nothing_but_the_timeline():
    story = shipped()
    carrier = Carrier()
    story.send(carrier.says(TrackingStatus.DELIVERED, at=NOW + timedelta(days=2)))
    before = story.order

    story.send(carrier.says(TrackingStatus.IN_TRANSIT, at=NOW + timedelta(days=1)))

    assert story.order.parcels == before.parcels
    assert story.order.portions == before.portions
    assert story.events[-1].data["late"] is True


def test_a_later_word_after_delivered_does_not_undo_it():
    story = shipped()
    carrier = Carrier()
    story.send(carrier.says(TrackingStatus.DELIVERED), carrier.says(TrackingStatus.IN_TRANSIT))

    assert order_state(story.order) is OrderState.DELIVERED
    assert story.order.parcels[0].tracking_status is TrackingStatus.DELIVERED


@pytest.mark.parametrize("status", [TrackingStatus.PICKED_UP, TrackingStatus.IN_TRANSIT, TrackingStatus.DELIVERED])
def test_a_scan_counts_as_hand_over(status: TrackingStatus):
    story = released()
    warehouse = Warehouse()
    story.send(warehouse.picks(ALL), warehouse.packs({"A": ALL}, own_label=True))

    scan = Carrier().says(status)
    story.send(scan)

    assert units.count(story.order.portions, units.LEFT) == 8
    assert story.order.parcels[0].handed_over_at == scan.occurred_at
    assert story.step(CapturePayment).amount_minor == 2224


@pytest.mark.parametrize("status", [TrackingStatus.PENDING, TrackingStatus.UNKNOWN, TrackingStatus.CANCELLED])
def test_what_is_no_scan_is_no_hand_over(status: TrackingStatus):
    story = released()
    warehouse = Warehouse()
    story.send(warehouse.picks(ALL), warehouse.packs({"A": ALL}, own_label=True))

    story.send(Carrier().says(status))

    assert units.by_line(story.order.portions, {Stage.PACKED}) == ALL


def test_a_scan_of_a_cancelled_parcel_contradicts():
    story = released()
    warehouse = Warehouse()
    story.send(warehouse.picks(ALL), warehouse.packs({"A": ALL}, own_label=True), warehouse.refuses())

    story.send(Carrier().says(TrackingStatus.IN_TRANSIT))

    assert story.cases() == ["contradicting_fact"]
    assert units.count(story.order.portions, units.LEFT) == 0


def test_a_lost_parcel_opens_a_case_and_moves_no_money():
    story = shipped()
    before = payments.amounts(story.order)

    story.send(Carrier().says(TrackingStatus.LOST))

    assert story.cases() == ["parcel_lost"]
    assert payments.amounts(story.order) == before
    assert parcel_state(story.order, story.order.parcels[0]) is ParcelState.LOST
    assert fulfillment_state(story.order, story.order.fulfillments[0]) is FulfillmentState.UNDELIVERABLE
    assert not closed(story.order)
    assert [wait.next_step for wait in waits(story.order)] == ["settle"]


def test_a_lost_parcel_that_turns_up_is_delivered_after_all():
    story = shipped()
    carrier = Carrier()

    story.send(carrier.says(TrackingStatus.LOST), carrier.says(TrackingStatus.DELIVERED))

    assert story.cases() == []
    assert order_state(story.order) is OrderState.DELIVERED
    assert closed(story.order)


def test_a_parcel_on_its_way_back_moves_no_money_and_waits_for_a_person():
    story = shipped()
    carrier = Carrier()
    before = payments.amounts(story.order)

    story.send(carrier.says(TrackingStatus.RETURN_TO_SENDER, reason="refused by the recipient"))
    assert units.by_line(story.order.portions, {Stage.SENDING_BACK}) == ALL
    assert order_state(story.order) is OrderState.SHIPPED

    story.send(carrier.says(TrackingStatus.RETURNED))
    assert units.by_line(story.order.portions, {Stage.SENT_BACK}) == ALL
    assert story.cases() == ["delivery_failed"]
    assert payments.amounts(story.order) == before
    assert not closed(story.order)


def test_a_parcel_once_sent_back_stays_so_while_it_travels():
    story = shipped()
    carrier = Carrier()

    story.send(carrier.says(TrackingStatus.RETURN_TO_SENDER), carrier.says(TrackingStatus.IN_TRANSIT))

    assert units.by_line(story.order.portions, {Stage.SENDING_BACK}) == ALL


@pytest.mark.parametrize(
    ("status", "more", "code"),
    [
        (TrackingStatus.DELIVERY_FAILED, {}, "delivery_failed"),
        (TrackingStatus.DELIVERY_DELAYED, {}, "parcel_delayed"),
        (TrackingStatus.ON_HOLD, {}, "parcel_delayed"),
        (TrackingStatus.ON_HOLD, {"party": Party.CUSTOMS}, "customs_held"),
    ],
)
def test_trouble_on_the_way_is_a_case_that_delivery_closes(status: TrackingStatus, more: dict[str, Any], code: str):
    story = shipped()
    carrier = Carrier()

    story.send(carrier.says(status, **more))
    assert story.cases() == [code]

    story.send(carrier.says(TrackingStatus.DELIVERED))
    assert story.cases() == []
    assert closed(story.order)


def test_two_final_words_that_disagree_open_a_case_and_the_first_stays():
    story = handed_over()
    carrier = Carrier()

    story.send(carrier.says(TrackingStatus.DELIVERED), carrier.says(TrackingStatus.RETURNED))

    assert story.cases() == ["contradicting_fact"]
    assert story.order.parcels[0].tracking_status is TrackingStatus.DELIVERED


def test_a_parcel_that_stays_silent_becomes_attention_and_closes_itself():
    story = shipped()

    story.wait_until_due()
    assert story.cases() == ["parcel_silent"]

    story.send(Carrier().says(TrackingStatus.IN_TRANSIT, at=story.now))
    assert story.cases() == []


def test_an_estimate_that_is_not_repeated_stays():
    story = shipped()
    carrier = Carrier()
    day = (NOW + timedelta(days=3)).date()

    story.send(carrier.says(TrackingStatus.PICKED_UP, estimated_on=day), carrier.says(TrackingStatus.IN_TRANSIT))

    assert story.order.parcels[0].estimated_on == day


def cash_parcel() -> tuple[Story, int]:
    """A parcel on its way that is paid at the door, and how much."""
    story = released(making.make_order(payments=[(CASH, 2224)]))
    warehouse = Warehouse()
    story.send(warehouse.picks(ALL), warehouse.packs({"A": ALL}, own_label=True), warehouse.hands_over("A"))
    return story, story.order.parcels[0].collect_minor


def test_cash_at_the_door_settles_the_order():
    story, due = cash_parcel()
    assert due == 2224

    story.send(Carrier().says(TrackingStatus.DELIVERED, collected_minor=due))

    assert closed(story.order)
    assert payments.amounts(story.order).captured_minor == 2224


def test_a_delivered_parcel_whose_cash_is_not_reported_stays_open_until_it_is():
    story, due = cash_parcel()
    carrier = Carrier()

    story.send(carrier.says(TrackingStatus.DELIVERED))
    assert [wait.next_step for wait in waits(story.order)] == ["collect_payment"]

    story.send(carrier.says(TrackingStatus.DELIVERED, collected_minor=due))
    assert closed(story.order)


def test_the_wrong_amount_at_the_door_is_a_case():
    story, due = cash_parcel()

    story.send(Carrier().says(TrackingStatus.DELIVERED, collected_minor=due - 1))

    assert story.cases() == ["capture_failed"]


@pytest.mark.parametrize("refused", [{"1": 1}, {"2": 2}])
def test_cash_that_was_fixed_before_units_were_refused_is_a_case(refused: dict[str, int]):
    story = released(making.make_order(payments=[(CASH, 2224)]))
    warehouse = Warehouse()
    story.send(warehouse.picks(ALL), warehouse.packs({"A": ALL}, own_label=True))

    story.send(warehouse.refuses(lines=refused))

    assert story.cases() == ["capture_failed"]


def test_an_order_refused_whole_collects_nothing_and_needs_nobody():
    story = released(making.make_order(payments=[(CASH, 2224)]))
    warehouse = Warehouse()
    story.send(warehouse.picks(ALL), warehouse.packs({"A": ALL}, own_label=True))

    story.send(warehouse.refuses())

    assert story.cases() == []
    assert closed(story.order)


def test_a_proof_is_remembered_whatever_comes_after():
    story = shipped()
    carrier = Carrier()

    story.send(carrier.says(TrackingStatus.DELIVERED, has_proof=True), carrier.says(TrackingStatus.IN_TRANSIT))

    assert story.order.parcels[0].has_proof
