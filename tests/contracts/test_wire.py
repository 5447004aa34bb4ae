"""What travels stays readable: fields are added with defaults, and never renamed, retyped, removed or defaulted anew."""

import json
from dataclasses import dataclass, fields
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload

from contracts import names
from domain.messages import CarrierFact
from domain.vocabulary import TrackingStatus
from tests.contracts.record import CONVERTER, GOLDEN, golden, on_the_wire, shapes
from tests.contracts.samples import AT, WIRE, full, least
from tests.contracts.shape import breaks, shape, words

KINDS = pytest.mark.parametrize("kind", WIRE, ids=lambda kind: kind.__name__)


def stored(name: str) -> Any:
    """What the golden file of that name holds."""
    return json.loads((GOLDEN / f"{name}.json").read_text())


def read(data: Any, kind: type) -> Any:
    """The value of that *kind* that *data* stands for."""
    payload = Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(data).encode())
    return CONVERTER.from_payload(payload, kind)


@KINDS
def test_what_was_written_before_is_read_as_it_was_meant(kind: type):
    old = stored(kind.__name__)

    assert read(old["full"], kind) == full(kind)
    assert read(old["least"], kind) == least(kind)


@KINDS
def test_what_is_written_now_is_what_was_written_before(kind: type):
    assert golden(kind) == stored(kind.__name__), "run `python -m tests.contracts.record` and look at the difference"


@KINDS
def test_nothing_that_equals_its_default_travels(kind: type):
    data = on_the_wire(least(kind))

    defaulted = {field.name for field in fields(kind)} - {name for name, told in shape(kind).items() if len(told) == 1}
    assert set(data) & defaulted == set()


def test_no_field_on_the_wire_was_renamed_retyped_removed_or_given_another_default():
    old, new = stored("shapes"), shapes()

    assert set(old) - set(new) == set(), "a dataclass on the wire is gone"
    assert {name: found for name in old if (found := breaks(old[name], new[name]))} == {}


def test_every_dataclass_on_the_wire_has_its_golden_file():
    assert {path.stem for path in GOLDEN.glob("*.json")} == {*(kind.__name__ for kind in WIRE), "shapes"}
    assert set(shapes()) == set(stored("shapes")), "run `python -m tests.contracts.record`"


@dataclass(frozen=True)
class Before:
    """A message as it was."""

    id: str
    count: int
    note: str | None = None
    kind: str = "a"


@dataclass(frozen=True)
class Renamed:
    """A field bears another name."""

    id: str
    number: int
    note: str | None = None
    kind: str = "a"


@dataclass(frozen=True)
class Retyped:
    """A field is of another type."""

    id: str
    count: float
    note: str | None = None
    kind: str = "a"


@dataclass(frozen=True)
class Removed:
    """A field is gone."""

    id: str
    count: int
    kind: str = "a"


@dataclass(frozen=True)
class DefaultedAnew:
    """A default is another."""

    id: str
    count: int
    note: str | None = None
    kind: str = "b"


@dataclass(frozen=True)
class DefaultGone:
    """A default is gone."""

    id: str
    count: int
    note: str | None
    kind: str = "a"


@dataclass(frozen=True)
class Demanding:
    """A new field has no default."""

    id: str
    count: int
    more: str
    note: str | None = None
    kind: str = "a"


@dataclass(frozen=True)
class Extended:
    """A new field has a default."""

    id: str
    count: int
    note: str | None = None
    kind: str = "a"
    more: str = ""


@pytest.mark.parametrize("after", [Renamed, Retyped, Removed, DefaultedAnew, DefaultGone, Demanding])
def test_a_change_that_yesterday_cannot_be_read_with_is_found(after: type):
    assert breaks(shape(Before), shape(after))


def test_a_new_field_with_a_default_is_welcome():
    assert breaks(shape(Before), shape(Extended)) == []


def test_a_word_that_is_gone_is_found():
    known = words(TrackingStatus)

    assert breaks(known | {"teleported": {"type": "word", "default": ""}}, known)
    assert breaks(known, known | {"teleported": {"type": "word", "default": ""}}) == []


def test_a_fact_as_the_outbox_stores_it_is_read_like_one_that_travelled():
    """The relay signals with the JSON that the inbox keeps, nulls and all."""
    data = {
        "id": "carrier:swift/1",
        "carrier": "swift",
        "tracking_number": "TN1",
        "status": "delivered",
        "occurred_at": "2026-01-05T09:30:15.250000Z",
        "party": None,
        "reason": None,
        "collected_minor": 1200,
    }

    fact = read(data, CarrierFact)

    assert (fact.occurred_at, fact.collected_minor, fact.has_proof) == (AT, 1200, False)


def test_ids_sort_by_time_and_are_built_in_one_place_only():
    early, late = (names.new_tail(AT.replace(hour=hour), b"\xff" * 7) for hour in (1, 2))

    assert early < late
    assert len(early) == 20
    assert names.order_workflow_id(names.order_id(early)) == f"order-ord_{early}"
    with pytest.raises(ValueError, match="7 bytes"):
        names.new_tail(AT, b"short")
