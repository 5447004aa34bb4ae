"""Reading a new order: everything that is wrong with a request, all at once; and what is kept of one that is right."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from api.addresses import check_address, e164
from api.body import parse
from api.schemas.orders import AddressBody, LineBody, OrderBody, PaymentBody
from db.catalogue import SoldProduct
from domain import intake
from domain.errors import Invalid
from domain.intake import NewLine, NewPayment, NewShipping, Violation
from domain.policy import Policy


def _adapter(field: FieldInfo) -> TypeAdapter[Any]:
    kind: Any = field.annotation
    return TypeAdapter(Annotated[(kind, *field.metadata)] if field.metadata else kind)


_LISTS: Mapping[str, TypeAdapter[Any]] = {"lines": TypeAdapter(LineBody), "payments": TypeAdapter(PaymentBody)}
_FIELDS: Mapping[str, TypeAdapter[Any]] = {
    name: _adapter(field) for name, field in OrderBody.model_fields.items() if name not in _LISTS
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A request as far as it can be read without the database; *body* None when its fields are not as they must be.

    Lines and payments that cannot be read are None, so that the others keep their places.
    """

    body: OrderBody | None
    errors: tuple[Violation, ...]
    lines: tuple[NewLine | None, ...]
    payments: tuple[NewPayment | None, ...]
    total: int | None
    phone: str | None

    @property
    def skus(self) -> tuple[str | None, ...]:
        """Each line's sku."""
        return tuple(None if line is None else line.sku for line in self.lines)

    def violations(self, products: Mapping[str, SoldProduct], policy: Policy) -> list[Violation]:
        """Everything that is wrong with the request, now that catalogue and policy are known."""
        shippable = {sku: product.requires_shipping for sku, product in products.items()}
        limit = policy.rules.cash_on_delivery_limit_minor
        return [
            *self.errors,
            *intake.check_skus(self.skus, shippable),
            *intake.check_payments(self.payments, total=self.total, cash_limit=limit),
        ]


def read_draft(raw: bytes, *, now: datetime) -> Draft:
    """What the request says, and everything that is wrong with it by itself."""
    body: OrderBody | None = None
    errors: list[Violation] = []
    try:
        body = parse(OrderBody, raw)
        fields: dict[str, Any] = {name: getattr(body, name) for name in OrderBody.model_fields}
        phone = body.customer.phone
    except Invalid as invalid:
        errors += invalid.errors
        fields, phone = _salvage(raw)
    lines = tuple(
        None if line is None else _new_line(line, place) for place, line in enumerate(fields.get("lines", ()), start=1)
    )
    shipping = _shipping(fields)
    total = _total(fields, lines, shipping)
    errors += _check(fields, lines, shipping, total, now)
    address: AddressBody | None = fields.get("shipping_address")
    number = None if phone is None or address is None else e164(phone, address.country)
    if phone is not None and address is not None and number is None:
        errors.append(("customer.phone", "impossible_number: no such number can exist"))
    return Draft(
        body=body,
        errors=tuple(errors),
        lines=lines,
        payments=tuple(None if payment is None else _new_payment(payment) for payment in fields.get("payments", ())),
        total=total,
        phone=number,
    )


def _salvage(raw: bytes) -> tuple[dict[str, Any], str | None]:
    """The fields that can be read each by itself, and the phone number, of a body that cannot be read as a whole."""
    try:
        content = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}, None
    if not isinstance(content, dict):
        return {}, None
    defaults = {name: field for name, field in OrderBody.model_fields.items() if not field.is_required()}
    found: dict[str, Any] = {
        name: field.get_default(call_default_factory=True) for name, field in defaults.items() if name not in content
    }
    for name, adapter in _FIELDS.items():
        if name in content and (value := _read(adapter, content[name])) is not _UNREADABLE:
            found[name] = value
    for name, adapter in _LISTS.items():
        if isinstance(content.get(name), list):
            values = [_read(adapter, item) for item in content[name][: intake.MOST_LINES]]
            found[name] = [None if value is _UNREADABLE else value for value in values]
    customer = content.get("customer")
    phone = customer.get("phone") if isinstance(customer, dict) else None
    return found, phone if isinstance(phone, str) and "\0" not in phone else None


_UNREADABLE = object()


def _read(adapter: TypeAdapter[Any], value: Any) -> Any:
    try:
        return adapter.validate_json(orjson.dumps(value), strict=True)
    except (ValidationError, orjson.JSONEncodeError):
        return _UNREADABLE


def _new_line(line: LineBody, number: int) -> NewLine:
    return NewLine(
        line_id=line.line_id or str(number),
        sku=line.sku,
        quantity=line.quantity,
        unit_price_minor=line.unit_price_minor,
        discount_minor=line.discount_minor,
        tax_minor=line.tax_minor,
    )


def _new_payment(payment: PaymentBody) -> NewPayment:
    return NewPayment(
        method=payment.method,
        amount_minor=payment.amount_minor,
        token=payment.token is not None,
        reference=payment.reference,
    )


_SHIPPING = ("shipping_minor", "shipping_discount_minor", "shipping_tax_minor")


def _shipping(fields: Mapping[str, Any]) -> NewShipping | None:
    if any(name not in fields for name in _SHIPPING):
        return None
    return NewShipping(
        shipping_minor=fields["shipping_minor"],
        discount_minor=fields["shipping_discount_minor"],
        tax_minor=fields["shipping_tax_minor"],
    )


def _total(fields: Mapping[str, Any], lines: tuple[NewLine | None, ...], shipping: NewShipping | None) -> int | None:
    known = [line for line in lines if line is not None]
    if shipping is None or len(known) < len(lines) or not lines or "prices_include_tax" not in fields:
        return None
    total = intake.order_total(known, shipping, prices_include_tax=fields["prices_include_tax"])
    # Below zero a discount is too large, which is said already; it pays to compare nothing with such a total.
    return total if total >= 0 else None


def _check(
    fields: Mapping[str, Any],
    lines: tuple[NewLine | None, ...],
    shipping: NewShipping | None,
    total: int | None,
    now: datetime,
) -> Iterator[Violation]:
    if (currency := fields.get("currency")) is not None:
        yield from intake.check_currency(currency)
    if (placed_at := fields.get("placed_at")) is not None:
        yield from intake.check_placed_at(placed_at, now=now)
    if (delivery := fields.get("delivery")) is not None:
        yield from intake.check_delivery(delivery.method, delivery.pickup_point_id)
    for name in ("shipping_address", "billing_address"):
        if (address := fields.get(name)) is not None:
            yield from check_address(address, field=name)
    yield from intake.check_lines(lines)
    if shipping is not None:
        yield from intake.check_shipping(shipping)
    if total is not None:
        yield from intake.check_total(total, fields.get("total_minor"))


@dataclass(frozen=True, kw_only=True)
class Content:
    """A valid request with its defaults filled in; its hash tells whether two requests ask for the same."""

    body: OrderBody
    lines: tuple[NewLine, ...]
    amounts: tuple[int, ...]
    total: int
    phone: str | None

    @cached_property
    def hash(self) -> bytes:
        """The same for two requests that ask for the same."""
        return hashlib.sha256(orjson.dumps(self.whole(), option=orjson.OPT_SORT_KEYS)).digest()

    @property
    def shipping(self) -> NewShipping:
        """What shipping costs."""
        return NewShipping(
            shipping_minor=self.body.shipping_minor,
            discount_minor=self.body.shipping_discount_minor,
            tax_minor=self.body.shipping_tax_minor,
        )

    def whole(self) -> dict[str, Any]:
        """Every field of the request, defaults filled in."""
        found = self.body.model_dump(mode="json")
        found["total_minor"] = self.total
        found["customer"]["phone"] = self.phone
        for line, asked in zip(self.lines, found["lines"], strict=True):
            asked["line_id"] = line.line_id
        for amount, payment in zip(self.amounts, found["payments"], strict=True):
            payment["amount_minor"] = amount
        return found

    def impersonal(self, names: Mapping[str, str]) -> dict[str, Any]:
        """The request without names, addresses, free text and tokens; *names* are the products' names by sku."""
        found = self.whole()
        found["customer"] = {"customer_ref": self.body.customer.customer_ref}
        found["shipping_address"] = {"country": self.body.shipping_address.country}
        billing = self.body.billing_address
        found["billing_address"] = None if billing is None else {"country": billing.country}
        found["gift"] = None if self.body.gift is None else {"hide_prices": self.body.gift.hide_prices}
        del found["note"]
        for line in found["lines"]:
            line["name"] = names[line["sku"]]
        found["payments"] = [
            {"method": payment["method"], "amount_minor": payment["amount_minor"]} for payment in found["payments"]
        ]
        return found


def content_of(draft: Draft) -> Content | None:
    """The draft's content, defaults filled in; None while something in it cannot be read."""
    lines = tuple(line for line in draft.lines if line is not None)
    payments = tuple(payment for payment in draft.payments if payment is not None)
    if draft.body is None or draft.errors or draft.total is None:
        return None
    return Content(
        body=draft.body,
        lines=lines,
        amounts=intake.payment_amounts(payments, draft.total),
        total=draft.total,
        phone=draft.phone,
    )
