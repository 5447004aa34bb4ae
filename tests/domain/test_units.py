"""Units: moved, never made and never lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import units
from domain.units import Place, Portion, Stage
from domain.vocabulary import Bucket

PLACES = st.builds(
    Place,
    stage=st.sampled_from(list(Stage)),
    fulfillment_id=st.sampled_from([None, "f1", "f2"]),
    parcel_id=st.sampled_from([None, "p1"]),
)


@st.composite
def portions(draw: st.DrawFn) -> units.Portions:
    """Portions with one per line and place, as an order has them."""
    places = draw(st.dictionaries(st.tuples(st.sampled_from("123"), PLACES), st.integers(1, 9), min_size=1, max_size=8))
    return tuple(
        Portion(
            line_id=line_id,
            stage=place.stage,
            quantity=quantity,
            fulfillment_id=place.fulfillment_id,
            parcel_id=place.parcel_id,
        )
        for (line_id, place), quantity in places.items()
    )


@given(before=portions(), target=PLACES, data=st.data())
def test_a_move_keeps_the_sum_of_every_line(before: units.Portions, target: Place, data: st.DataObject):
    source = data.draw(st.sampled_from(before))
    quantity = data.draw(st.integers(0, source.quantity))
    place = Place(stage=source.stage, fulfillment_id=source.fulfillment_id, parcel_id=source.parcel_id)

    after = units.move(before, {source.line_id: quantity}, place, target)

    assert units.by_line(after, Stage) == units.by_line(before, Stage)
    assert all(portion.quantity > 0 for portion in after)
    assert units.count(after) == units.count(before)


@given(before=portions(), target=PLACES, data=st.data())
def test_more_than_is_there_cannot_be_moved(before: units.Portions, target: Place, data: st.DataObject):
    source = data.draw(st.sampled_from(before))
    place = Place(stage=source.stage, fulfillment_id=source.fulfillment_id, parcel_id=source.parcel_id)

    with pytest.raises(ValueError, match="not at"):
        units.move(before, {source.line_id: source.quantity + 1}, place, target)


def test_a_negative_quantity_cannot_be_moved():
    before = (Portion(line_id="1", stage=Stage.OPEN, quantity=3),)

    with pytest.raises(ValueError, match="negative"):
        units.move(before, {"1": -1}, Place(stage=Stage.OPEN), Place(stage=Stage.RESERVED))


def test_moving_nothing_changes_nothing():
    before = (Portion(line_id="1", stage=Stage.OPEN, quantity=3),)

    assert units.move(before, {"1": 0}, Place(stage=Stage.RESERVED), Place(stage=Stage.OPEN)) == before


def test_what_comes_together_again_is_one_portion():
    before = (Portion(line_id="1", stage=Stage.OPEN, quantity=3),)
    open_place, reserved = Place(stage=Stage.OPEN), Place(stage=Stage.RESERVED, fulfillment_id="f1")

    there = units.move(before, {"1": 2}, open_place, reserved)

    assert units.move(there, {"1": 2}, reserved, open_place) == before


@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_shows_in_one_bucket(stage: Stage):
    assert isinstance(stage.bucket, Bucket)
    assert (stage.bucket is Bucket.AT_WAREHOUSE) == (stage in {Stage.RELEASED, Stage.PICKED})


def test_every_bucket_is_shown_by_some_stage():
    assert {stage.bucket for stage in Stage} == set(Bucket)
