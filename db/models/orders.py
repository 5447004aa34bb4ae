"""Orders as they stand, what happened to them, and the personal data apart. Tables only; no queries."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Float,
    Identity,
    Index,
    SmallInteger,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Json


class OrderRow(Base):
    """The projection of an order: its state value, and the columns that lists are found and sorted by.

    ``version`` counts the messages applied; ``last_sequence`` numbers its events and is the API's ``version``.
    ``request`` is the order as accepted, defaults filled in, without personal data.
    """

    __tablename__ = "orders"
    __table_args__ = (
        Index(
            "orders_one_per_reference",
            "channel",
            "source",
            "order_ref",
            unique=True,
            postgresql_where=text("state <> 'rejected'"),
        ),
        Index("orders_newest", text("received_at DESC"), text("order_id DESC")),
        Index("orders_by_state", "state", text("received_at DESC")),
        Index("orders_by_customer", "customer_ref", text("received_at DESC")),
        Index("orders_by_reference", "order_ref"),
        Index("orders_open", "order_id", postgresql_where=text("closed_at IS NULL")),
        Index("orders_by_due", "due_at", postgresql_where=text("closed_at IS NULL")),
        Index("orders_by_sku", "skus", postgresql_using="gin"),
        Index("orders_by_attention", "attention", postgresql_using="gin"),
    )

    order_id: Mapped[str] = mapped_column(primary_key=True)
    channel: Mapped[str]
    source: Mapped[str]
    order_ref: Mapped[str]
    customer_ref: Mapped[str]
    kind: Mapped[str]
    state: Mapped[str]
    priority: Mapped[int] = mapped_column(SmallInteger)
    owner: Mapped[str | None]
    next_step: Mapped[str | None]
    due_at: Mapped[datetime | None]
    attention: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    skus: Mapped[list[str]]
    location_ids: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    currency: Mapped[str]
    total_minor: Mapped[int] = mapped_column(BigInteger)
    policy_version: Mapped[int]
    request: Mapped[Json]
    request_hash: Mapped[bytes]
    snapshot: Mapped[Json]
    row_attention: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    version: Mapped[int] = mapped_column(server_default=text("0"))
    last_sequence: Mapped[int] = mapped_column(server_default=text("0"))
    replaces: Mapped[str | None]
    received_at: Mapped[datetime]
    placed_at: Mapped[datetime | None]
    changed_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class OrderArchive(Base):
    """The request as it was received, byte for byte; never changed."""

    __tablename__ = "order_archive"

    order_id: Mapped[str] = mapped_column(primary_key=True)
    body: Mapped[bytes]
    key_id: Mapped[str]
    actor: Mapped[str | None]
    received_at: Mapped[datetime]


class OrderContact(Base):
    """Personal data of an order; a later revision replaces an earlier one, and both are kept."""

    __tablename__ = "order_contacts"
    __table_args__ = (
        Index("order_contacts_by_email", func.lower(text("email"))),
        Index("order_contacts_by_phone", "phone"),
        Index(
            "order_contacts_by_fingerprint",
            "address_fingerprint",
            "order_id",
            postgresql_where=text("address_fingerprint IS NOT NULL"),
        ),
    )

    order_id: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    locale: Mapped[str | None]
    notify: Mapped[str | None]
    optional_notices: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    shipping_address: Mapped[Json]
    billing_address: Mapped[Json | None]
    gift: Mapped[Json | None]
    note: Mapped[str | None]
    latitude: Mapped[float | None] = mapped_column(Float)
    longitude: Mapped[float | None] = mapped_column(Float)
    command_id: Mapped[str | None]
    address_fingerprint: Mapped[bytes | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class OrderNote(Base):
    """What somebody wrote about an order: free text, so never in a history, an event or a log."""

    __tablename__ = "order_notes"

    note_id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(index=True)
    text: Mapped[str]
    actor_kind: Mapped[str]
    actor_id: Mapped[str]
    at: Mapped[datetime]


class PaymentToken(Base):
    """What the provider needs to take a payment; never in a history or a log."""

    __tablename__ = "payment_tokens"
    __table_args__ = (
        Index(
            "payment_tokens_by_fingerprint",
            "token_fingerprint",
            "order_id",
            postgresql_where=text("token_fingerprint IS NOT NULL"),
        ),
    )

    payment_id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(index=True)
    method: Mapped[str]
    token: Mapped[str | None]
    reference: Mapped[str | None]
    customer_id: Mapped[str | None]
    saved_method_id: Mapped[str | None]
    token_fingerprint: Mapped[bytes | None]


class OrderEvent(Base):
    """What happened to an order, once per cause and place; ``position`` is stamped after commit."""

    __tablename__ = "order_events"
    __table_args__ = (
        UniqueConstraint("order_id", "cause_id", "ordinal", name="order_events_once"),
        Index("order_events_unstamped", "event_id", postgresql_where=text("position IS NULL")),
        Index("order_events_by_position", "position", unique=True),
    )

    order_id: Mapped[str] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(BigInteger, Identity())
    cause_id: Mapped[str]
    ordinal: Mapped[int]
    position: Mapped[int | None] = mapped_column(BigInteger)
    kind: Mapped[str]
    at: Mapped[datetime]
    actor_kind: Mapped[str]
    actor_id: Mapped[str | None]
    data: Mapped[Json]


class FulfillmentRow(Base):
    """The projection of a fulfillment, for the warehouse's lists."""

    __tablename__ = "fulfillments"
    __table_args__ = (
        Index("fulfillments_by_location", "location_id", "state", "priority", "ship_by"),
        Index("fulfillments_by_order", "order_id"),
    )

    fulfillment_id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str]
    location_id: Mapped[str]
    state: Mapped[str]
    priority: Mapped[int] = mapped_column(SmallInteger)
    ship_by: Mapped[datetime]
    released_at: Mapped[datetime | None]


class ParcelRow(Base):
    """The projection of a parcel; carrier and number find it again."""

    __tablename__ = "parcels"
    __table_args__ = (
        Index("parcels_by_number", "tracking_number", "carrier"),
        Index("parcels_by_order", "order_id"),
        Index("parcels_by_fulfillment", "fulfillment_id"),
    )

    parcel_id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str]
    fulfillment_id: Mapped[str]
    carrier: Mapped[str | None]
    tracking_number: Mapped[str | None]
    state: Mapped[str]
    tracking_status: Mapped[str]
