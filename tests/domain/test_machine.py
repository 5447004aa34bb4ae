"""People, warehouses, carriers, the provider and the clock act in any order: the rules hold after every single message."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

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
from domain.obeying import refusal
from domain.orders import closed, order_state
from domain.resolving import legal_fixes
from domain.steps import next_steps
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
)
from domain.waits import next_due
from tests.domain.machine import AT_WORK, PLACE, World, is_open, pick
from tests.domain.making import CARD, CASH, PREPAID
from tests.domain.outside import Money

SEARCHES = not settings.default.derandomize  # type: ignore[union-attr]  # a profile is always loaded
BY: dict[str, Any] = {"actor": ActorKind.SUPPORT, "actor_id": "ada"}
# What is asked so often already is asked no more: there is more to find elsewhere.
FEW = 3


def has_cases(machine: World) -> bool:
    """Whether a person has something to settle."""
    return is_open(machine) and bool(machine.order.attention)


def waits_for_the_customer(machine: World) -> bool:
    """Whether somebody can pay by another means."""
    return is_open(machine) and any(a.action_url is not None for a in machine.order.authorizations)


class OrderMachine(World):
    """The same, with people who change their minds, and what must hold."""

    @precondition(is_open)
    @rule(place=PLACE, count=st.integers(1, 3), restock=st.booleans())
    def somebody_cancels_a_part(self, place: int, count: int, restock: bool) -> None:
        """*count* units of a line or of both, sometimes more than there are."""
        lines = tuple(LineUnits(line_id=line.line_id, quantity=count) for line in self.order.lines)
        chosen = (lines[:1], lines[1:], lines)[place % 3]
        self.ask(CancelOrder(id=f"cancel/{self.number()}", lines=chosen, restock=restock, **BY))

    @precondition(is_open)
    @rule(restock=st.booleans(), refund=st.booleans())
    def somebody_cancels_all_that_can_be(self, restock: bool, refund: bool) -> None:
        self.ask(CancelOrder(id=f"cancel/{self.number()}", restock=restock, refund=refund, **BY))

    @precondition(lambda self: is_open(self) and self.order.hold_count < FEW)
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

    @precondition(lambda self: is_open(self) and self.order.contact_revision < FEW)
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
        commands: tuple[Command, ...] = (
            self.settling("att_t_99", Fix.CLOSE),
            ReleaseHold(id=name, hold_id="hld_t_99", **BY),
            CancelOrder(id=name, lines=(line,), **BY),
            PlaceHold(id=name, reason=HoldReason.OTHER, fulfillment_id="ful_t_9", **BY),
            ChangeAddress(id=name, contact_revision=99, country="FR", **BY),
            AddPayment(id=name, payment_id="pay_t_99", method=CASH, **BY),
        )
        self.ask(pick(commands, place))

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


def test_the_rules_hold_whoever_does_what_in_whatever_order():
    """A few seconds in every run; with HYPOTHESIS_PROFILE=search some minutes, and other stories every time."""
    run_state_machine_as_test(
        OrderMachine,
        settings=settings(
            max_examples=5000 if SEARCHES else 250,
            stateful_step_count=40 if SEARCHES else 30,
            deadline=None,
            report_multiple_bugs=False,
        ),
    )
