"""Integer money: whatever is split sums to the whole, and runs of a line add up to the line."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import overlap, run_value, split

MONEY = st.integers(-(10**12), 10**12)
WEIGHTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=30).filter(any)
RANGE = st.tuples(st.integers(0, 1000), st.integers(0, 1000)).map(lambda ends: (min(ends), max(ends)))


@given(total=MONEY, weights=WEIGHTS)
def test_shares_sum_to_the_total_whatever_its_sign(total: int, weights: list[int]):
    assert sum(split(total, weights)) == total


@given(total=MONEY, weights=WEIGHTS)
def test_a_share_is_within_one_minor_unit_of_its_exact_part(total: int, weights: list[int]):
    shares = split(total, weights)

    whole = sum(weights)
    assert all(abs(share * whole - total * weight) < whole for share, weight in zip(shares, weights, strict=True))


@given(total=MONEY, weights=WEIGHTS)
def test_giving_back_is_the_mirror_of_taking(total: int, weights: list[int]):
    assert split(-total, weights) == [-share for share in split(total, weights)]


@given(total=MONEY, weights=WEIGHTS)
def test_no_share_has_the_other_sign(total: int, weights: list[int]):
    assert all(share * total >= 0 for share in split(total, weights))


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (-100, [1, 1, 1], [-34, -33, -33]),
        (1, [0, 5, 5], [0, 1, 0]),
        (0, [3, 4], [0, 0]),
        (10, [7], [10]),
        (5, [0, 0, 2], [0, 0, 5]),
        (1000, [333, 333, 334], [333, 333, 334]),
    ],
)
def test_the_remainder_goes_to_the_largest_fraction_and_ties_to_the_earlier(total, weights, shares):
    assert split(total, weights) == shares


@pytest.mark.parametrize("weights", [[], [0, 0], [3, -1]])
def test_weights_that_mean_nothing_are_refused(weights):
    with pytest.raises(ValueError, match="weight"):
        split(10, weights)


@given(total=MONEY, quantity=st.integers(1, 60))
def test_a_run_is_worth_what_its_places_of_a_split_are(total: int, quantity: int):
    places = split(total, [1] * quantity)

    runs = [(first, count) for first in range(quantity + 1) for count in range(quantity - first + 1)]
    assert all(run_value(total, quantity, first=first, count=n) == sum(places[first : first + n]) for first, n in runs)


@given(total=MONEY, quantity=st.integers(1, 10**6), data=st.data())
def test_consecutive_runs_add_up_to_the_line(total: int, quantity: int, data: st.DataObject):
    cuts = data.draw(st.lists(st.integers(0, quantity), max_size=10))
    edges = sorted({0, quantity, *cuts})

    runs = [run_value(total, quantity, first=start, count=end - start) for start, end in pairwise(edges)]
    assert sum(runs) == total


@pytest.mark.parametrize(("first", "count"), [(-1, 1), (0, -1), (0, 4), (3, 1), (2, 2)])
def test_a_run_outside_its_line_is_refused(first, count):
    with pytest.raises(ValueError, match="outside"):
        run_value(10, 3, first=first, count=count)


@given(left=RANGE, right=RANGE)
def test_an_overlap_is_what_both_ranges_hold(left: tuple[int, int], right: tuple[int, int]):
    assert overlap(left, right) == len(set(range(*left)) & set(range(*right)))


@given(whole=RANGE, cuts=st.lists(st.integers(0, 1000), max_size=6), other=RANGE)
def test_parts_of_a_range_overlap_as_much_as_the_whole(whole: tuple[int, int], cuts: list[int], other: tuple[int, int]):
    edges = sorted({*whole, *(cut for cut in cuts if whole[0] <= cut <= whole[1])})

    assert sum(overlap(part, other) for part in pairwise(edges)) == overlap(whole, other)
