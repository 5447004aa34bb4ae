"""Money rules: which payment covers what, what a capture takes, and how an order's payments stand; no I/O.

An order's value is laid out on one scale: shipping first, then the fulfillments in the order they were planned. Payments
cover that scale in the order given, each filled before the next, so every share is the overlap of two ranges and the
shares sum exactly.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from domain import names, units
from domain.money import overlap, run_value
from domain.orders import (
    PROVIDER_METHODS,
    Authorization,
    Fulfillment,
    Line,
    Order,
    Parcel,
    Payment,
    left_by_line,
    parcel_state,
    remembered,
    run_worth,
)
from domain.units import Stage
from domain.vocabulary import OrderState, ParcelState, PaymentMethod, PaymentState

Range = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """An order's money, in minor units."""

    ordered_total_minor: int
    total_minor: int
    authorized_minor: int
    captured_minor: int
    refunded_minor: int


@remembered
def payment_ranges(order: Order) -> dict[str, Range]:
    """Payment id -> the part of the order's value that it covers; one that was replaced stands for what its successor does.

    What it had held before it was replaced is still taken.
    """
    ranges: dict[str, Range] = {}
    start = sum(payment.amount_minor for payment in order.payments if payment.replaced_by is None)
    for payment in reversed(order.payments):
        if payment.replaced_by is not None:
            ranges[payment.payment_id] = ranges[payment.replaced_by]
            continue
        ranges[payment.payment_id] = (start - payment.amount_minor, start)
        start -= payment.amount_minor
    return ranges


def fulfillment_value(order: Order, fulfillment: Fulfillment) -> int:
    """What the goods of *fulfillment*, as planned, are worth, in minor units."""
    return sum(run_worth(order, allocation, allocation.quantity) for allocation in fulfillment.allocations)


def fulfillment_start(order: Order, fulfillment_id: str) -> int:
    """Where the fulfillment's goods begin on the order's scale, in minor units; KeyError when there is none."""
    return _starts(order)[fulfillment_id]


@remembered
def _starts(order: Order) -> dict[str, int]:
    """Each fulfillment where it was planned, those that came after one right behind it: so nobody else's share moves."""
    starts: dict[str, int] = {}
    start = order.shipping_minor
    pending = [fulfillment for fulfillment in order.fulfillments if fulfillment.after is None]
    while pending:
        fulfillment = pending.pop(0)
        starts[fulfillment.fulfillment_id] = start
        start += fulfillment_value(order, fulfillment)
        pending[:0] = [other for other in order.fulfillments if other.after == fulfillment.fulfillment_id]
    return starts


def plan_authorizations(order: Order, *, now: datetime) -> tuple[Authorization, ...]:
    """The order's holds, and those to ask for where a fulfillment has none: one per payment, shipping with the first."""
    ranges = payment_ranges(order)
    planned = list(order.authorizations)
    known = {authorization.fulfillment_id for authorization in planned}
    shipping: Range = (0, order.shipping_minor)
    for place, fulfillment in enumerate(order.fulfillments):
        if fulfillment.fulfillment_id in known:
            continue
        start = fulfillment_start(order, fulfillment.fulfillment_id)
        goods = (start, start + fulfillment_value(order, fulfillment))
        for payment in order.payments:
            if payment.method not in PROVIDER_METHODS or payment.replaced_by is not None:
                continue
            for_shipping = overlap(ranges[payment.payment_id], shipping) if place == 0 else 0
            amount = overlap(ranges[payment.payment_id], goods) + for_shipping
            if amount:
                planned.append(
                    Authorization(
                        authorization_id=names.authorization_id(fulfillment.fulfillment_id, payment.payment_id, 1),
                        payment_id=payment.payment_id,
                        fulfillment_id=fulfillment.fulfillment_id,
                        amount_minor=amount,
                        shipping_minor=for_shipping,
                        requested_at=now,
                    )
                )
    return tuple(planned)


def next_unit(order: Order, line_id: str) -> int:
    """The place of the line's first unit that no fulfillment was planned for."""
    ends = (
        allocation.first_unit + allocation.quantity
        for fulfillment in order.fulfillments
        for allocation in fulfillment.allocations
        if allocation.line_id == line_id
    )
    return max(ends, default=0)


def value_left(order: Order, fulfillment: Fulfillment) -> int:
    """What the goods of *fulfillment* that left for the customer are worth, in minor units."""
    left = left_by_line(order, fulfillment)
    return sum(
        run_worth(order, allocation, min(allocation.quantity, left.get(allocation.line_id, 0)))
        for allocation in fulfillment.allocations
    )


def anything_left(order: Order) -> bool:
    """Whether any unit of the order left for the customer."""
    return units.count(order.portions, units.LEFT) > 0


def capture_amount(order: Order, authorization: Authorization) -> int | None:
    """What to take under *authorization* now: minor units, 0 when it must be given back, None while it is undecided.

    Taken once, when nothing of its fulfillment can leave any more; shipping as soon as anything of the order left.
    """
    fulfillment = order.fulfillment(authorization.fulfillment_id)
    if units.count(order.portions, units.NOT_LEFT, fulfillment_id=fulfillment.fulfillment_id):
        return None
    start = fulfillment_start(order, fulfillment.fulfillment_id)
    left = (start, start + value_left(order, fulfillment))
    goods = overlap(payment_ranges(order)[authorization.payment_id], left)
    if not authorization.shipping_minor:
        return goods
    if anything_left(order):
        return goods + authorization.shipping_minor
    return None if units.count(order.portions, units.WAITING) else 0


def collection_at_door(order: Order, fulfillment: Fulfillment, packed: dict[str, int]) -> int:
    """What the carrier must collect for a parcel of *packed* (line id -> units) about to be packed, in minor units.

    The parcel takes the fulfillment's next units; shipping goes with the order's first parcel.
    """
    methods = {payment.payment_id: payment.method for payment in order.payments}
    ranges = [
        found
        for payment_id, found in payment_ranges(order).items()
        if methods[payment_id] is PaymentMethod.CASH_ON_DELIVERY
    ]
    if not ranges:
        return 0
    before = units.by_line(order.portions, units.LEFT | {Stage.PACKED}, fulfillment_id=fulfillment.fulfillment_id)
    start = fulfillment_start(order, fulfillment.fulfillment_id)
    start += _prefix_worth(order, fulfillment, before)
    after = {line_id: before.get(line_id, 0) + packed.get(line_id, 0) for line_id in {*before, *packed}}
    end = fulfillment_start(order, fulfillment.fulfillment_id) + _prefix_worth(order, fulfillment, after)
    live = [parcel for parcel in order.parcels if parcel_state(order, parcel) is not ParcelState.CANCELLED]
    shipping: Range = (0, 0 if live else order.shipping_minor)
    wanted = sum(overlap(found, (start, end)) + overlap(found, shipping) for found in ranges)
    # Units refused from a parcel leave what it collects as it is, and the next units must not be paid for again.
    left = sum(found[1] - found[0] for found in ranges) - sum(parcel.collect_minor for parcel in live)
    return max(0, min(wanted, left))


def _prefix_worth(order: Order, fulfillment: Fulfillment, counts: dict[str, int]) -> int:
    return sum(
        run_worth(order, allocation, min(allocation.quantity, counts.get(allocation.line_id, 0)))
        for allocation in fulfillment.allocations
    )


def saved_by(order: Order, payment_id: str) -> str | None:
    """The provider's reference of an authorization of this payment that succeeded and so saved its method, if one did."""
    held = {PaymentState.AUTHORIZED, PaymentState.CAPTURED}
    for authorization in order.authorizations:
        if authorization.payment_id == payment_id and authorization.state in held:
            return authorization.reference
    return None


def startable(order: Order) -> tuple[Authorization, ...]:
    """The pending authorizations that may be asked for now: the first of a payment alone, the others after it.

    What may be asked for once may be until it is answered: the call is on its way.
    """
    found: list[Authorization] = []
    for payment in order.payments:
        mine = [a for a in order.authorizations if a.payment_id == payment.payment_id]
        pending = [a for a in mine if a.state is PaymentState.PENDING and a.void_since is None]
        if saved_by(order, payment.payment_id):
            found += pending
        elif not any(a.state is PaymentState.ACTION_REQUIRED for a in mine):
            found += pending[:1]
    return tuple(found)


def captured_by(order: Order, payment: Payment) -> int:
    """What was taken by *payment*, in minor units; a prepaid one counts for what left, cash for what was collected."""
    if payment.method in PROVIDER_METHODS:
        return sum(a.captured_minor for a in order.authorizations if a.payment_id == payment.payment_id)
    mine = payment_ranges(order)[payment.payment_id]
    if payment.method is PaymentMethod.CASH_ON_DELIVERY:
        return sum(parcel.collected_minor or 0 for parcel in order.parcels)
    taken = overlap(mine, (0, order.shipping_minor)) if anything_left(order) else 0
    for fulfillment in order.fulfillments:
        start = fulfillment_start(order, fulfillment.fulfillment_id)
        taken += overlap(mine, (start, start + value_left(order, fulfillment)))
    return taken


def payment_state(order: Order, payment: Payment) -> PaymentState:
    """How *payment* stands, over all its authorizations."""
    if payment.replaced_by is not None:
        return PaymentState.VOIDED
    captured = captured_by(order, payment)
    if payment.method not in PROVIDER_METHODS:
        if order.outcome is not None and order.outcome.state in {OrderState.REJECTED, OrderState.CANCELLED}:
            return PaymentState.VOIDED
        if captured == 0:
            return PaymentState.AUTHORIZED
        return PaymentState.CAPTURED if captured >= payment.amount_minor else PaymentState.PARTIALLY_CAPTURED
    if payment.amount_minor == 0:
        return PaymentState.VOIDED if order.outcome is not None else PaymentState.AUTHORIZED
    mine = [a for a in order.authorizations if a.payment_id == payment.payment_id]
    states = {a.state for a in mine}
    for state in (PaymentState.DECLINED, PaymentState.ACTION_REQUIRED, PaymentState.EXPIRED):
        if state in states:
            return state
    if captured:
        return PaymentState.PARTIALLY_CAPTURED if PaymentState.AUTHORIZED in states else PaymentState.CAPTURED
    if PaymentState.PENDING in states or not mine:
        over = order.outcome is not None
        return PaymentState.VOIDED if over and not mine else PaymentState.PENDING
    return PaymentState.AUTHORIZED if PaymentState.AUTHORIZED in states else PaymentState.VOIDED


def amounts(order: Order) -> Amounts:
    """The order's money as it stands."""
    held = sum(
        a.amount_minor
        for a in order.authorizations
        if a.state in {PaymentState.AUTHORIZED, PaymentState.CAPTURED} and a.reference is not None
    )
    ended_unpaid = order.outcome is not None and order.outcome.state is OrderState.REJECTED
    promised = sum(p.amount_minor for p in order.payments if p.method not in PROVIDER_METHODS)
    return Amounts(
        ordered_total_minor=order.ordered_total_minor,
        total_minor=_current_total(order),
        authorized_minor=held + (0 if ended_unpaid else promised),
        captured_minor=sum(captured_by(order, payment) for payment in order.payments),
        refunded_minor=0,
    )


def _current_total(order: Order) -> int:
    """What the units that are not cancelled cost, with shipping unless all are."""
    cancelled = units.by_line(order.portions, {Stage.CANCELLED})
    if all(cancelled.get(line.line_id, 0) == line.quantity for line in order.lines):
        return 0
    total = order.shipping_minor + sum(_unplanned_worth(order, line) for line in order.lines)
    for fulfillment in order.fulfillments:
        gone = units.by_line(order.portions, {Stage.CANCELLED}, fulfillment_id=fulfillment.fulfillment_id)
        for allocation in fulfillment.allocations:
            total += run_worth(order, allocation, allocation.quantity - gone.get(allocation.line_id, 0))
    return total


def _unplanned_worth(order: Order, line: Line) -> int:
    """What the units of *line* are worth that no fulfillment was planned for and that are not cancelled."""
    waiting = sum(
        portion.quantity
        for portion in order.portions
        if portion.line_id == line.line_id and portion.fulfillment_id is None and portion.stage is not Stage.CANCELLED
    )
    planned = sum(
        allocation.quantity
        for fulfillment in order.fulfillments
        for allocation in fulfillment.allocations
        if allocation.line_id == line.line_id
    )
    return run_value(line.total_minor, line.quantity, first=planned, count=waiting)


def with_authorization(order: Order, changed: Authorization) -> Order:
    """*order* with the authorization of that id replaced."""
    return replace(
        order,
        authorizations=tuple(
            changed if a.authorization_id == changed.authorization_id else a for a in order.authorizations
        ),
    )


def with_parcel(order: Order, changed: Parcel) -> Order:
    """*order* with the parcel of that id replaced."""
    return replace(order, parcels=tuple(changed if p.parcel_id == changed.parcel_id else p for p in order.parcels))


def with_fulfillment(order: Order, changed: Fulfillment) -> Order:
    """*order* with the fulfillment of that id replaced."""
    return replace(
        order,
        fulfillments=tuple(changed if f.fulfillment_id == changed.fulfillment_id else f for f in order.fulfillments),
    )
