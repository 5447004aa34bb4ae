"""The transition tables are true: stories show every transition in them that can happen yet, and no other."""

import runpy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from domain import lifecycle
from domain.change import Event
from domain.commands import CancelOrder, PlaceHold, ReleaseHold
from domain.lifecycle import Table
from domain.orders import Order, fulfillment_state, parcel_state
from domain.payments import payment_state
from domain.vocabulary import (
    ActorKind,
    EventKind,
    FulfillmentState,
    HoldDecision,
    HoldReason,
    OrderState,
    ParcelState,
    PaymentState,
    TrackingStatus,
    WarehouseFactKind,
)
from tests.domain import chance, making
from tests.domain.making import PREPAID, Carrier, Warehouse
from tests.domain.story import Story, released

ROOT = Path(__file__).parents[2]
STATES: dict[str, type[StrEnum]] = {
    "Order": OrderState,
    "Fulfillment": FulfillmentState,
    "Parcel": ParcelState,
    "Payment": PaymentState,
}
Seen = dict[str, set[tuple[StrEnum | None, StrEnum]]]
ALL = {"1": 6, "2": 2}


class Observer:
    """Notes which state followed which, message by message."""

    def __init__(self) -> None:
        self.seen: Seen = {name: set() for name in STATES}

    def begin(self, order: Order) -> Order:
        """The states that *order* begins in."""
        for name, states in _states(order).items():
            self.seen[name] |= {(None, state) for state in states.values()}
        self.seen["Order"].add((None, order.announced))
        return order

    def watch(self, before: Order, after: Order, events: Sequence[Event]) -> None:
        """What *before* became."""
        old = _states(before)
        for name, states in _states(after).items():
            for key, state in states.items():
                if old[name].get(key) is not state:
                    self.seen[name].add((old[name].get(key), state))
        told = [OrderState(e.kind.value.removeprefix("order.")) for e in events if e.kind.value.startswith("order.")]
        passed = [before.announced, *told]
        if passed[-1] is not after.announced:
            passed.append(after.announced)
        self.seen["Order"] |= set(pairwise(passed))


def _states(order: Order) -> dict[str, dict[str, StrEnum]]:
    return {
        "Fulfillment": {f.fulfillment_id: fulfillment_state(order, f) for f in order.fulfillments},
        "Parcel": {parcel.parcel_id: parcel_state(order, parcel) for parcel in order.parcels},
        "Payment": {p.payment_id: payment_state(order, p) for p in order.payments},
    }


def rare_stories(observer: Observer) -> Iterator[Callable[[], object]]:
    """What chance hardly ever finds."""

    def with_parcels() -> tuple[Story, Warehouse]:
        story = released(observer.begin(making.make_order(payments=[(PREPAID, 2224)])), watch=observer.watch)
        return story, Warehouse()

    def packed(parcels: dict[str, dict[str, int]], picked: dict[str, int]) -> tuple[Story, Warehouse]:
        story, warehouse = with_parcels()
        story.send(warehouse.picks(picked), warehouse.packs(parcels, own_label=True))
        return story, warehouse

    def jump(picked: dict[str, int], parcels: dict[str, dict[str, int]], status: TrackingStatus | None) -> None:
        """*parcels* as far as *status*, the rest of the order left behind and then refused."""
        story, warehouse = packed(parcels, picked)
        for ref in parcels:
            if status is not None and ref == "A":
                story.send(Carrier(f"OWN-{ref}").says(status))
        story.send(warehouse.refuses())

    for status in (None, TrackingStatus.IN_TRANSIT, TrackingStatus.DELIVERED, TrackingStatus.LOST):
        yield partial(jump, {"1": 6}, {"A": {"1": 6}}, status)
        yield partial(jump, ALL, {"A": {"1": 6}}, status)
        yield partial(jump, ALL, {"A": {"1": 6}, "B": {"2": 2}}, status)

    def carried(*statuses: TrackingStatus) -> None:
        story, warehouse = packed({"A": ALL}, ALL)
        carrier = Carrier()
        story.send(warehouse.hands_over("A"), *(carrier.says(status) for status in statuses))

    yield partial(carried, TrackingStatus.LOST, TrackingStatus.IN_TRANSIT)
    yield partial(carried, TrackingStatus.LOST, TrackingStatus.RETURNED)
    yield partial(carried, TrackingStatus.LOST, TrackingStatus.DELIVERED)

    def found_again() -> None:
        story, warehouse = packed({"A": {"1": 6}, "B": {"2": 2}}, ALL)
        lost = Carrier("OWN-A")
        story.send(warehouse.hands_over("A", "B"), lost.says(TrackingStatus.LOST))
        story.send(Carrier("OWN-B").says(TrackingStatus.DELIVERED), lost.says(TrackingStatus.IN_TRANSIT))

    yield found_again

    def missing_then_refused(*picked: dict[str, int]) -> None:
        story, warehouse = with_parcels()
        story.send(*(warehouse.picks(lines) for lines in picked))
        story.send(warehouse.misses(ALL), warehouse.refuses())

    def more_refused_than_is_there() -> None:
        story, warehouse = packed({"A": ALL}, ALL)
        story.send(warehouse.refuses(lines={"1": 9, "2": 9}))

    yield more_refused_than_is_there
    yield missing_then_refused
    yield partial(missing_then_refused, {"1": 1})
    yield partial(missing_then_refused, ALL)

    def refused(*, accepted: bool) -> None:
        story, warehouse = with_parcels()
        story.send(*([warehouse.accepts()] if accepted else []), warehouse.refuses())

    yield partial(refused, accepted=False)
    yield partial(refused, accepted=True)

    def gone_before_its_label() -> None:
        story, warehouse = with_parcels()
        story.send(warehouse.picks(ALL), warehouse.packs(), warehouse.hands_over("A"))

    yield gone_before_its_label

    def refused_before_its_label() -> None:
        story, warehouse = with_parcels()
        story.send(warehouse.picks(ALL), warehouse.packs(), warehouse.refuses())

    yield refused_before_its_label
    yield from _changes_of_mind(observer)


def _changes_of_mind(observer: Observer) -> Iterator[Callable[[], object]]:
    """What people bring about."""
    by: dict[str, Any] = {"actor": ActorKind.SUPPORT, "actor_id": "ada"}

    def begun(**more: Any) -> Story:
        return Story(observer.begin(making.make_order(payments=[(PREPAID, 2224)], **more)), watch=observer.watch)

    def held() -> Story:
        story = begun()
        return story.send(PlaceHold(id="h", reason=HoldReason.OTHER, **by)).finish_steps()

    yield lambda: begun().send(CancelOrder(id="c", **by))
    yield lambda: held().send(CancelOrder(id="c", **by))

    def rejected() -> None:
        story = held()
        hold_id = story.order.holds[0].hold_id
        story.send(ReleaseHold(id="r", hold_id=hold_id, decision=HoldDecision.REJECT, **by))

    yield rejected

    def given_back_after_packing() -> None:
        story = released(observer.begin(making.make_order(payments=[(PREPAID, 2224)])), watch=observer.watch)
        warehouse = Warehouse()
        story.send(warehouse.picks(ALL), warehouse.packs({"A": ALL}, own_label=True), CancelOrder(id="c", **by))
        yes = warehouse.answers(WarehouseFactKind.REQUEST_ACCEPTED)
        story.send(replace(yes, request_id=story.order.requests[0].request_id))

    yield given_back_after_packing

    def looked_for_elsewhere() -> None:
        order = making.make_order(payments=[(PREPAID, 2224)], order_id="ord_t")
        story = released(observer.begin(replace(order, rules=2)), watch=observer.watch)
        story.send(Warehouse().refuses()).finish_steps()

    yield looked_for_elsewhere


@cache
def observed() -> Seen:
    """What followed what in the rare stories and in three hundred random ones, the same ones every time."""
    observer = Observer()
    for tell in rare_stories(observer):
        tell()
    for seed in range(300):
        chance.live(Random(seed), watch=observer.watch, begin=observer.begin, check=False)
    return observer.seen


def _reaches(table: Table, source: StrEnum | None, target: StrEnum) -> bool:
    """Whether steps of *table* that can happen lead from *source* to *target*: one message may take several."""
    todo, done = [source], set()
    while todo:
        state = todo.pop()
        for following, why in table[state].items():
            if following is target and not why.later:
                return True
            if following not in done and not why.later:
                done.add(following)
                todo.append(following)
    return False


@pytest.mark.parametrize("name", STATES)
def test_no_transition_is_seen_that_the_table_does_not_allow(name: str):
    table = lifecycle.TABLES[name]

    assert {pair for pair in observed()[name] if not _reaches(table, *pair)} == set()


@pytest.mark.parametrize("name", STATES)
def test_every_transition_of_the_table_is_seen_unless_it_is_for_later(name: str):
    table = lifecycle.TABLES[name]
    promised = {(s, target) for s, targets in table.items() for target, why in targets.items() if not why.later}

    assert promised - observed()[name] == set()


@pytest.mark.parametrize("name", STATES)
def test_every_state_stands_in_its_table(name: str):
    assert set(lifecycle.TABLES[name]) - {None} == set(STATES[name])


def test_every_state_of_an_order_that_is_announced_has_its_event():
    told = {kind.value for kind in EventKind}

    assert {f"order.{state.value}" for state in OrderState} <= told


def test_the_lifecycle_page_is_what_the_tables_draw():
    generated = runpy.run_path(str(ROOT / "docs" / "generate_lifecycle.py"))

    assert (ROOT / "docs" / "lifecycle.md").read_text() == generated["render"](), (
        "run `python docs/generate_lifecycle.py`"
    )
