"""The warehouse's and the carrier's facts of one order come in any order, repeated and late: the end is the same."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.messages import Fact
from domain.orders import Order
from domain.vocabulary import ShortReason, TrackingStatus
from tests.domain import making
from tests.domain.making import CARD, CASH, NOW, PREPAID, Carrier, Warehouse
from tests.domain.reachable import End, end, ends
from tests.domain.story import Story, released

ALL = {"1": 6, "2": 2}
Facts = Callable[[], tuple[Order, Sequence[Fact]]]


def tracked(carrier: Carrier, *statuses: TrackingStatus) -> list[Fact]:
    """The carrier's story of one parcel, an hour apart."""
    return [carrier.says(status) for status in statuses]


def bought_label() -> tuple[Order, list[Fact]]:
    """The eight facts of an order whose label we buy; the carrier's may come before we know the number."""
    warehouse = Warehouse()
    return released().order, [
        warehouse.accepts(),
        warehouse.picks(ALL),
        warehouse.packs(),
        warehouse.hands_over("A"),
        *tracked(
            Carrier("TN-par_t_1", "swift"),
            TrackingStatus.PICKED_UP,
            TrackingStatus.IN_TRANSIT,
            TrackingStatus.OUT_FOR_DELIVERY,
            TrackingStatus.DELIVERED,
        ),
    ]


def own_label() -> tuple[Order, list[Fact]]:
    """A parcel that comes with its label."""
    warehouse = Warehouse()
    return released().order, [
        warehouse.accepts(),
        warehouse.picks(ALL),
        warehouse.packs({"A": ALL}, own_label=True),
        warehouse.hands_over("A"),
        *tracked(Carrier(), TrackingStatus.IN_TRANSIT, TrackingStatus.DELIVERED),
    ]


def two_parcels() -> tuple[Order, list[Fact]]:
    """Two parcels of one fulfillment, handed over and delivered apart."""
    warehouse = Warehouse()
    return released().order, [
        warehouse.picks(ALL),
        warehouse.packs({"A": {"1": 6}, "B": {"2": 2}}, own_label=True),
        warehouse.hands_over("A"),
        warehouse.hands_over("B"),
        *tracked(Carrier("OWN-A"), TrackingStatus.IN_TRANSIT, TrackingStatus.DELIVERED),
        *tracked(Carrier("OWN-B"), TrackingStatus.DELIVERED),
    ]


def packed_one_by_one() -> tuple[Order, list[Fact]]:
    """Two parcels that are picked and packed apart."""
    warehouse = Warehouse()
    return released().order, [
        warehouse.picks({"1": 6}),
        warehouse.picks({"2": 2}),
        warehouse.packs({"A": {"1": 6}}, own_label=True),
        warehouse.packs({"B": {"2": 2}}, own_label=True),
        warehouse.hands_over("A", "B"),
        *tracked(Carrier("OWN-A"), TrackingStatus.DELIVERED),
        *tracked(Carrier("OWN-B"), TrackingStatus.DELIVERED),
    ]


def short_pick() -> tuple[Order, list[Fact]]:
    """Two units are missing, the rest goes."""
    warehouse = Warehouse()
    return released().order, [
        warehouse.accepts(),
        warehouse.picks({"1": 4, "2": 2}),
        warehouse.misses({"1": 2}, ShortReason.NOT_IN_STOCK),
        warehouse.packs(),
        warehouse.hands_over("A"),
        *tracked(Carrier("TN-par_t_1", "swift"), TrackingStatus.PICKED_UP, TrackingStatus.DELIVERED),
    ]


def scanned_only() -> tuple[Order, list[Fact]]:
    """The warehouse never says that it handed over; the carrier's scan does."""
    warehouse = Warehouse()
    return released().order, [
        warehouse.accepts(),
        warehouse.picks(ALL),
        warehouse.packs({"A": ALL}, own_label=True),
        *tracked(Carrier(), TrackingStatus.PICKED_UP, TrackingStatus.IN_TRANSIT, TrackingStatus.DELIVERED),
    ]


def late_in_transit() -> tuple[Order, list[Fact]]:
    """In transit is told with a clock of after the delivery."""
    warehouse, carrier = Warehouse(), Carrier()
    return released().order, [
        warehouse.picks(ALL),
        warehouse.packs({"A": ALL}, own_label=True),
        warehouse.hands_over("A"),
        carrier.says(TrackingStatus.DELIVERED, at=NOW + timedelta(days=1)),
        carrier.says(TrackingStatus.IN_TRANSIT, at=NOW + timedelta(days=2)),
        carrier.says(TrackingStatus.OUT_FOR_DELIVERY, at=NOW + timedelta(days=1)),
    ]


def trouble_on_the_way() -> tuple[Order, list[Fact]]:
    """Failed once, lost, and delivered after all."""
    warehouse = Warehouse()
    return released().order, [
        warehouse.picks(ALL),
        warehouse.packs({"A": ALL}, own_label=True),
        *tracked(
            Carrier(),
            TrackingStatus.IN_TRANSIT,
            TrackingStatus.DELIVERY_FAILED,
            TrackingStatus.LOST,
            TrackingStatus.DELIVERED,
        ),
    ]


def cash_in_two_parcels() -> tuple[Order, list[Fact]]:
    """Paid at the door, in two parcels."""
    order = making.make_order(payments=[(CASH, 2224)])
    warehouse = Warehouse()
    return released(order).order, [
        warehouse.picks(ALL),
        warehouse.packs({"A": {"1": 6}, "B": {"2": 2}}, own_label=True),
        warehouse.hands_over("A", "B"),
        Carrier("OWN-A").says(TrackingStatus.DELIVERED, collected_minor=1530 + 495),
        Carrier("OWN-B").says(TrackingStatus.DELIVERED, collected_minor=199),
    ]


def two_fulfillments() -> tuple[Order, list[Fact]]:
    """Two warehouses at once, one of them with a short pick, paid by card and in advance."""
    order = making.make_order(payments=[(PREPAID, 700), (CARD, 1524)])
    leeds, derby = Warehouse(), Warehouse("ful_t_2")
    return released(order, parts=[("LEEDS", {"1": 6}), ("DERBY", {"2": 2})]).order, [
        leeds.picks({"1": 6}),
        leeds.packs({"A": {"1": 6}}, own_label=True),
        Carrier("OWN-A").says(TrackingStatus.DELIVERED),
        derby.picks({"2": 1}),
        derby.misses({"2": 1}),
        derby.packs({"B": {"2": 1}}, own_label=True),
        Carrier("OWN-B").says(TrackingStatus.DELIVERED),
    ]


@pytest.mark.parametrize(
    "facts",
    [
        bought_label,
        own_label,
        two_parcels,
        packed_one_by_one,
        short_pick,
        scanned_only,
        late_in_transit,
        trouble_on_the_way,
        cash_in_two_parcels,
        two_fulfillments,
    ],
    ids=lambda facts: facts.__name__,
)
def test_every_order_of_the_facts_comes_to_the_same_end(facts: Facts):
    order, told = facts()

    (only,) = ends(order, told)

    assert only == in_their_own_order(order, told)
    assert only.state == "delivered"
    assert only.cases == ()
    assert only.parked == 0


def in_their_own_order(order: Order, facts: Sequence[Fact]) -> End:
    """The end when each fact comes once, in the order it happened, and every step is answered at once."""
    story = Story(order)
    for fact in facts:
        story.send(fact).finish_steps()
    return end(story.order)


def sent_back() -> tuple[Order, list[Fact]]:
    """Turned round on the way and back at the house."""
    warehouse = Warehouse()
    return released().order, [
        warehouse.picks(ALL),
        warehouse.packs({"A": ALL}, own_label=True),
        *tracked(
            Carrier(),
            TrackingStatus.IN_TRANSIT,
            TrackingStatus.RETURN_TO_SENDER,
            TrackingStatus.RETURNED,
        ),
    ]


def lost() -> tuple[Order, list[Fact]]:
    """Lost, and never heard of again."""
    warehouse = Warehouse()
    return released().order, [
        warehouse.picks(ALL),
        warehouse.packs({"A": ALL}, own_label=True),
        warehouse.hands_over("A"),
        *tracked(Carrier(), TrackingStatus.IN_TRANSIT, TrackingStatus.LOST),
    ]


@pytest.mark.parametrize(("facts", "case"), [(sent_back, "delivery_failed"), (lost, "parcel_lost")])
def test_a_parcel_that_never_arrives_is_the_same_open_case_in_every_order_of_the_facts(facts: Facts, case: str):
    order, told = facts()

    (only,) = ends(order, told)

    assert only == in_their_own_order(order, told)
    assert only.cases == (case,)
    assert only.state == "shipped"


def test_the_same_fact_under_another_id_opens_a_case_and_makes_no_units():
    order, told = own_label()
    twice = [*told, replace(told[1], id="warehouse:again/1")]

    found = ends(order, twice)

    assert {only.state for only in found} == {"delivered"}
    assert {only.units for only in found} == {(("1", "delivered", 6), ("2", "delivered", 2))}
