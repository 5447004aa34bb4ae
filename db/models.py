"""The tables; every promise that a row can keep by itself is a constraint here. No queries."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    DateTime,
    Float,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Json = dict[str, Any]


class Base(DeclarativeBase):
    """All tables; the type map keeps columns short."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this name from the class
        str: Text,
        datetime: DateTime(timezone=True),
        date: Date,
        bytes: LargeBinary,
        Json: JSONB,
        list[str]: ARRAY(Text),
    }


class ApiKey(Base):
    """A machine's key, kept as its sha256; ``sources`` null means every source."""

    __tablename__ = "api_keys"

    key_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    key_hash: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    sources: Mapped[list[str] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    revoked_at: Mapped[datetime | None]


class IdempotencyKey(Base):
    """What was answered to a request that named a key, for 30 days."""

    __tablename__ = "idempotency_keys"

    request_id: Mapped[bytes] = mapped_column(primary_key=True)
    body_hash: Mapped[bytes]
    status: Mapped[int | None] = mapped_column(SmallInteger)
    headers: Mapped[Json | None]
    answer: Mapped[bytes | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class PolicyVersion(Base):
    """One version of the business rules; append-only."""

    __tablename__ = "policies"

    version: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    effective_at: Mapped[datetime]
    actor: Mapped[str]
    profile: Mapped[str]
    rules: Mapped[Json]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Product(Base):
    """What can be sold."""

    __tablename__ = "products"

    sku: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    gtin: Mapped[str | None]
    weight_g: Mapped[int]
    length_mm: Mapped[int]
    width_mm: Mapped[int]
    height_mm: Mapped[int]
    requires_shipping: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    fast_moving: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    safety_stock: Mapped[int] = mapped_column(server_default=text("0"))
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Location(Base):
    """A place that holds stock."""

    __tablename__ = "locations"

    location_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    country: Mapped[str]
    postal_code: Mapped[str]
    city: Mapped[str | None]
    address_lines: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    latitude: Mapped[float] = mapped_column(Float)
    longitude: Mapped[float] = mapped_column(Float)
    timezone: Mapped[str] = mapped_column(server_default=text("'UTC'"))
    priority: Mapped[int] = mapped_column(server_default=text("0"))
    active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Stock(Base):
    """What one location holds of one sku; never oversold."""

    __tablename__ = "stock"
    __table_args__ = (
        CheckConstraint("reserved >= 0", name="stock_reserved_not_negative"),
        CheckConstraint("unavailable >= 0", name="stock_unavailable_not_negative"),
        CheckConstraint("reserved + unavailable <= on_hand", name="stock_not_oversold"),
        Index("stock_by_sku", "sku"),
    )

    location_id: Mapped[str] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(primary_key=True)
    on_hand: Mapped[int] = mapped_column(server_default=text("0"))
    reserved: Mapped[int] = mapped_column(server_default=text("0"))
    unavailable: Mapped[int] = mapped_column(server_default=text("0"))


class StockMovement(Base):
    """Why a stock row changed; append-only, once per cause."""

    __tablename__ = "stock_movements"
    __table_args__ = (
        UniqueConstraint("cause", "kind", "location_id", "sku", name="stock_movements_once"),
        Index("stock_movements_by_stock", "sku", "location_id", "movement_id"),
    )

    movement_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    location_id: Mapped[str]
    sku: Mapped[str]
    kind: Mapped[str]
    quantity: Mapped[int]
    cause: Mapped[str]
    actor: Mapped[str]
    at: Mapped[datetime]


class StockReference(Base):
    """A receipt or count that was booked under its own reference, once."""

    __tablename__ = "stock_references"

    kind: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(primary_key=True)
    content_hash: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Reservation(Base):
    """Stock promised to one order line at one location; ``quantity`` is what is still promised."""

    __tablename__ = "reservations"
    __table_args__ = (
        CheckConstraint("quantity >= 0", name="reservations_not_negative"),
        Index("reservations_by_stock", "location_id", "sku", postgresql_where=text("quantity > 0")),
    )

    order_id: Mapped[str] = mapped_column(primary_key=True)
    fulfillment_id: Mapped[str] = mapped_column(primary_key=True)
    line_id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str]
    sku: Mapped[str]
    quantity: Mapped[int]


class StepMark(Base):
    """A step of our own that was done, with its result, or undone before it could be: whichever came first."""

    __tablename__ = "step_marks"

    step_key: Mapped[str] = mapped_column(primary_key=True)
    undone: Mapped[bool] = mapped_column(Boolean)
    result: Mapped[Json | None]
    at: Mapped[datetime] = mapped_column(server_default=func.now())


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
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PaymentToken(Base):
    """What the provider needs to take a payment; never in a history or a log."""

    __tablename__ = "payment_tokens"

    payment_id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(index=True)
    method: Mapped[str]
    token: Mapped[str | None]
    reference: Mapped[str | None]
    customer_id: Mapped[str | None]
    saved_method_id: Mapped[str | None]


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


class InboxFact(Base):
    """A fact from outside, once per source and event; ``order_id`` is null while it matches nothing."""

    __tablename__ = "inbox"
    __table_args__ = (
        Index("inbox_by_order", "order_id"),
        Index("inbox_unmatched", "matches", postgresql_where=text("order_id IS NULL")),
    )

    source: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(primary_key=True)
    signal: Mapped[str | None]
    matches: Mapped[str | None]
    order_id: Mapped[str | None]
    fact: Mapped[Json]
    received_at: Mapped[datetime]


class OutboxRow(Base):
    """What the engine must still be told: a start or a signal of one workflow, in order."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("outbox_ready", "outbox_id", postgresql_where=text("parked_at IS NULL")),
        Index("outbox_by_workflow", "workflow_id", "outbox_id"),
    )

    outbox_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    workflow_id: Mapped[str]
    order_id: Mapped[str]
    kind: Mapped[str]
    name: Mapped[str | None]
    payload: Mapped[Json | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    parked_at: Mapped[datetime | None]
    last_error: Mapped[str | None]


class Operation(Base):
    """An effect in the outside world, written ahead of the call; payments' rows are the payment ledger."""

    __tablename__ = "operations"
    __table_args__ = (
        Index("operations_by_order", "order_id"),
        Index("operations_sending", "started_at", postgresql_where=text("state = 'sending'")),
    )

    key: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str]
    kind: Mapped[str]
    subject: Mapped[str]
    state: Mapped[str]
    amount_minor: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str | None]
    reference: Mapped[str | None]
    request: Mapped[Json]
    result: Mapped[Json | None]
    tombstoned_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    started_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


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


class TrackingEvent(Base):
    """One carrier event as the carrier told it; the place stays here, outside the engine."""

    __tablename__ = "tracking_events"
    __table_args__ = (Index("tracking_events_by_number", "tracking_number", "carrier", "at"),)

    carrier: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(primary_key=True)
    tracking_number: Mapped[str]
    status: Mapped[str]
    at: Mapped[datetime]
    location: Mapped[str | None]
    party: Mapped[str | None]
    reason: Mapped[str | None]


class Proof(Base):
    """Proof of delivery of one parcel: who signed, and where the pictures are stored."""

    __tablename__ = "proofs"

    carrier: Mapped[str] = mapped_column(primary_key=True)
    tracking_number: Mapped[str] = mapped_column(primary_key=True)
    signed_by: Mapped[str | None]
    signature_key: Mapped[str | None]
    photo_key: Mapped[str | None]
    at: Mapped[datetime]


class Document(Base):
    """A stored file: a label, a signature, a photo."""

    __tablename__ = "documents"

    document_key: Mapped[str] = mapped_column(primary_key=True)
    content_type: Mapped[str]
    body: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class WebhookEndpoint(Base):
    """Where a key wants to be told; the secret signs every delivery."""

    __tablename__ = "webhook_endpoints"

    endpoint_id: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(index=True)
    url: Mapped[str]
    secret: Mapped[str]
    events: Mapped[list[str]]
    description: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    disabled_at: Mapped[datetime | None]


class WebhookDelivery(Base):
    """One event for one endpoint, tried until it is taken; the same id on every try."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        ForeignKeyConstraint(["endpoint_id"], ["webhook_endpoints.endpoint_id"], ondelete="CASCADE"),
        UniqueConstraint("endpoint_id", "order_id", "sequence", name="webhook_deliveries_once"),
        Index("webhook_deliveries_ready", "due_at", postgresql_where=text("delivered_at IS NULL")),
    )

    delivery_id: Mapped[str] = mapped_column(primary_key=True)
    endpoint_id: Mapped[str]
    order_id: Mapped[str]
    sequence: Mapped[int]
    kind: Mapped[str]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    delivered_at: Mapped[datetime | None]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Heartbeat(Base):
    """When a relay last went round."""

    __tablename__ = "heartbeats"

    name: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
