"""Which location serves what: everything or nothing, from the fewest places, and every choice explained."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.inventory import StockLevel
from domain.messages import StockReserved, StockShort
from domain.sourcing import Site, decide_reservation, distance_km
from domain.steps import ReserveStock, WantedLine
from tests.domain.making import NOW

LEEDS = Site(location_id="LEEDS", latitude=53.8, longitude=-1.55)
LONDON = Site(location_id="LONDON", latitude=51.5, longitude=-0.12)
BERLIN = Site(location_id="BERLIN", latitude=52.52, longitude=13.4)
SITES = (BERLIN, LEEDS, LONDON)
MANCHESTER = (53.48, -2.24)

Stock = Mapping[tuple[str, str], int]
Lines = Sequence[tuple[str, str, int]]


def decide(
    stock: Stock,
    lines: Lines,
    *,
    sites: Sequence[Site] = SITES,
    allow_split: bool = True,
    destination: tuple[float, float] | None = MANCHESTER,
) -> StockReserved | StockShort:
    """What is decided for *lines* (id, sku, quantity) over *stock* ((location, sku) -> units)."""
    return decide_reservation(
        ReserveStock(
            key="ord_t:reserve:order:1",
            order_id="ord_t",
            contact_revision=1,
            lines=tuple(WantedLine(line_id=line_id, sku=sku, quantity=quantity) for line_id, sku, quantity in lines),
            allow_split=allow_split,
            first_fulfillment=1,
        ),
        stock=[
            StockLevel(location_id=location, sku=sku, on_hand=units, reserved=0, unavailable=0)
            for (location, sku), units in stock.items()
        ],
        sites=sites,
        destination=destination,
        now=NOW,
    )


def served(decided: StockReserved | StockShort) -> list[tuple[str, dict[str, int]]]:
    """Location and line -> units, per fulfillment."""
    assert isinstance(decided, StockReserved)
    return [(f.location_id, {a.line_id: a.quantity for a in f.allocations}) for f in decided.fulfillments]


def test_the_nearest_of_those_that_hold_everything_serves():
    stock = {(site.location_id, sku): 9 for site in SITES for sku in "AB"}

    decided = decide(stock, [("1", "A", 5), ("2", "B", 1)])

    assert served(decided) == [("LEEDS", {"1": 5, "2": 1})]


def test_fewer_fulfillments_beat_a_shorter_way():
    stock = {("LEEDS", "A"): 5, ("LONDON", "B"): 1, ("BERLIN", "A"): 5, ("BERLIN", "B"): 1}

    assert served(decide(stock, [("1", "A", 5), ("2", "B", 1)])) == [("BERLIN", {"1": 5, "2": 1})]


def test_at_the_same_distance_the_higher_priority_serves():
    sites = [Site(location_id=name, latitude=0, longitude=0, priority=n) for name, n in (("X", 1), ("Y", 7), ("Z", 3))]
    stock = {(site.location_id, "A"): 5 for site in sites}

    assert served(decide(stock, [("1", "A", 5)], sites=sites)) == [("Y", {"1": 5})]


def test_an_unknown_destination_leaves_priority_and_name():
    stock = {(site.location_id, "A"): 5 for site in SITES}

    assert served(decide(stock, [("1", "A", 5)], destination=None)) == [("BERLIN", {"1": 5})]


def test_a_line_can_be_split_over_locations_and_its_runs_follow_each_other():
    stock = {("LEEDS", "A"): 3, ("LONDON", "A"): 4}

    decided = decide(stock, [("1", "A", 6)])

    assert isinstance(decided, StockReserved)
    runs = [(a.first_unit, a.quantity) for f in decided.fulfillments for a in f.allocations]
    assert runs == [(0, 3), (3, 3)]


def test_an_order_that_may_not_be_split_falls_short_where_no_one_place_holds_it():
    stock = {("LEEDS", "A"): 3, ("LONDON", "A"): 4}

    decided = decide(stock, [("1", "A", 6)], allow_split=False)

    assert isinstance(decided, StockShort)
    assert decided.missing == (("A", 6),)


def test_one_sku_on_two_lines_is_counted_once():
    stock = {("LEEDS", "A"): 5}

    assert isinstance(decide(stock, [("1", "A", 3), ("2", "A", 3)]), StockShort)
    assert served(decide(stock, [("1", "A", 3), ("2", "A", 2)])) == [("LEEDS", {"1": 3, "2": 2})]


def test_what_is_missing_is_named_per_sku():
    decided = decide({("LEEDS", "A"): 1, ("LONDON", "A"): 1, ("LEEDS", "B"): 9}, [("1", "A", 5), ("2", "B", 1)])

    assert isinstance(decided, StockShort)
    assert decided.missing == (("A", 3),)
    assert decided.decision.chosen is None


def test_stock_at_a_place_that_is_not_in_use_does_not_count():
    assert isinstance(decide({("CLOSED", "A"): 9}, [("1", "A", 1)]), StockShort)


def test_safety_stock_is_not_promised():
    level = StockLevel(location_id="LEEDS", sku="A", on_hand=5, reserved=1, unavailable=1, safety_stock=2)

    assert level.available == 1


def test_the_decision_names_its_candidates_with_scores_and_why_others_could_not():
    stock = {("LEEDS", "A"): 5, ("LONDON", "A"): 5, ("BERLIN", "A"): 1}

    decision = decide(stock, [("1", "A", 5)]).decision

    assert decision.kind == "sourcing"
    assert decision.chosen == "LEEDS"
    scored = {candidate.choice: dict(candidate.scores) for candidate in decision.candidates if not candidate.refused}
    assert list(scored) == ["LEEDS", "LONDON"]
    assert scored["LEEDS"]["distance_km"] < scored["LONDON"]["distance_km"]
    assert {c.choice: c.refused for c in decision.candidates if c.refused} == {"BERLIN": "short of 1 skus"}


@pytest.mark.parametrize(("site", "km"), [(LEEDS, 57), (LONDON, 261), (BERLIN, 1053)])
def test_distance_is_the_great_circle(site: Site, km: int):
    assert distance_km(site, MANCHESTER) == pytest.approx(km, abs=4)


STOCK = st.dictionaries(
    st.tuples(st.sampled_from([site.location_id for site in SITES]), st.sampled_from("AB")), st.integers(-2, 6)
)
LINES = st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 5)), min_size=1, max_size=3)


@settings(deadline=None)
@given(stock=STOCK, wanted=LINES, allow_split=st.booleans())
def test_everything_is_promised_or_nothing_and_never_more_than_is_there(
    stock: Stock, wanted: list[tuple[str, int]], allow_split: bool
):
    lines = [(str(number), sku, quantity) for number, (sku, quantity) in enumerate(wanted, start=1)]

    decided = decide(stock, lines, allow_split=allow_split)

    most = len(SITES) if allow_split else 1
    smallest = _smallest(stock, lines, most)
    if isinstance(decided, StockShort):
        assert smallest is None
        return
    taken: dict[tuple[str, str], int] = {}
    for fulfillment in decided.fulfillments:
        for allocation in fulfillment.allocations:
            place = (fulfillment.location_id, allocation.sku)
            taken[place] = taken.get(place, 0) + allocation.quantity
    assert all(quantity <= stock.get(place, 0) for place, quantity in taken.items())
    for line_id, sku, quantity in lines:
        runs = [a for f in decided.fulfillments for a in f.allocations if a.line_id == line_id]
        assert sum(run.quantity for run in runs) == quantity
        assert all(run.sku == sku for run in runs)
        places = [unit for run in runs for unit in range(run.first_unit, run.first_unit + run.quantity)]
        assert places == list(range(quantity))
    assert len(decided.fulfillments) == smallest


def _smallest(stock: Stock, lines: Lines, most: int) -> int | None:
    """The least number of locations that hold everything, found by trying them all."""
    wanted: dict[str, int] = {}
    for _, sku, quantity in lines:
        wanted[sku] = wanted.get(sku, 0) + quantity
    for size in range(1, most + 1):
        for chosen in combinations(SITES, size):
            there = {sku: sum(max(0, stock.get((site.location_id, sku), 0)) for site in chosen) for sku in wanted}
            if all(there[sku] >= quantity for sku, quantity in wanted.items()):
                return size
    return None
