"""Money: whatever the mix of lines, discounts, tax, payments and parts, what is held and what is taken sums exactly."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import intake, payments, units
from domain.intake import NewLine, NewOrder, NewPayment, NewShipping
from domain.orders import PROVIDER_METHODS, Order, closed, order_state
from domain.policy import DEFAULT_RULES, Policy
from domain.steps import CapturePayment, ReserveStock, next_steps
from domain.vocabulary import Channel, OrderState, PaymentMethod, PaymentState, ServiceLevel, TrackingStatus
from tests.domain import making
from tests.domain.making import CARD, CASH, NOW, PREPAID, Carrier, Part, Warehouse, done
from tests.domain.story import Story

ANY_METHOD = st.sampled_from([CARD, PaymentMethod.WALLET, PREPAID])


@dataclass(frozen=True)
class Case:
    """An order, where its units come from, and how many of each part's units are found."""

    order: Order
    parts: list[Part]
    found: list[dict[str, int]]
    parcels: list[int]


@st.composite
def lines(draw: st.DrawFn) -> list[NewLine]:
    """One to four lines with discount and tax, from nothing to a fortune."""
    made = []
    for number in range(1, draw(st.integers(1, 4)) + 1):
        quantity, price = draw(st.integers(1, 9)), draw(st.one_of(st.integers(0, 5), st.integers(0, 10**7)))
        made.append(
            NewLine(
                line_id=str(number),
                sku=draw(st.sampled_from("ABC")),
                quantity=quantity,
                unit_price_minor=price,
                discount_minor=draw(st.integers(0, quantity * price)),
                tax_minor=draw(st.integers(0, 10**5)),
            )
        )
    return made


@st.composite
def orders(draw: st.DrawFn) -> Order:
    """Any order that intake would take."""
    asked = draw(lines())
    shipping_minor = draw(st.integers(0, 5000))
    shipping = NewShipping(
        shipping_minor=shipping_minor,
        discount_minor=draw(st.integers(0, shipping_minor)),
        tax_minor=draw(st.integers(0, 999)),
    )
    include = draw(st.booleans())
    total = intake.order_total(asked, shipping, prices_include_tax=include)
    methods = draw(st.lists(ANY_METHOD, min_size=1, max_size=3))
    if draw(st.booleans()):
        methods[draw(st.integers(0, len(methods) - 1))] = CASH
    cuts = sorted(draw(st.lists(st.integers(0, total), min_size=len(methods) - 1, max_size=len(methods) - 1)))
    edges = [0, *cuts, total]
    new = NewOrder(
        channel=Channel.WEB,
        source="default",
        currency=draw(st.sampled_from(["JPY", "GBP", "KWD"])),
        country="GB",
        service_level=ServiceLevel.STANDARD,
        lines=tuple(asked),
        payments=tuple((method, edges[place + 1] - edges[place]) for place, method in enumerate(methods)),
        shipping=shipping,
        prices_include_tax=include,
        allow_split=True,
    )
    policy = Policy(version=1, rules=DEFAULT_RULES)
    return intake.new_order(making.ORDER_ID, new, policy=policy, fast_moving=frozenset(), received_at=NOW)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any order over up to three locations, any of its units missing."""
    order = draw(orders())
    shares = {line.line_id: _split(draw, line.quantity, 3) for line in order.lines}
    parts: list[Part] = []
    for place, location_id in enumerate(("LEEDS", "DERBY", "YORK")):
        part = {line_id: share[place] for line_id, share in shares.items() if share[place]}
        if part:
            parts.append((location_id, part))
    found = [
        {line_id: draw(st.integers(0, quantity)) for line_id, quantity in quantities.items()} for _, quantities in parts
    ]
    return Case(order=order, parts=parts, found=found, parcels=[draw(st.integers(1, 2)) for _ in parts])


def _split(draw: st.DrawFn, quantity: int, count: int) -> list[int]:
    cuts = sorted(draw(st.lists(st.integers(0, quantity), min_size=count - 1, max_size=count - 1)))
    edges = [0, *cuts, quantity]
    return [edges[place + 1] - edges[place] for place in range(count)]


def live(case: Case) -> Story:
    """The whole life of the case's order: picked as far as found, packed, handed over, delivered, paid."""
    story = Story(case.order)
    story.finish_steps(parts=case.parts)
    for place, (found, count) in enumerate(zip(case.found, case.parcels, strict=True)):
        _serve(story, f"ful_t_{place + 1}", found, count)
    return story


def _serve(story: Story, fulfillment_id: str, found: dict[str, int], count: int) -> None:
    warehouse = Warehouse(fulfillment_id)
    wanted = {a.line_id: a.quantity for a in story.order.fulfillment(fulfillment_id).allocations}
    missing = {line_id: quantity - found[line_id] for line_id, quantity in wanted.items() if quantity > found[line_id]}
    if missing:
        story.send(warehouse.misses(missing))
    picked = {line_id: quantity for line_id, quantity in found.items() if quantity}
    boxes = _boxes(picked, count, fulfillment_id)
    if picked:
        story.send(warehouse.picks(picked), warehouse.packs(boxes, own_label=True), warehouse.hands_over(*boxes))
    story.finish_steps()
    for parcel in story.order.parcels_of(fulfillment_id):
        carrier = Carrier(parcel.tracking_number or "")
        collected = parcel.collect_minor or None
        story.send(carrier.says(TrackingStatus.DELIVERED, collected_minor=collected))


def _boxes(picked: dict[str, int], count: int, fulfillment_id: str) -> dict[str, dict[str, int]]:
    """*picked* in one box, or its units halved over two."""
    if count == 1 or sum(picked.values()) < 2:
        return {f"{fulfillment_id}-A": picked}
    first = {line_id: quantity // 2 for line_id, quantity in picked.items() if quantity // 2}
    if not first:
        line_id = next(iter(picked))
        first = {line_id: picked[line_id]}
    second = {line_id: n - first.get(line_id, 0) for line_id, n in picked.items() if n > first.get(line_id, 0)}
    return {f"{fulfillment_id}-A": first, f"{fulfillment_id}-B": second} if second else {f"{fulfillment_id}-A": first}


@settings(max_examples=150, deadline=None)
@given(case=cases())
def test_holds_per_payment_and_fulfillment_sum_to_what_the_payments_cover(case: Case):
    story = Story(case.order)
    story.send(making.reserved(story.order, story.step(ReserveStock), case.parts))

    by_provider = sum(p.amount_minor for p in case.order.payments if p.method in PROVIDER_METHODS)
    assert sum(a.amount_minor for a in story.order.authorizations) == by_provider
    others = case.order.ordered_total_minor - by_provider
    promised = sum(a.amount_minor for a in story.order.authorizations) + others
    assert promised == case.order.ordered_total_minor
    assert all(a.amount_minor > 0 for a in story.order.authorizations)


@settings(max_examples=150, deadline=None)
@given(case=cases())
def test_what_is_taken_and_what_is_given_back_are_what_was_held_to_the_minor_unit(case: Case):
    story = live(case)

    order, amounts = story.order, payments.amounts(story.order)
    assert closed(order)
    left = any(any(found.values()) for found in case.found)
    assert order_state(order) is (OrderState.DELIVERED if left else OrderState.CANCELLED)
    assert amounts.captured_minor == amounts.total_minor
    for authorization in order.authorizations:
        if authorization.state is PaymentState.VOIDED:
            assert authorization.captured_minor == 0
        else:
            given_back = authorization.amount_minor - authorization.captured_minor
            assert authorization.state is PaymentState.CAPTURED
            assert given_back >= 0
    everything = all(found == part for found, (_, part) in zip(case.found, case.parts, strict=True))
    if everything:
        assert amounts.captured_minor == case.order.ordered_total_minor
        assert all(payments.captured_by(order, p) == p.amount_minor for p in order.payments)


@settings(max_examples=100, deadline=None)
@given(case=cases())
def test_cash_over_the_parcels_sums_to_its_part_of_what_left(case: Case):
    order = live(case).order

    cash = [payment for payment in order.payments if payment.method is CASH]
    ranges = payments.payment_ranges(order)
    for payment in cash:
        covered = ranges[payment.payment_id]
        goods = 0
        for fulfillment in order.fulfillments:
            start = payments.fulfillment_start(order, fulfillment.fulfillment_id)
            end = start + payments.value_left(order, fulfillment)
            goods += max(0, min(end, covered[1]) - max(start, covered[0]))
        shipping = max(0, min(order.shipping_minor, covered[1]) - covered[0]) if payments.anything_left(order) else 0
        assert sum(parcel.collect_minor for parcel in order.parcels) == goods + shipping


@settings(max_examples=100, deadline=None)
@given(order=orders(), amount=st.integers(0, 10**9))
def test_one_payment_may_leave_its_amount_out_and_takes_the_rest(order: Order, amount: int):
    total = order.ordered_total_minor
    asked = [NewPayment(method=CARD, amount_minor=min(amount, total)), NewPayment(method=PREPAID)]

    assert sum(intake.payment_amounts(asked, total)) == total


def test_payments_are_used_in_the_order_given_each_filled_before_the_next():
    order = making.make_order(payments=[(CARD, 600), (CARD, 1624)])
    story = Story(order)
    story.send(making.reserved(story.order, story.step(ReserveStock), [("LEEDS", {"2": 2}), ("DERBY", {"1": 6})]))

    held = [(a.fulfillment_id, a.payment_id, a.amount_minor) for a in story.order.authorizations]
    assert held == [
        ("ful_t_1", "pay_t_1", 600),
        ("ful_t_1", "pay_t_2", 495 + 199 - 600),
        ("ful_t_2", "pay_t_2", 1530),
    ]


def test_shipping_is_taken_with_the_first_capture_even_when_its_own_fulfillment_sends_nothing():
    story = Story(making.make_order()).finish_steps(parts=[("LEEDS", {"1": 6}), ("DERBY", {"2": 2})])
    leeds, derby = Warehouse(), Warehouse("ful_t_2")
    story.send(leeds.refuses())
    assert payments.capture_amount(story.order, story.order.authorizations[0]) is None

    story.send(derby.picks({"2": 2}), derby.packs({"A": {"2": 2}}, own_label=True), derby.hands_over("A"))

    amounts = sorted(s.amount_minor for s in _captures(story))
    assert amounts == [199, 495]


def _captures(story: Story) -> list[CapturePayment]:
    return [step for step in next_steps(story.order).values() if isinstance(step, CapturePayment)]


def test_a_prepaid_order_counts_as_taken_what_left():
    story = Story(making.make_order(payments=[(PREPAID, 2224)])).finish_steps()
    warehouse = Warehouse()
    (payment,) = story.order.payments
    assert payments.payment_state(story.order, payment) is PaymentState.AUTHORIZED

    story.send(warehouse.misses({"2": 1}), warehouse.picks({"1": 6, "2": 1}), warehouse.packs())
    story.finish_steps().send(warehouse.hands_over("A"))

    assert payments.captured_by(story.order, payment) == 495 + 1530 + 100
    assert payments.payment_state(story.order, payment) is PaymentState.PARTIALLY_CAPTURED


@pytest.mark.parametrize("method", [PREPAID, CASH])
def test_what_no_provider_holds_is_authorized_from_the_start_and_void_when_nothing_left(method: PaymentMethod):
    story = Story(making.make_order(payments=[(method, 2224)])).finish_steps()
    (payment,) = story.order.payments
    assert payments.payment_state(story.order, payment) is PaymentState.AUTHORIZED

    story.send(Warehouse().refuses())

    assert payments.payment_state(story.order, payment) is PaymentState.VOIDED
    assert closed(story.order)


def test_an_order_that_costs_nothing_asks_nobody_for_money():
    story = Story(making.make_order(lines=[("1", "A", 3, 0)], shipping=0)).finish_steps()

    assert story.order.authorizations == ()
    assert units.count(story.order.portions, {units.Stage.RELEASED}) == 3


def test_a_hold_is_taken_once_when_its_last_parcel_left():
    story = Story(making.make_order()).finish_steps()
    warehouse = Warehouse()
    story.send(
        warehouse.picks({"1": 6, "2": 2}),
        warehouse.packs({"A": {"1": 6}, "B": {"2": 2}}, own_label=True),
        warehouse.hands_over("A"),
    )
    assert _captures(story) == []

    story.send(warehouse.hands_over("B"))

    (step,) = _captures(story)
    assert step.amount_minor == 2224
    assert _captures(story.send(done(story.order, step))) == []


def test_a_payment_of_nothing_waits_for_nothing():
    order = making.make_order(payments=[(CARD, 2224), (CARD, 0)])

    assert payments.payment_state(order, order.payments[1]) is PaymentState.AUTHORIZED
