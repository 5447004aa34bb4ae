"""What an order waits for, the cases that open when it waits too long, and what is said after its end."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain import late
from domain.attention import CASES, AttentionCode
from domain.messages import PaymentDeclined, PaymentFact, WarehouseFact
from domain.orders import Order
from domain.steps import AuthorizePayment, ReserveStock
from domain.vocabulary import EventKind, TrackingStatus
from domain.waits import next_due, waits
from tests.domain import making
from tests.domain.making import NOW, Carrier, Warehouse
from tests.domain.story import Story, handed_over, released

ALL = {"1": 6, "2": 2}


def to_reserve() -> Story:
    """Just taken."""
    return Story(making.make_order())


def to_authorize() -> Story:
    """Stock promised."""
    story = to_reserve()
    return story.send(making.reserved(story.order, story.step(ReserveStock)))


def to_accept() -> Story:
    """At the warehouse, unseen."""
    return released()


def to_pick() -> Story:
    """Accepted."""
    return released().send(Warehouse().accepts())


def to_book() -> Story:
    """Packed, without a label."""
    warehouse = Warehouse()
    return released().send(warehouse.picks(ALL), warehouse.packs())


def to_hand_over() -> Story:
    """Packed and labelled."""
    return to_book().finish_steps()


def to_capture() -> Story:
    """Gone, not yet paid."""
    return handed_over()


def to_deliver() -> Story:
    """On its way and paid."""
    return handed_over().finish_steps()


def to_settle() -> Story:
    """Lost."""
    return to_deliver().send(Carrier().says(TrackingStatus.LOST))


def to_explain() -> Story:
    """A fact that came too early."""
    return released().send(Warehouse().packs())


WAITS = [
    (to_reserve, "reserve_stock", "inventory"),
    (to_authorize, "authorize_payment", "payments"),
    (to_accept, "accept", "warehouse"),
    (to_pick, "pick", "warehouse"),
    (to_book, "book_label", "dispatch"),
    (to_hand_over, "hand_over", "warehouse"),
    (to_capture, "capture_payment", "payments"),
    (to_deliver, "deliver", "carrier_desk"),
    (to_settle, "settle", "carrier_desk"),
    (to_explain, "explain_fact", "operations"),
]


@pytest.mark.parametrize(("begin", "step", "owner"), WAITS, ids=[wait[1] for wait in WAITS])
def test_every_step_of_the_way_is_a_wait_with_its_owner(begin, step: str, owner: str):
    found = {wait.next_step: wait for wait in waits(begin().order)}

    assert found[step].owner == owner
    assert found[step].escalates_to


OVERDUE = [
    (to_reserve, "unexpected_error"),
    (to_authorize, "payment_unreachable"),
    (to_accept, "warehouse_silent"),
    (to_pick, "warehouse_silent"),
    (to_hand_over, "warehouse_silent"),
    (to_capture, "payment_unreachable"),
    (to_deliver, "parcel_silent"),
    (to_explain, "contradicting_fact"),
    (to_book, "carrier_unreachable"),
]


@pytest.mark.parametrize(("begin", "code"), OVERDUE, ids=[f"{case[0].__name__[3:]}" for case in OVERDUE])
def test_a_wait_that_is_overdue_opens_its_case_once(begin, code: str):
    story: Story = begin()

    story.wait_until_due()
    assert story.cases() == [code]

    story.wait(timedelta(seconds=1))
    assert story.cases() == [code]


@pytest.mark.parametrize(
    "begin", [case[0] for case in OVERDUE if case[0] is not to_explain], ids=lambda begin: begin.__name__[3:]
)
def test_the_case_of_an_overdue_wait_closes_when_the_wait_is_over(begin):
    story: Story = begin()
    story.wait_until_due()

    _go_on(story)

    assert story.cases() == []
    assert EventKind.ATTENTION_RESOLVED in story.kinds()


def _go_on(story: Story) -> None:
    """The rest of the order's life, from wherever it stands."""
    story.finish_steps()
    there = {line.line_id: line.quantity for line in story.order.lines}
    if not story.order.parcels:
        facts = [Warehouse().accepts(), Warehouse().picks(there), Warehouse().packs({"A": there}, own_label=True)]
        for number, fact in enumerate(facts):
            story.send(_renamed(fact, f"again/{number}"))
    story.finish_steps()
    parcel = story.order.parcels[0]
    story.send(_renamed(Warehouse().hands_over(parcel.parcel_ref), "again/handed"))
    story.finish_steps()
    story.send(Carrier(parcel.tracking_number or "", parcel.carrier or "").says(TrackingStatus.DELIVERED))


def _renamed(fact: WarehouseFact, fact_id: str) -> WarehouseFact:
    return replace(fact, id=fact_id)


def test_a_timer_that_fires_for_nothing_changes_nothing():
    story = to_deliver()
    before = story.order

    story.wait(timedelta(minutes=1))

    assert story.order is before


def test_the_next_due_time_is_the_earliest_that_was_not_dealt_with():
    story = to_authorize()
    first = next_due(story.order)
    assert first == NOW + story.order.policy.rules.payment_patience

    story.wait_until_due()

    after = next_due(story.order)
    assert after is None or after > story.now


def test_every_code_has_an_owner_and_time_allowed():
    assert set(CASES) == set(AttentionCode)
    assert all(rule.allowed > timedelta(0) for rule in CASES.values())


def test_one_problem_is_one_case_however_often_it_is_reported():
    story = to_deliver()
    carrier = Carrier()

    story.send(carrier.says(TrackingStatus.DELIVERY_FAILED), carrier.says(TrackingStatus.DELIVERY_FAILED))

    assert story.cases() == ["delivery_failed"]
    assert story.kinds().count(EventKind.ATTENTION_OPENED) == 1


def test_the_timeline_on_the_card_is_the_last_five_events():
    order = to_deliver().order

    assert len(order.recent) == 5
    assert [kind for _, kind in order.recent][-1] == "payment.captured"


def rejected() -> Order:
    """An order whose card was declined."""
    story = to_authorize()
    step = story.step(AuthorizePayment)
    return story.send(
        PaymentDeclined(step_key=step.key, authorization_id=step.authorization_id, code="card_declined")
    ).order


def delivered() -> Order:
    """An order that has arrived."""
    return to_deliver().send(Carrier().says(TrackingStatus.DELIVERED)).order


AFTER_THE_END = [
    (delivered, Warehouse().picks(ALL), False),
    (delivered, Carrier().says(TrackingStatus.DELIVERED, at=NOW + timedelta(days=9)), False),
    (delivered, Carrier().says(TrackingStatus.IN_TRANSIT, at=NOW + timedelta(days=9)), False),
    (delivered, Carrier().says(TrackingStatus.RETURNED, at=NOW + timedelta(days=9)), True),
    (delivered, Carrier().says(TrackingStatus.LOST, at=NOW - timedelta(days=9)), False),
    (rejected, Warehouse().picks(ALL), False),
    (rejected, Warehouse().hands_over("A"), True),
    (rejected, Carrier().says(TrackingStatus.DELIVERED), True),
    (rejected, PaymentFact(id="p/1", authorization_id="a", outcome="authorized", occurred_at=NOW), True),
    (rejected, PaymentFact(id="p/1", authorization_id="a", outcome="failed", occurred_at=NOW), False),
    (delivered, PaymentFact(id="p/1", authorization_id="a", outcome="authorized", occurred_at=NOW), False),
]


@pytest.mark.parametrize(("begin", "fact", "contradicts"), AFTER_THE_END)
def test_a_fact_after_the_end_is_kept_and_is_a_case_when_it_contradicts_it(begin, fact, contradicts: bool):
    event, case = late.record(begin(), fact, now=NOW + timedelta(days=9))

    assert event.data["after_end"] is True
    assert (case is not None) == contradicts
    if case is not None:
        assert case["code"] == AttentionCode.CONTRADICTING_FACT


def test_two_late_facts_open_cases_of_two_names():
    order = rejected()
    facts = [Warehouse("f1").hands_over("A"), Warehouse("f2").hands_over("A")]

    cases = [late.record(order, fact, now=NOW)[1] for fact in facts]

    assert len({case["attention_id"] for case in cases if case}) == 2
