"""One order and all that stands outside it, as a machine: steps end, facts come, the clock goes on, in any order."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from domain import names, units
from domain.commands import Command
from domain.messages import CarrierFact, DueReached, LineQuantity, Message, StepFailed, StockServed, WarehouseFact
from domain.obeying import refusal
from domain.orders import Order, Parcel, closed
from domain.steps import Step, next_steps
from domain.units import Stage
from domain.vocabulary import PaymentMethod, RequestState, TrackingStatus, WarehouseFactKind
from domain.waits import next_due
from tests.domain import making
from tests.domain.chance import Teller
from tests.domain.making import CARD, CASH, PREPAID, Warehouse
from tests.domain.outside import WAYS, Money, Outside
from tests.domain.story import Story

T = TypeVar("T")

PLACE = st.integers(0, 11)
WAY = st.integers(0, WAYS - 1)
PAID_BY: Sequence[tuple[PaymentMethod, ...]] = (
    (CARD,),
    (PREPAID,),
    (CASH,),
    (CARD, CARD),
    (PREPAID, CARD),
    (CARD, CASH),
)
SCANS = (
    TrackingStatus.IN_TRANSIT,
    TrackingStatus.DELIVERED,
    TrackingStatus.DELIVERED,
    TrackingStatus.LOST,
    TrackingStatus.DELIVERY_FAILED,
    TrackingStatus.RETURN_TO_SENDER,
    TrackingStatus.RETURNED,
)
AT_WORK = (Stage.RELEASED, Stage.PICKED, Stage.PACKED)


def is_open(machine: "World") -> bool:
    """Whether there is still something to be done; what is said after the end has rules of its own."""
    return hasattr(machine, "story") and not closed(machine.order)


class World(RuleBasedStateMachine):
    """One order, all that stands outside it, and everybody who has something to say."""

    @initialize(
        paid_by=st.sampled_from(PAID_BY),
        cut=st.integers(0, 2224),
        shipping=st.sampled_from((495, 0)),
        quantity=st.integers(1, 6),
        split=st.integers(0, 2),
        times=st.integers(0, 9),
        may=st.integers(0, 7),
    )
    def place(
        self,
        *,
        paid_by: Sequence[PaymentMethod],
        cut: int,
        shipping: int,
        quantity: int,
        split: int,
        times: int,
        may: int,
    ) -> None:
        """An order as intake makes it, for which all goes well some *times*."""
        lines = [("1", "A", quantity, 1530), ("2", "B", 2, 199)]
        total = 1530 + 199 + shipping
        first = min(cut, total) if len(paid_by) > 1 else total
        amounts = [first, total - first][: len(paid_by)]
        order = making.make_order(lines=lines, payments=list(zip(paid_by, amounts, strict=True)), shipping=shipping)
        order = replace(order, rules=2 - may % 2, allow_backorder=may in {2, 3, 4}, allow_split=may not in {4, 5})
        self.story = Story(order)
        self.outside = Outside(order)
        self.said = 0
        self.started: dict[str, Step] = dict(next_steps(order))
        self.was_closed = False
        self.all_goes_well(times, way=split)

    # What everybody does is sent through here.

    @property
    def order(self) -> Order:
        return self.story.order

    def send(self, message: Message) -> None:
        known = len(self.story.effects)
        self.story.send(message)
        self.outside.book(self.story.effects[known:])
        self.started |= next_steps(self.order)
        self.outside.check(self.order)

    def number(self) -> int:
        self.said += 1
        return self.said

    def ask(self, command: Command) -> None:
        """Both ways of refusing agree, and what is refused changes nothing."""
        before, refused = self.order, refusal(self.order, command)
        self.send(command)
        outcome = self.order.outcome_of(command.id)
        assert outcome is not None
        assert (outcome.refused, outcome.detail) == ((refused.code, refused.detail) if refused else (None, None))
        assert refusal(self.order, command) is None, "what was applied before is refused"
        if refused:
            assert refused.code
            marks = {"version": before.version, "seen": before.seen, "outcomes": before.outcomes}
            assert replace(self.order, **marks) == before  # type: ignore[arg-type]  # each its own type

    @precondition(is_open)
    @rule(times=st.integers(1, 3), way=st.integers(0, 2))
    def all_goes_well(self, times: int, way: int) -> None:
        """The next thing happens as everybody wishes: a step ends, a warehouse goes on, a parcel arrives."""
        for _ in range(times):
            steps, facts = list(next_steps(self.order).values()), self.next_of_warehouses()
            gone = [p for p in self.order.parcels if p.tracking_number and not p.delivered_at]
            unheard = self.unheard()
            if unheard:
                self.send(unheard[0])
            elif steps:
                self.send(self.outside.do(self.order, steps[0], way, self.story.now))
            elif facts:
                self.send(facts[0])
            elif gone:
                self.send(self.scanned(gone[0], TrackingStatus.DELIVERED))
            else:
                self.outside.serve(self.order.order_id, 9, self.story.now)

    def unheard(self) -> list[StockServed]:
        return [served for served in self.outside.served if not self.order.knows(served.id)]

    # Steps.

    @precondition(is_open)
    @rule(place=PLACE, way=WAY)
    def a_step_ends(self, place: int, way: int) -> None:
        if steps := list(next_steps(self.order).values()):
            step = pick(steps, place)
            self.send(self.outside.do(self.order, step, way, self.story.now))

    @rule(place=PLACE, way=WAY)
    def a_step_is_done_and_its_answer_is_on_the_way(self, place: int, way: int) -> None:
        """Also one that is not wanted any more: its call was on the wire."""
        if waiting := [step for key, step in self.started.items() if key not in self.outside.answers]:
            self.outside.do(self.order, pick(waiting, place), way, self.story.now)

    @rule(place=PLACE)
    def an_answer_comes_late_or_again(self, place: int) -> None:
        if answers := list(self.outside.answers.values()):
            self.send(pick(answers, place))

    @precondition(is_open)
    @rule(place=PLACE)
    def a_step_fails_as_nobody_planned(self, place: int) -> None:
        if steps := list(next_steps(self.order)):
            self.send(StepFailed(step_key=pick(steps, place), error="Timeout"))

    # The world.

    @precondition(is_open)
    @rule(most=st.integers(1, 3), at_once=st.booleans())
    def stock_comes_in(self, most: int, at_once: bool) -> None:
        """Those who wait are served in the transaction that books it, and hear of it then or later."""
        self.outside.serve(self.order.order_id, most, self.story.now)
        if at_once and (unheard := self.unheard()):
            self.send(unheard[-1])

    @rule(place=PLACE)
    def a_serving_is_heard_of(self, place: int) -> None:
        if self.outside.served:
            self.send(pick(self.outside.served, place))

    @precondition(is_open)
    @rule(place=PLACE)
    def a_warehouse_goes_on(self, place: int) -> None:
        if facts := self.next_of_warehouses():
            self.send(pick(facts, place))

    def next_of_warehouses(self) -> list[WarehouseFact]:
        found: list[WarehouseFact] = []
        for fulfillment in self.order.fulfillments:
            says = Warehouse(fulfillment.fulfillment_id)
            there = {stage: self.there(fulfillment.fulfillment_id, stage) for stage in AT_WORK}
            ready = [p.parcel_ref for p in self.order.parcels_of(fulfillment.fulfillment_id) if self.is_packed(p)]
            if there[Stage.RELEASED] and fulfillment.accepted_at is None:
                found.append(says.accepts())
            elif there[Stage.RELEASED]:
                found.append(says.picks(there[Stage.RELEASED]))
            elif there[Stage.PICKED]:
                ref = f"{fulfillment.fulfillment_id}-{self.said}"
                found.append(says.packs({ref: there[Stage.PICKED]}, own_label=self.said % 2 == 0))
            elif ready:
                found.append(says.hands_over(*ready))
        return [replace(fact, id=f"warehouse/{self.number()}") for fact in found]

    def there(self, fulfillment_id: str, stage: Stage) -> dict[str, int]:
        return units.by_line(self.order.portions, {stage}, fulfillment_id=fulfillment_id)

    def is_packed(self, parcel: Parcel) -> bool:
        return units.count(self.order.portions, {Stage.PACKED}, parcel_id=parcel.parcel_id) > 0

    @rule(place=PLACE, scan=st.sampled_from(SCANS))
    def a_carrier_goes_on(self, place: int, scan: TrackingStatus) -> None:
        if parcels := [parcel for parcel in self.order.parcels if parcel.tracking_number]:
            self.send(self.scanned(pick(parcels, place), scan))

    def scanned(self, parcel: Parcel, status: TrackingStatus) -> CarrierFact:
        return CarrierFact(
            id=f"carrier/{self.number()}",
            carrier=parcel.carrier or "",
            tracking_number=parcel.tracking_number or "",
            status=status,
            occurred_at=self.story.now + timedelta(minutes=self.said),
            collected_minor=parcel.collect_minor or None if status is TrackingStatus.DELIVERED else None,
        )

    @rule(seed=st.integers(0, 2**16))
    def anything_is_said(self, seed: int) -> None:
        """Plausible or absurd: too many, too early, of parcels nobody knows. The provider does not lie."""
        fact = Teller(Random(seed), self.story).fact()
        if isinstance(fact, WarehouseFact | CarrierFact):
            self.send(replace(fact, id=f"anything/{self.number()}"))

    @rule(place=PLACE)
    def something_is_said_again(self, place: int) -> None:
        """Whatever can come twice: a due time cannot, for the loop itself says it."""
        if said := [message for message in self.story.sent if not isinstance(message, DueReached)]:
            self.send(pick(said, place))

    @precondition(is_open)
    @rule(place=PLACE, accepted=st.booleans(), most=st.integers(0, 3))
    def a_request_is_answered(self, place: int, accepted: bool, most: int) -> None:
        if self.order.requests:
            awaited = [request for request in self.order.requests if request.state is RequestState.OPEN]
            request = pick((*awaited, *awaited, *self.order.requests), place)
            lines = tuple(
                LineQuantity(line_id=line.line_id, quantity=min(most, line.quantity)) for line in request.lines if most
            )
            self.send(self.answer(request.request_id, request.fulfillment_id, accepted=accepted, lines=lines))

    def answer(
        self, request_id: str, fulfillment_id: str, *, accepted: bool, lines: tuple[LineQuantity, ...] = ()
    ) -> WarehouseFact:
        kinds = (WarehouseFactKind.REQUEST_REFUSED, WarehouseFactKind.REQUEST_ACCEPTED)
        return WarehouseFact(
            id=f"warehouse/{self.number()}",
            kind=kinds[accepted],
            fulfillment_id=fulfillment_id,
            occurred_at=self.story.now,
            lines=lines,
            request_id=request_id,
        )

    @rule(place=PLACE, outcome=st.sampled_from(("authorized", "failed", "expired")))
    def the_provider_speaks(self, place: int, outcome: str) -> None:
        known = [*self.outside.money, names.authorization_id("ful_t_9", "pay_t_1", 1)]
        asked = [name for name, money in self.outside.money.items() if money is Money.ASKED]
        authorization_id = pick([*asked, *known], place)
        self.send(self.outside.customer_acts(authorization_id, outcome, self.number(), self.story.now))

    @precondition(is_open)
    @rule(minutes=st.sampled_from((0, 1, 30, 600)))
    def time_passes(self, minutes: int) -> None:
        due = next_due(self.order)
        self.story.now += timedelta(minutes=minutes, milliseconds=1)
        if due is not None and minutes in {0, 600}:
            self.story.now = max(due, self.story.now)
        self.send(DueReached(at=self.story.now))


def pick(options: Sequence[T], place: int) -> T:
    """One of *options*: the same for the same place."""
    return options[place % len(options)]
