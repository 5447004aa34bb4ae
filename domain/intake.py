"""The rules of taking an order: totals, payments and what may not be, and the first value of its state; no reading."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain import currencies, names
from domain.orders import Line, Order, Payment
from domain.policy import Policy
from domain.units import Portion, Stage
from domain.vocabulary import Channel, DeliveryMethod, PaymentMethod, ServiceLevel

MOST_MONEY = 10**12
# What new orders are taken under; running ones keep the rules that they began with.
CURRENT_RULES = 2
MOST_LINES = 500
FUTURE_TOLERATED = timedelta(days=1)

# A field's path and "rule" or "rule: explanation".
Violation = tuple[str, str]

_PROVIDER_METHODS = frozenset({PaymentMethod.CARD, PaymentMethod.WALLET})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLine:
    """One line as it was asked for; discount and tax are of the whole line."""

    line_id: str
    sku: str
    quantity: int
    unit_price_minor: int
    discount_minor: int = 0
    tax_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewShipping:
    """What shipping costs."""

    shipping_minor: int = 0
    discount_minor: int = 0
    tax_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPayment:
    """One means of payment as it was asked for; without an amount it takes the rest."""

    method: PaymentMethod
    amount_minor: int | None = None
    token: bool = False
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """An order that passed every check, without personal data; *payments* have their amounts."""

    channel: Channel
    source: str
    currency: str
    country: str
    service_level: ServiceLevel
    lines: tuple[NewLine, ...]
    payments: tuple[tuple[PaymentMethod, int], ...]
    shipping: NewShipping
    prices_include_tax: bool
    allow_split: bool
    allow_backorder: bool = False


def line_total(line: NewLine, *, prices_include_tax: bool) -> int:
    """What the line costs, in minor units."""
    return line.quantity * line.unit_price_minor - line.discount_minor + (0 if prices_include_tax else line.tax_minor)


def shipping_total(shipping: NewShipping, *, prices_include_tax: bool) -> int:
    """What shipping costs, in minor units."""
    return shipping.shipping_minor - shipping.discount_minor + (0 if prices_include_tax else shipping.tax_minor)


def order_total(lines: Sequence[NewLine], shipping: NewShipping, *, prices_include_tax: bool) -> int:
    """What the order costs, in minor units: sum(quantity * unit_price - discount) + shipping, plus taxes left out."""
    goods = sum(line_total(line, prices_include_tax=prices_include_tax) for line in lines)
    return goods + shipping_total(shipping, prices_include_tax=prices_include_tax)


def check_currency(currency: str) -> Iterator[Violation]:
    """Whether money can be in that currency."""
    if not currencies.known(currency):
        yield "currency", f"unknown_currency: {currency} is not a currency of ISO 4217"


def check_placed_at(placed_at: datetime, *, now: datetime) -> Iterator[Violation]:
    """Whether the customer can have ordered then."""
    if placed_at > now + FUTURE_TOLERATED:
        yield "placed_at", "in_the_future: more than a day after now"


def check_delivery(method: DeliveryMethod, pickup_point_id: str | None) -> Iterator[Violation]:
    """Whether we know where the customer takes the goods."""
    if method is DeliveryMethod.PICKUP_POINT and pickup_point_id is None:
        yield "delivery.pickup_point_id", "missing: a pick-up point must be named"
    if method is not DeliveryMethod.PICKUP_POINT and pickup_point_id is not None:
        yield "delivery.pickup_point_id", f"unexpected: delivery is {method}"


def check_lines(lines: Sequence[NewLine | None]) -> Iterator[Violation]:
    """Whether line ids are unique and no discount exceeds its line; None stands for a line that cannot be read."""
    seen: dict[str, int] = {}
    for place, line in enumerate(lines):
        if line is None:
            continue
        first = seen.setdefault(line.line_id, place)
        if first != place:
            yield f"lines[{place}].line_id", f"duplicate: lines[{first}] has this id"
        if line.discount_minor > line.quantity * line.unit_price_minor:
            yield f"lines[{place}].discount_minor", "too_large: more than the line costs"


def check_shipping(shipping: NewShipping) -> Iterator[Violation]:
    """Whether the discount on shipping leaves something of it."""
    if shipping.discount_minor > shipping.shipping_minor:
        yield "shipping_discount_minor", "too_large: more than shipping costs"


def check_total(total: int, given: int | None) -> Iterator[Violation]:
    """Whether the total is the one that was given, and one that we can take."""
    if given is not None and given != total:
        yield "total_minor", f"total_mismatch: {given} was given, the lines and shipping come to {total}"
    if total > MOST_MONEY:
        yield "total_minor", f"too_large: {total} is more than {MOST_MONEY}"


def check_skus(skus: Sequence[str | None], shippable: Mapping[str, bool]) -> Iterator[Violation]:
    """Whether each line's product is known and can be sent; *shippable* has every known sku."""
    for place, sku in enumerate(skus):
        if sku is None:
            continue
        if sku not in shippable:
            yield f"lines[{place}].sku", f"unknown_sku: {sku} is not in the catalogue"
        elif not shippable[sku]:
            yield f"lines[{place}].sku", f"not_shippable: {sku} is nothing that can be sent"


def check_payments(
    payments: Sequence[NewPayment | None], *, total: int | None, cash_limit: int | None
) -> Iterator[Violation]:
    """Whether the payments are complete, allowed and pay exactly *total*; None stands for what cannot be read."""
    for place, payment in enumerate(payments):
        if payment is not None:
            yield from _check_payment(place, payment, total)
    cash = [place for place, payment in enumerate(payments) if _is_cash(payment)]
    for place in cash[1:]:
        yield f"payments[{place}].method", "duplicate: cash on delivery is taken once"
    if total is None or None in payments:
        return
    known = [payment for payment in payments if payment is not None]
    yield from _check_amounts(known, total)
    for place in cash[:1]:
        amount = _amount(known, place, total)
        if cash_limit is not None and amount > cash_limit:
            yield f"payments[{place}].method", f"over_limit: cash on delivery is taken up to {cash_limit}, not {amount}"


def _is_cash(payment: NewPayment | None) -> bool:
    return payment is not None and payment.method is PaymentMethod.CASH_ON_DELIVERY


def _check_payment(place: int, payment: NewPayment, total: int | None) -> Iterator[Violation]:
    field = f"payments[{place}]"
    if payment.token and payment.method not in _PROVIDER_METHODS:
        yield f"{field}.token", f"unexpected: {payment.method} has no token"
    if payment.method is PaymentMethod.PREPAID and payment.reference is None:
        yield f"{field}.reference", "missing: a prepaid payment names where it was taken"
    if payment.method is PaymentMethod.STORE_CREDIT:
        yield f"{field}.reference", "unknown_store_credit: there is no such store credit"
    if payment.amount_minor == 0 and total != 0:
        yield f"{field}.amount_minor", "greater_than: a payment pays something"


def _check_amounts(payments: Sequence[NewPayment], total: int) -> Iterator[Violation]:
    open_places = [place for place, payment in enumerate(payments) if payment.amount_minor is None]
    given = sum(payment.amount_minor or 0 for payment in payments)
    for place in open_places[1:]:
        yield f"payments[{place}].amount_minor", "missing: only one payment may leave its amount out"
    if not open_places and given != total:
        yield "payments", f"payments_mismatch: they come to {given}, the order to {total}"
    if open_places and (given > total or (given == total and total > 0)):
        place = open_places[0]
        yield f"payments[{place}].amount_minor", f"nothing_left: the others come to {given}, the order to {total}"


def _amount(payments: Sequence[NewPayment], place: int, total: int) -> int:
    amount = payments[place].amount_minor
    return total - sum(payment.amount_minor or 0 for payment in payments) if amount is None else amount


def payment_amounts(payments: Sequence[NewPayment], total: int) -> tuple[int, ...]:
    """What each payment pays, in minor units: those that passed ``check_payments`` sum to *total*."""
    return tuple(_amount(payments, place, total) for place in range(len(payments)))


def new_order(
    order_id: str, new: NewOrder, *, policy: Policy, fast_moving: frozenset[str], received_at: datetime
) -> Order:
    """The order as it begins: nothing promised, every unit open, its deadlines counted from *received_at*."""
    express = new.service_level is ServiceLevel.EXPRESS
    rules = policy.rules
    return Order(
        order_id=order_id,
        channel=new.channel,
        source=new.source,
        currency=new.currency,
        country=new.country,
        received_at=received_at,
        lines=tuple(_line(line, new, fast_moving) for line in new.lines),
        payments=tuple(
            Payment(payment_id=names.payment_id(order_id, number), method=method, amount_minor=amount)
            for number, (method, amount) in enumerate(new.payments, start=1)
        ),
        policy=policy,
        ship_by=received_at + (rules.express_ship_within if express else rules.standard_ship_within),
        deliver_by=received_at + (rules.express_deliver_within if express else rules.standard_deliver_within),
        service_level=new.service_level,
        shipping_minor=shipping_total(new.shipping, prices_include_tax=new.prices_include_tax),
        allow_split=new.allow_split,
        allow_backorder=new.allow_backorder,
        rules=CURRENT_RULES,
        portions=tuple(Portion(line_id=line.line_id, stage=Stage.OPEN, quantity=line.quantity) for line in new.lines),
    )


def _line(line: NewLine, new: NewOrder, fast_moving: frozenset[str]) -> Line:
    return Line(
        line_id=line.line_id,
        sku=line.sku,
        quantity=line.quantity,
        unit_price_minor=line.unit_price_minor,
        total_minor=line_total(line, prices_include_tax=new.prices_include_tax),
        fast_moving=line.sku in fast_moving,
    )
