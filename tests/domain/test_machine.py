"""People, warehouses, carriers, the provider and the clock act in any order: the rules hold after every single message."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from domain import names, payments, units
from domain.commands import (
    AddPayment,
    CancelOrder,
    ChangeAddress,
    Command,
    LineUnits,
    PlaceHold,
    ReleaseHold,
    ResolveCase,
)
from domain.messages import CarrierFact, DueReached, LineQuantity, Message, StepFailed, StockServed, WarehouseFact
from domain.obeying import refusal
from domain.orders import Order, Parcel, closed, order_state
from domain.resolving import legal_fixes
from domain.steps import Step, next_steps
from domain.units import Stage
from domain.vocabulary import (
    ActorKind,
    CancellationState,
    Fix,
    HoldDecision,
    HoldReason,
    OrderState,
    PaymentMethod,
    RequestKind,
    RequestState,
    TrackingStatus,
    WarehouseFactKind,
)
from domain.waits import next_due
from tests.domain import making
from tests.domain.chance import Teller
from tests.domain.making import CARD, CASH, PREPAID, Warehouse
from tests.domain.outside import WAYS, Money, Outside
from tests.domain.story import Story

T = TypeVar("T")

SEARCHES = not settings.default.derandomize  # type: ignore[union-attr]  # a profile is always loaded
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
BY: dict[str, Any] = {"actor": ActorKind.SUPPORT, "actor_id": "ada"}


def is_open(machine: "OrderMachine") -> bool:
    """Whether there is still something to be done; what is said after the end has rules of its own."""
    return hasattr(machine, "story") and not closed(machine.order)


def has_cases(machine: "OrderMachine") -> bool:
    """Whether a person has something to settle."""
    return is_open(machine) and bool(machine.order.attention)


def waits_for_the_customer(machine: "OrderMachine") -> bool:
    """Whether somebody can pay by another means."""
    return is_open(machine) and any(a.action_url is not None for a in machine.order.authorizations)


class OrderMachine(RuleBasedStateMachine):
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
            request = pick(self.order.requests, -1 - place)
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

    # People.

    @precondition(is_open)
    @rule(place=PLACE, count=st.integers(1, 3), restock=st.booleans(), refund=st.booleans())
    def somebody_cancels(self, place: int, count: int, restock: bool, refund: bool) -> None:
        """*count* units of a line or of both, sometimes more than there are; now and then all of it."""
        lines = [LineUnits(line_id=line.line_id, quantity=count) for line in self.order.lines]
        chosen = (lines[:1], lines[1:], lines[:1], lines[1:], lines, [])[place % 6]
        self.ask(CancelOrder(id=f"cancel/{self.number()}", lines=tuple(chosen), restock=restock, refund=refund, **BY))

    @precondition(is_open)
    @rule(place=PLACE, reason=st.sampled_from(HoldReason))
    def somebody_holds(self, place: int, reason: HoldReason) -> None:
        """The order, or one fulfillment of it."""
        known = [None, *(fulfillment.fulfillment_id for fulfillment in self.order.fulfillments)]
        self.ask(PlaceHold(id=f"hold/{self.number()}", reason=reason, fulfillment_id=pick(known, place), **BY))

    @precondition(is_open)
    @rule(place=PLACE, decision=st.sampled_from(HoldDecision))
    def somebody_decides_about_a_hold(self, place: int, decision: HoldDecision) -> None:
        if self.order.holds:
            hold_id = pick(self.order.holds, place).hold_id
            self.ask(ReleaseHold(id=f"release/{self.number()}", hold_id=hold_id, decision=decision, **BY))

    @precondition(is_open)
    @rule()
    def somebody_moves(self) -> None:
        revision = self.order.contact_revision + 1
        self.ask(ChangeAddress(id=f"move/{self.number()}", contact_revision=revision, country="GB", **BY))

    @precondition(waits_for_the_customer)
    @rule(method=st.sampled_from((CARD, CARD, PREPAID)))
    def somebody_pays_otherwise(self, method: PaymentMethod) -> None:
        payment_id = names.payment_id(self.order.order_id, len(self.order.payments) + 1)
        self.ask(AddPayment(id=f"pay/{self.number()}", payment_id=payment_id, method=method, **BY))

    @precondition(has_cases)
    @rule(place=PLACE, which=PLACE, fix=st.sampled_from(Fix), legal=st.integers(0, 3))
    def somebody_settles_a_case(self, place: int, which: int, fix: Fix, legal: int) -> None:
        """By any fix, mostly a legal one."""
        case = pick(self.order.attention, place)
        chosen = pick(legal_fixes(self.order, case), which) if legal else fix
        self.ask(self.settling(case.attention_id, chosen))

    @rule(place=PLACE)
    def somebody_asks_what_makes_no_sense(self, place: int) -> None:
        """Of a case or a hold that is not there, of goods that are not there, of an order that has ended."""
        name, line = f"nonsense/{self.number()}", LineUnits(line_id="1", quantity=99)
        nonsense: tuple[Command, ...] = (
            self.settling("att_t_99", Fix.CLOSE),
            ReleaseHold(id=name, hold_id="hld_t_99", **BY),
            CancelOrder(id=name, lines=(line,), **BY),
            PlaceHold(id=name, reason=HoldReason.OTHER, fulfillment_id="ful_t_9", **BY),
            ChangeAddress(id=name, contact_revision=99, country="FR", **BY),
            AddPayment(id=name, payment_id="pay_t_99", method=CASH, **BY),
        )
        self.ask(pick(nonsense, place))

    def settling(self, attention_id: str, fix: Fix) -> ResolveCase:
        return ResolveCase(
            id=f"settle/{self.number()}", attention_id=attention_id, fix=fix, person="ada", hours=3, **BY
        )

    # What must hold, over what ``rules`` and ``outside`` look at after every message.

    @invariant()
    def every_case_can_be_settled(self) -> None:
        for case in self.order.attention:
            fixes = legal_fixes(self.order, case)
            assert Fix.ASSIGN in fixes
            for fix in Fix:
                refused = refusal(self.order, self.settling(case.attention_id, fix))
                assert (refused is None) == (fix in fixes)
                assert refused is None or refused.code == "fix_not_allowed"

    @invariant()
    def somebody_is_told_of_what_stands_still(self) -> None:
        """An open order has a due time to come, work under way, or a case that a person has been given."""
        order = self.order
        assert closed(order) or next_due(order) is not None or next_steps(order) or order.attention

    @invariant()
    def cancellations_add_up(self) -> None:
        for cancellation in self.order.cancellations:
            wanted = {line.line_id: line.quantity for line in cancellation.lines}
            assert all(0 < line.quantity <= wanted[line.line_id] for line in cancellation.done)
            asked = {r.state for r in self.order.requests if r.subject == cancellation.cancellation_id}
            waits = cancellation.state in {CancellationState.REQUESTED, CancellationState.ACCEPTED}
            assert waits == (RequestState.OPEN in asked)
            assert (cancellation.state is CancellationState.DONE) == (not waits and bool(cancellation.done))
        for line in self.order.lines:
            done = [one for c in self.order.cancellations for one in c.done if one.line_id == line.line_id]
            gone = units.count(self.order.portions, {Stage.CANCELLED}, line_id=line.line_id)
            assert sum(one.quantity for one in done) <= gone

    @invariant()
    def requests_are_about_goods_that_are_there(self) -> None:
        for request in self.order.requests:
            if request.state is RequestState.OPEN or (
                request.state is RequestState.TIMED_OUT and request.kind is RequestKind.CANCEL
            ):
                assert units.count(self.order.portions, AT_WORK, fulfillment_id=request.fulfillment_id)

    @invariant()
    def what_is_paid_is_what_left(self) -> None:
        order = self.order
        if order_state(order) in {OrderState.CANCELLED, OrderState.REJECTED}:
            assert self.outside.captured_minor == 0, "money was taken for what was cancelled"
        if (
            units.count(order.portions, units.WAITING)
            or next_steps(order)
            or CASH in {p.method for p in order.payments}
        ):
            return
        amounts = payments.amounts(order)
        excused = "capture_failed" in self.story.told or order.failed_steps
        assert amounts.captured_minor == amounts.total_minor or excused

    @invariant()
    def what_is_closed_stays_closed(self) -> None:
        assert closed(self.order) or not self.was_closed
        self.was_closed = closed(self.order)
        if self.was_closed:
            self.outside.check_closed(self.order, self.story.now)

    def teardown(self) -> None:
        """Everybody does their work from now on: the order comes to its end."""
        if not hasattr(self, "story"):
            return
        for _ in range(20):
            if closed(self.order):
                break
            self.everybody_works()
        stuck = units.count(self.order.portions, {Stage.SENT_BACK})
        assert closed(self.order) or stuck, f"{order_state(self.order)}: {self.order.attention}"
        self.what_is_paid_is_what_left()
        self.what_is_closed_stays_closed()

    def everybody_works(self) -> None:
        for served in self.unheard():
            self.send(served)
        while steps := list(next_steps(self.order).values()):
            self.send(self.outside.do(self.order, steps[0], 0, self.story.now))
        self.outside.serve(self.order.order_id, 9, self.story.now)
        for name in [name for name, money in self.outside.money.items() if money is Money.ASKED]:
            self.send(self.outside.customer_acts(name, "authorized", self.number(), self.story.now))
        for hold in self.order.holds:
            self.ask(ReleaseHold(id=f"release/{self.number()}", hold_id=hold.hold_id, **BY))
        for case in self.order.attention:
            if Fix.RETRY in legal_fixes(self.order, case):
                self.ask(self.settling(case.attention_id, Fix.RETRY))
        for request in self.order.requests:
            if request.state is RequestState.OPEN:
                self.send(self.answer(request.request_id, request.fulfillment_id, accepted=False))
        for fact in self.next_of_warehouses():
            self.send(fact)
        for parcel in self.order.parcels:
            if parcel.tracking_number and not self.is_packed(parcel):
                self.send(self.scanned(parcel, TrackingStatus.DELIVERED))


def pick(options: Sequence[T], place: int) -> T:
    """One of *options*: the same for the same place."""
    return options[place % len(options)]


@pytest.mark.parametrize("steps", [60 if SEARCHES else 40])
def test_the_rules_hold_whoever_does_what_in_whatever_order(steps: int):
    run_state_machine_as_test(
        OrderMachine,
        settings=settings(max_examples=5000 if SEARCHES else 150, stateful_step_count=steps, deadline=None),
    )
