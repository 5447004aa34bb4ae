"""The body of a new order, field by field; rules across fields are in ``domain.intake``."""

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, StringConstraints, WithJsonSchema

from api.schemas.fields import (
    Body,
    Country,
    Currency,
    Email,
    Locale,
    Money,
    Name64,
    Name200,
    Quantity,
    Text500,
    Text2000,
    Time,
)
from domain.intake import MOST_LINES
from domain.vocabulary import Channel, DeliveryMethod, PaymentMethod, ServiceLevel

LONGEST_VALUE = 500
LARGEST_NUMBER = 10**15


def _read_value(value: Any) -> str | int | bool | None:
    if isinstance(value, str):
        if len(value) > LONGEST_VALUE or "\0" in value:
            raise ValueError(f"must be at most {LONGEST_VALUE} characters, none of them NUL")
        return value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) <= LARGEST_NUMBER:
        return value
    raise ValueError("must be a text, a whole number, true, false or null")


MetadataValue = Annotated[
    str | int | bool | None,
    PlainValidator(_read_value),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": LONGEST_VALUE},
                {"type": "integer", "minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER},
                {"type": "boolean"},
                {"type": "null"},
            ]
        }
    ),
]
Metadata = Annotated[dict[Name64, MetadataValue], Field(max_length=50)]


class CustomerBody(Body):
    """Who buys; only ``customer_ref`` is needed."""

    customer_ref: Name64
    name: Name200 | None = None
    email: Email | None = None
    phone: Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^[^\x00]*$")] | None = None
    locale: Locale | None = None
    notify: Literal["email", "sms", "messenger"] | None = None
    optional_notices: bool = True


class AddressBody(Body):
    """A postal address; which parts a country needs is checked by its rules."""

    lines: Annotated[list[Name200], Field(min_length=1, max_length=6)]
    city: Name200 | None = None
    region: Name200 | None = None
    postal_code: (
        Annotated[str, StringConstraints(min_length=1, max_length=20, pattern=r"^[^\x00-\x1f\x7f]+$")] | None
    ) = None
    country: Country
    name: Name200 | None = None


class DeliveryBody(Body):
    """Where the customer takes the goods."""

    method: DeliveryMethod = DeliveryMethod.HOME
    pickup_point_id: Name64 | None = None


class GiftBody(Body):
    """What makes the order a gift."""

    message: Text500 | None = None
    hide_prices: bool = False


class LineBody(Body):
    """One line; without ``line_id`` it is numbered by its place, from 1."""

    line_id: Name64 | None = None
    sku: Name64
    quantity: Quantity
    unit_price_minor: Money
    discount_minor: Money = 0
    tax_minor: Money = 0


class PaymentBody(Body):
    """One means of payment; one of them may leave ``amount_minor`` out and takes the rest."""

    method: PaymentMethod
    token: Name200 | None = None
    amount_minor: Money | None = None
    reference: Name200 | None = None


class OrderBody(Body):
    """A new order."""

    order_ref: Name64
    channel: Channel
    source: Name64 = "default"
    currency: Currency
    service_level: ServiceLevel = ServiceLevel.STANDARD
    customer: CustomerBody
    shipping_address: AddressBody
    billing_address: AddressBody | None = None
    ip_country: Country | None = None
    delivery: DeliveryBody = DeliveryBody()
    gift: GiftBody | None = None
    lines: Annotated[list[LineBody], Field(min_length=1, max_length=MOST_LINES)]
    prices_include_tax: bool = True
    shipping_minor: Money = 0
    shipping_discount_minor: Money = 0
    shipping_tax_minor: Money = 0
    total_minor: Money | None = None
    payments: Annotated[list[PaymentBody], Field(min_length=1, max_length=10)]
    allow_backorder: bool = False
    allow_split: bool = True
    placed_at: Time | None = None
    note: Text2000 | None = None
    metadata: Metadata = Field(default_factory=dict)
