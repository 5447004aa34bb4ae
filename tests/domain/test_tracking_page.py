"""What a customer sees of an order by its link: the way it went and will go, and nothing that is not theirs to see."""

from datetime import datetime, timedelta

import pytest

from domain.messages import PaymentDeclined
from domain.orders import Order
from domain.steps import AuthorizePayment, ReserveStock
from domain.tracking_page import OPEN_FOR, REACHED_BY, SHOWN, impersonal, is_open, may_rate, shown_state, steps
from domain.vocabulary import EventKind, OrderState, TrackingStatus
from tests.domain import making
from tests.domain.making import NOW, Carrier
from tests.domain.story import Story, handed_over, released

WAY = ["received", "confirmed", "fulfilling", "shipped", "delivered"]


def seen(order: Order, *kinds: EventKind) -> list[tuple[str, str, bool]]:
    """(step, state, whether its time is known), when *kinds* were told."""
    reached: dict[str, datetime] = {kind.value: NOW for kind in (EventKind.ORDER_RECEIVED, *kinds)}
    return [(step.step.value, step.state.value, step.at is not None) for step in steps(order, reached)]


def test_the_steps_lie_behind_are_now_or_come():
    assert seen(making.make_order()) == [
        ("received", "current", True),
        *((step, "ahead", False) for step in WAY[1:]),
    ]
    assert [state for _, state, _ in seen(released().order)] == ["done", "done", "current", "ahead", "ahead"]
    assert [state for _, state, _ in seen(handed_over().order)] == ["done"] * 3 + ["current", "ahead"]


def test_everything_is_delivered_for_the_customer_before_the_money_is_settled():
    story = handed_over()
    story.send(Carrier().says(TrackingStatus.DELIVERED))

    assert shown_state(story.order) is OrderState.DELIVERED
    assert seen(story.order)[-1] == ("delivered", "done", True)
    assert {state for _, state, _ in seen(story.order)} == {"done"}


def test_an_order_that_was_refused_ends_there():
    story = Story(making.make_order())
    story.send(making.done(story.order, story.step(ReserveStock)))
    step = story.step(AuthorizePayment)
    story.send(PaymentDeclined(step_key=step.key, authorization_id=step.authorization_id, code="card_declined"))

    assert seen(story.order, EventKind.ORDER_REJECTED) == [("received", "done", True), ("rejected", "done", True)]


def test_a_delivery_can_be_rated_once_something_arrived():
    story = handed_over()
    before = may_rate(story.order)
    story.send(Carrier().says(TrackingStatus.DELIVERED))

    assert (before, may_rate(story.order)) == (False, True)


def test_a_page_is_open_until_some_time_after_the_end():
    assert is_open(None, NOW)
    assert is_open(NOW - OPEN_FOR + timedelta(seconds=1), NOW)
    assert not is_open(NOW - OPEN_FOR, NOW)


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("Leeds hub", "Leeds hub"),
        ("17 CANARY WHARF LANE", None),
        ("left with Nightingale", None),
        ("王小明门口", None),
        ("LS1 4DY", None),
        ("Gate 1", "Gate 1"),
        ("", None),
        (None, None),
    ],
)
def test_a_place_that_names_the_customer_is_not_shown(place: str | None, shown: str | None):
    assert impersonal(place, ["Nightingale", "17 Canary Wharf Lane", "ls1 4dy", "1", "王小明", None, ""]) == shown


def test_what_is_ours_is_not_among_the_events_that_are_shown():
    ours = {kind for kind in EventKind if kind.value.split(".")[0] in {"attention", "hold", "request", "notice"}}

    assert not SHOWN & (ours | {EventKind.ORDER_NOTE_ADDED})
    assert set(REACHED_BY) == set(OrderState)
