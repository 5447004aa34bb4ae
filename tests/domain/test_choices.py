"""Small rules with a table each: the carrier, the priority, what a stock movement does."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from domain.inventory import DELTAS, SHORT_EFFECTS, Delta
from domain.orders import Line
from domain.priority import priority
from domain.shipping import CarrierOffer, choose_carrier
from domain.vocabulary import MovementKind, ServiceLevel, ShortReason
from tests.domain import making
from tests.domain.making import NOW

PROMISE = NOW + timedelta(days=3)


def offer(carrier: str, price: int, days: int, service: str = "standard") -> CarrierOffer:
    """An offer that arrives *days* after today."""
    return CarrierOffer(
        carrier=carrier,
        service=service,
        price_minor=price,
        currency="GBP",
        estimated_on=(NOW + timedelta(days=days)).date(),
    )


@pytest.mark.parametrize(
    ("offers", "chosen"),
    [
        ([offer("swift", 900, 1), offer("parcelway", 500, 3)], "parcelway/standard"),
        ([offer("swift", 900, 1), offer("parcelway", 500, 4)], "swift/standard"),
        ([offer("swift", 900, 5), offer("parcelway", 500, 6)], "swift/standard"),
        ([offer("swift", 500, 2), offer("parcelway", 500, 1)], "parcelway/standard"),
        ([offer("swift", 500, 2), offer("parcelway", 500, 2)], "parcelway/standard"),
        ([offer("swift", 900, 1, "express"), offer("swift", 500, 2)], "swift/standard"),
        ([], None),
    ],
    ids=[
        "cheapest that keeps the promise",
        "a late one does not count",
        "the first when all are late",
        "the earlier at the same price",
        "the name at the same price and day",
        "services of one carrier",
        "nobody offers",
    ],
)
def test_the_carrier_is_the_cheapest_that_keeps_the_promise(offers: list[CarrierOffer], chosen: str | None):
    assert choose_carrier(offers, parcel_id="par_1", promise=PROMISE, now=NOW).chosen == chosen


def test_the_choice_of_a_carrier_is_explained():
    decision = choose_carrier(
        [offer("swift", 900, 1), offer("parcelway", 500, 5)], parcel_id="par_1", promise=PROMISE, now=NOW
    )

    assert decision.subject == "par_1"
    assert {c.choice: c.refused for c in decision.candidates} == {
        "swift/standard": None,
        "parcelway/standard": "arrives after the promise",
    }
    late = dict(decision.candidates[1].scores)
    assert late == {"price_minor": 500.0, "days_late": 2.0}


def test_an_offer_on_the_day_of_the_promise_keeps_it():
    kept = choose_carrier([offer("swift", 1, 3)], parcel_id="par_1", promise=PROMISE, now=NOW)

    assert kept.candidates[0].refused is None
    assert PROMISE.date() == date(2026, 1, 8)


@pytest.mark.parametrize(
    ("left", "score"),
    [
        (timedelta(hours=-1), 4),
        (timedelta(0), 4),
        (timedelta(hours=2), 3),
        (timedelta(hours=2, seconds=1), 2),
        (timedelta(hours=8), 2),
        (timedelta(hours=24), 1),
        (timedelta(hours=24, seconds=1), 0),
    ],
)
def test_urgency_grows_as_the_time_to_ship_runs_out(left: timedelta, score: int):
    order = making.make_order(ship_by=NOW + left)

    assert dict(priority(order, NOW).terms)["time_left"] == score


@pytest.mark.parametrize(
    ("fast", "score"), [((False, False), 0), ((True, False), 2), ((False, True), 1), ((True, True), 2)]
)
def test_fast_moving_goods_count_by_their_share(fast: tuple[bool, bool], score: int):
    lines = tuple(
        Line(line_id=str(n), sku="A", quantity=q, unit_price_minor=1, total_minor=q, fast_moving=is_fast)
        for n, (q, is_fast) in enumerate(zip((5, 1), fast, strict=True))
    )

    assert dict(priority(making.make_order(), NOW).terms)["fast_moving"] == 0
    assert dict(priority(replace(making.make_order(), lines=lines), NOW).terms)["fast_moving"] == score


def test_priority_is_the_sum_of_its_terms_and_nine_at_most():
    late_express = making.make_order(service_level=ServiceLevel.EXPRESS, ship_by=NOW)

    found = priority(late_express, NOW)

    assert found.value == sum(score for _, score in found.terms) == 7
    assert found.value <= 9


EXPECTED = {
    MovementKind.RECEIVED: (1, 0, 0),
    MovementKind.RESERVED: (0, 1, 0),
    MovementKind.UNRESERVED: (0, -1, 0),
    MovementKind.SHIPPED: (-1, -1, 0),
    MovementKind.ADJUSTED: (1, 0, 0),
    MovementKind.COUNTED: (1, 0, 0),
    MovementKind.RESTOCKED: (1, 0, 0),
    MovementKind.QUARANTINED: (0, 0, 1),
    MovementKind.SCRAPPED: (-1, 0, -1),
}


@pytest.mark.parametrize("kind", list(MovementKind))
def test_each_movement_does_to_a_stock_row_what_the_ledger_says(kind: MovementKind):
    on_hand, reserved, unavailable = EXPECTED[kind]

    assert DELTAS[kind] == Delta(on_hand=on_hand, reserved=reserved, unavailable=unavailable)


@pytest.mark.parametrize("reason", list(ShortReason))
def test_whatever_was_short_its_promise_is_released_and_availability_never_grows_by_more(reason: ShortReason):
    change = {"on_hand": 0, "reserved": 0, "unavailable": 0}
    for kind, sign in SHORT_EFFECTS[reason]:
        for figure in change:
            change[figure] += sign * getattr(DELTAS[kind], figure)

    assert change["reserved"] == -1
    available = change["on_hand"] - change["reserved"] - change["unavailable"]
    nothing_wrong = reason in {ShortReason.CAPACITY, ShortReason.OTHER}
    assert available == (1 if nothing_wrong else 0)
